import type { Delta } from './merge';
import type { Snapshot } from './types';

/**
 * The farm as it changes. A stream of events first; when it fails, a snapshot every 15 s and the stream again.
 * Silence for 40 s is a failure: both ends may believe in a connection that carries nothing.
 */
export interface LiveEvents {
  snapshot(snapshot: Snapshot): void;
  delta(delta: Delta): void;
  /** Something came from the server just now; `at` is the server's clock. */
  heard(at: string): void;
  state(state: 'live' | 'polling' | 'offline'): void;
}

export interface LiveParts {
  fetchSnapshot(): Promise<Snapshot>;
  openStream(): EventSource;
}

export const WATCHDOG_MS = 40_000;
export const POLL_MS = 15_000;

export class Live {
  #stream: EventSource | null = null;
  #watchdog: ReturnType<typeof setTimeout> | undefined;
  #retry: ReturnType<typeof setTimeout> | undefined;
  #delay = 1000;
  #running = false;
  #turn = 0;

  constructor(
    private readonly parts: LiveParts,
    private readonly events: LiveEvents,
  ) {}

  start(): void {
    if (this.#running) return;
    this.#running = true;
    this.#delay = 1000;
    void this.#poll();
  }

  stop(): void {
    this.#running = false;
    this.#turn += 1;
    this.#close();
    clearTimeout(this.#retry);
  }

  /** The phone says it has a network again, or a person asks: no waiting. */
  now(): void {
    if (!this.#running) return;
    this.stop();
    this.start();
  }

  async #poll(): Promise<void> {
    const turn = ++this.#turn;
    try {
      const snapshot = await this.parts.fetchSnapshot();
      if (turn !== this.#turn) return;
      this.events.snapshot(snapshot);
      this.events.state('polling');
      this.#open();
    } catch {
      if (turn !== this.#turn) return;
      this.events.state('offline');
      this.#later();
    }
  }

  #open(): void {
    const stream = this.parts.openStream();
    this.#stream = stream;
    const on = (name: string, handle: (data: never) => void): void =>
      stream.addEventListener(name, (event) => {
        if (stream !== this.#stream) return;
        this.#delay = 1000;
        this.#arm();
        const data = JSON.parse((event as MessageEvent<string>).data);
        this.events.heard(data.at);
        handle(data as never);
        this.events.state('live');
      });
    on('snapshot', this.events.snapshot.bind(this.events));
    on('delta', this.events.delta.bind(this.events));
    on('heartbeat', () => {});
    stream.onerror = () => stream === this.#stream && this.#fail();
    this.#arm();
  }

  #arm(): void {
    clearTimeout(this.#watchdog);
    this.#watchdog = setTimeout(() => this.#fail(), WATCHDOG_MS);
  }

  #fail(): void {
    this.#close();
    this.#later();
  }

  #later(): void {
    clearTimeout(this.#retry);
    this.#retry = setTimeout(() => void this.#poll(), this.#delay);
    this.#delay = Math.min(this.#delay * 2, POLL_MS);
  }

  #close(): void {
    clearTimeout(this.#watchdog);
    this.#stream?.close();
    this.#stream = null;
  }
}
