import { SvelteSet } from 'svelte/reactivity';
import { call, newKey, NoAnswer, Problem } from './api';
import { forget, keep, read } from './kept';
import { Live } from './live';
import { merge, mergeRun } from './merge';
import { ended, heardAt, PENDING, sortViews, viewZone, type Order, type ZoneView } from './present';
import type { Place } from './queue';
import type { Alert, Dose, Lang, Me, Run, Snapshot, StopAll } from './types';
import { lang, setLang, t } from './words.svelte';

/** Everything the screens read, and every act they may ask for. One object for the life of the page. */
export class Farm {
  me = $state.raw<Me | null>(null);
  snapshot = $state.raw<Snapshot | null>(null);
  connection = $state<'connecting' | 'live' | 'polling' | 'offline'>('connecting');
  signedOut = $state(false);
  orders = $state.raw<Record<string, Order>>({});
  dismissed = new SvelteSet<string>(read('dismissed') ?? []);
  stopAll = $state.raw<StopAllProgress | null>(null);
  /** The server's clock as far as this phone can tell, in ms; moves once a second. */
  now = $state(Date.now());

  views: ZoneView[] = $derived.by(() => {
    const snapshot = this.snapshot;
    if (!snapshot) return [];
    return sortViews(
      Object.values(snapshot.zones).map((zone) =>
        viewZone(snapshot, zone, this.orders[zone.id] ?? null, this.dismissed, this.now)),
    );
  });
  tz = $derived(this.snapshot?.farm.tz ?? 'Asia/Ho_Chi_Minh');
  heardAt = $derived(this.snapshot ? heardAt(this.snapshot) : 0);
  mayReset = $derived(this.me?.role === 'technician' || this.me?.role === 'manager');
  offline = $derived(this.connection === 'offline');
  busy = $derived(this.views.some((view) => PENDING.has(view.look)) || this.stopAll?.phase === 'sending');

  #skew = 0;
  #live: Live | null = null;
  #kept = 0;
  #ticker: ReturnType<typeof setInterval> | undefined;

  /** Shows what is at hand (the page's own state, else what the phone kept), then asks the server who we are. */
  async begin(injected: { me?: Me; snapshot?: Snapshot } | null): Promise<void> {
    this.#ticker = setInterval(() => this.#tick(), 1000);
    this.me = injected?.me ?? read('me');
    await setLang(read('lang') ?? this.me?.language ?? 'vi');
    const old = read('snapshot');
    if (injected?.snapshot && injected.snapshot.farm.id === this.farmId) this.#take(injected.snapshot);
    else if (old && old.farm.id === this.farmId) this.snapshot = old;
    document.addEventListener('visibilitychange', () => (document.hidden ? this.#live?.stop() : this.#live?.start()));
    window.addEventListener('online', () => this.#live?.now());
    window.addEventListener('offline', () => (this.connection = 'offline'));
    if (injected?.me) {
      this.#follow();
      return;
    }
    try {
      this.#enter(await call<Me>('/session', { lang: lang() }));
    } catch (error) {
      if (error instanceof Problem && error.status === 401) this.#leave();
      else if (this.me) this.#follow();
      else this.signedOut = true;
    }
  }

  end(): void {
    clearInterval(this.#ticker);
    this.#live?.stop();
  }

  async signIn(name: string, password: string): Promise<void> {
    const me = await call<Me>('/session', { method: 'POST', body: { name, password }, lang: lang() });
    if (!read('lang')) await setLang(me.language);
    this.#enter(me);
  }

  async signOut(): Promise<void> {
    await call<void>('/session', { method: 'DELETE', lang: lang() });
    this.#leave();
  }

  speak(next: Lang): void {
    keep('lang', next);
    void setLang(next);
  }

  get farmId(): string | null {
    const farms = this.me?.farms ?? [];
    const chosen = read('farm');
    return farms.find((farm) => farm.id === chosen)?.id ?? farms[0]?.id ?? null;
  }

  chooseFarm(id: string): void {
    keep('farm', id);
    this.snapshot = null;
    this.orders = {};
    this.stopAll = null;
    this.#follow();
  }

  /** Asks for water once. No answer within 10 s is a failure that says so; nothing is sent again by itself. */
  async water(zoneId: string, dose: Dose, queue?: Place): Promise<boolean> {
    if (this.offline) return false;
    const order: Order = { key: newKey(), zoneId, dose, askedAt: this.now, phase: 'sending', reason: '', field: null };
    this.#setOrder(zoneId, order);
    try {
      const run = await call<Run>(`/zones/${zoneId}/runs`, { method: 'POST', body: queue ? { dose, queue } : { dose }, key: order.key, lang: lang() });
      const cancelled = this.orders[zoneId]?.phase === 'cancelling';
      if (this.snapshot) this.snapshot = mergeRun(this.snapshot, run);
      if (this.orders[zoneId]?.key === order.key) this.#setOrder(zoneId, null);
      if (cancelled) await this.stop(run.id);
      return true;
    } catch (error) {
      if (this.orders[zoneId]?.key === order.key) {
        const reason = error instanceof Problem ? error.detail : t('order.no_answer');
        const field = error instanceof Problem ? (error.errors[0]?.field ?? null) : null;
        this.#setOrder(zoneId, { ...order, phase: 'failed', reason, field });
      }
      this.#notice(error);
      return false;
    }
  }

  /** Before the server answered: the order is stopped as soon as it has a name. */
  cancelOrder(zoneId: string): void {
    const order = this.orders[zoneId];
    if (order?.phase === 'sending') this.#setOrder(zoneId, { ...order, phase: 'cancelling' });
    else if (order?.phase === 'failed') this.#setOrder(zoneId, null);
  }

  /** A stop is a desired state: asking twice is harmless, so it is asked until the server has heard. */
  async stop(runId: string): Promise<void> {
    for (;;) {
      try {
        const run = await call<Run>(`/runs/${runId}/stop`, { method: 'POST', timeoutMs: 5000, lang: lang() });
        if (this.snapshot) this.snapshot = mergeRun(this.snapshot, run);
        return;
      } catch (error) {
        if (!(error instanceof NoAnswer)) return this.#notice(error);
        await new Promise((resolve) => setTimeout(resolve, 2000));
        const run = this.snapshot?.runs[runId];
        if (run && ended(run)) return;
      }
    }
  }

  dismiss(runId: string): void {
    this.dismissed.add(runId);
    keep('dismissed', [...this.dismissed].slice(-50));
  }

  /** Keeps trying while the screen is open; what each valve says is read from the live state, not from the answer. */
  async closeAll(): Promise<void> {
    const farmId = this.farmId;
    if (!farmId || this.stopAll?.phase === 'sending') return;
    this.stopAll = { phase: 'sending', tries: 0, valves: [], held: null };
    for (;;) {
      try {
        const answer = await call<StopAll>(`/farms/${farmId}/stop-all`, { method: 'POST', timeoutMs: 5000, lang: lang() });
        this.stopAll = { phase: 'sent', tries: 0, valves: answer.valves, held: null };
        return;
      } catch (error) {
        this.#notice(error);
        if (!this.stopAll || this.signedOut) return;
        this.stopAll = { ...this.stopAll, tries: this.stopAll.tries + 1 };
        await new Promise((resolve) => setTimeout(resolve, 2000));
      }
    }
  }

  async hold(until: number, reason: string, pause = false): Promise<void> {
    const hold = await call<NonNullable<Snapshot['hold']>>(`/farms/${this.farmId}/hold`, {
      method: 'PUT', body: { until: new Date(until).toISOString(), reason, ...(pause ? { pause } : {}) }, lang: lang(),
    });
    if (this.snapshot) this.snapshot = { ...this.snapshot, hold };
  }

  async release(): Promise<void> {
    try {
      await call<void>(`/farms/${this.farmId}/hold`, { method: 'DELETE', lang: lang() });
    } catch (error) {
      if (!(error instanceof Problem && error.status === 404)) throw error;
    }
    if (this.snapshot) this.snapshot = { ...this.snapshot, hold: null };
  }

  /** Asks a valve's board to unlock it; what came of it is read from the live state. */
  async reset(nodeId: string, channel: string): Promise<void> {
    await call(`/farms/${this.farmId}/nodes/${nodeId}/channels/${channel}/reset`, { method: 'POST', lang: lang() });
  }

  async acknowledge(alertId: string): Promise<void> {
    const alert = await call<Alert>(`/alerts/${alertId}/acknowledge`, { method: 'POST', lang: lang() });
    if (this.snapshot) this.snapshot = { ...this.snapshot, alerts: { ...this.snapshot.alerts, [alert.id]: alert } };
  }

  /** What a failed call tells about ourselves: signed out, or nothing. */
  #notice(error: unknown): void {
    if (error instanceof Problem && error.status === 401) this.#leave();
  }

  #setOrder(zoneId: string, order: Order | null): void {
    const { [zoneId]: _, ...rest } = this.orders;
    this.orders = order ? { ...rest, [zoneId]: order } : rest;
  }

  #enter(me: Me): void {
    if (this.me && this.me.name !== me.name) {
      forget();
      this.snapshot = null;
    }
    this.me = me;
    this.signedOut = false;
    keep('me', me);
    this.#follow();
  }

  #leave(): void {
    this.#live?.stop();
    this.#live = null;
    forget();
    this.me = this.snapshot = this.stopAll = null;
    this.orders = {};
    this.signedOut = true;
  }

  #follow(): void {
    this.#live?.stop();
    const farmId = this.farmId;
    if (!farmId) return;
    if (this.me) keep('me', this.me);
    this.connection = 'connecting';
    this.#live = new Live(
      {
        fetchSnapshot: async () => {
          try {
            return await call<Snapshot>(`/farms/${farmId}/snapshot`, { lang: lang() });
          } catch (error) {
            this.#notice(error);
            throw error;
          }
        },
        openStream: () => new EventSource(`/api/v1/farms/${farmId}/live`),
      },
      {
        snapshot: (snapshot) => this.#take(snapshot),
        delta: (delta) => {
          if (this.snapshot) this.#take(merge(this.snapshot, delta));
        },
        heard: (at) => this.#setClock(at),
        state: (state) => {
          // A poll between two streams is not worth a flicker while the data are fresh.
          this.connection = state;
        },
      },
    );
    if (!document.hidden) this.#live.start();
  }

  #take(snapshot: Snapshot): void {
    this.#setClock(snapshot.at);
    this.#tick();
    this.snapshot = snapshot;
    if (Date.now() - this.#kept > 5000) {
      this.#kept = Date.now();
      keep('snapshot', snapshot);
    }
  }

  #setClock(at: string): void {
    const ms = Date.parse(at);
    if (Number.isFinite(ms)) this.#skew = ms - Date.now();
  }

  #tick(): void {
    this.now = Date.now() + this.#skew;
  }
}

export interface StopAllProgress {
  phase: 'sending' | 'sent';
  tries: number;
  valves: StopAll['valves'];
  held: { resumeUntil: number } | null;
}
