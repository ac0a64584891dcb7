import type { Dose, Run, Snapshot, Valve, Zone } from './types';

/** How a zone looks, from what is known. Pure: the time is an argument, in ms. */

/** fresh: shown. stale: old or doubted, "18%?" hatched. lost: no number, only since when. none: no probe, or nothing yet. */
export type Freshness = 'fresh' | 'stale' | 'lost' | 'none';

export type Soil = 'dry' | 'fine' | 'wet';

/** An order between the tap and the server's answer. It lives on this screen only and is never sent again by itself. */
export interface Order {
  key: string;
  zoneId: string;
  dose: Dose;
  askedAt: number;
  phase: 'sending' | 'cancelling' | 'failed';
  /** A sentence to show, once failed. */
  reason: string;
  field: string | null;
}

export type Look =
  | 'close_failed' | 'quarantined' | 'failed' | 'sending' | 'pending' | 'queued' | 'cancelling' | 'open' | 'no_flow' | 'watering' | 'closing'
  | Soil | 'stale' | 'unknown';

export interface ZoneView {
  zone: Zone;
  look: Look;
  /** For the test hook: the run's own state, or the soil's. */
  state: string;
  rank: number;
  freshness: Freshness;
  soil: Soil | null;
  run: Run | null;
  order: Order | null;
  valve: Valve | null;
}

export const STALE_AFTER = 3;
export const LOST_AFTER = 6;
export const NO_FLOW_AFTER_MS = 30_000;
/** How long a finished run keeps its receipt on the home screen. */
export const RECEIPT_MS = 180_000;

const FAILED = new Set(['refused', 'expired', 'failed', 'interrupted']);
const ENDED = new Set([...FAILED, 'done', 'stopped']);

export const ended = (run: Run): boolean => ENDED.has(run.state);
export const failed = (run: Run): boolean => FAILED.has(run.state);

export function freshness(zone: Zone, now: number): Freshness {
  if (!zone.moisture) return 'none';
  const age = now - Date.parse(zone.moisture.at);
  const interval = zone.report_every_s * 1000;
  if (zone.moisture.value === null || zone.moisture.quality === 'stale' || age > LOST_AFTER * interval) return 'lost';
  if (age > STALE_AFTER * interval || zone.moisture.quality !== 'good') return 'stale';
  return 'fresh';
}

export function soil(zone: Zone): Soil | null {
  if (!zone.moisture || zone.moisture.value === null) return null;
  if (zone.moisture.value < zone.moisture_low_pct) return 'dry';
  return zone.moisture.value > zone.moisture_high_pct ? 'wet' : 'fine';
}

/** "On" is said only of what the board has confirmed, and "water" only of what the meter has. */
export function runLook(run: Run, now: number): Look | null {
  if (run.stopping && !ended(run)) return run.opened_at ? 'closing' : 'cancelling';
  switch (run.state) {
    case 'asked':
    case 'accepted':
    case 'opening':
      return 'pending';
    case 'queued':
      return 'queued';
    case 'open':
      return run.has_meter && run.opened_at && now - Date.parse(run.opened_at) > NO_FLOW_AFTER_MS ? 'no_flow' : 'open';
    case 'watering':
      return 'watering';
    case 'closing':
      return run.opened_at ? 'closing' : 'cancelling';
    default:
      return failed(run) ? 'failed' : null;
  }
}

/** The run that the zone's card speaks of: the one under way, else the last if it failed and nobody has put it away. */
export function runOf(snapshot: Snapshot, zone: Zone, dismissed: ReadonlySet<string>): Run | null {
  const own = Object.values(snapshot.runs).filter((run) => run.zone_id === zone.id);
  const current = zone.run_id ? snapshot.runs[zone.run_id] : undefined;
  if (current && !ended(current)) return current;
  own.sort((a, b) => Date.parse(b.asked_at) - Date.parse(a.asked_at));
  const underWay = own.find((run) => !ended(run));
  if (underWay) return underWay;
  const last = own[0];
  return last && failed(last) && !dismissed.has(last.id) ? last : null;
}

export function valveOf(snapshot: Snapshot, zone: Zone): Valve | null {
  return snapshot.nodes[zone.node_id]?.valves.find((valve) => valve.channel === zone.channel) ?? null;
}

/** When the zone's board was last heard, in ms, if what it said may no longer be so; null while it is heard. */
export function unheardSince(snapshot: Snapshot, zone: Zone, offline: boolean): number | null {
  const node = snapshot.nodes[zone.node_id];
  if (!offline && snapshot.link.gateway_online && node?.online !== false) return null;
  return node?.last_heard ? Date.parse(node.last_heard) : heardAt(snapshot);
}

const RANKS: Record<Look, number> = {
  close_failed: 0, quarantined: 1, failed: 1, sending: 2, pending: 2, queued: 2, cancelling: 2, open: 2, no_flow: 2, watering: 2, closing: 2,
  dry: 3, stale: 4, unknown: 4, fine: 5, wet: 5,
};

export function viewZone(
  snapshot: Snapshot, zone: Zone, order: Order | null, dismissed: ReadonlySet<string>, now: number,
): ZoneView {
  const run = runOf(snapshot, zone, dismissed);
  const valve = valveOf(snapshot, zone);
  const fresh = freshness(zone, now);
  const wetness = soil(zone);
  let look: Look = fresh === 'fresh' && wetness ? wetness : fresh === 'none' ? 'unknown' : 'stale';
  let state: string = look;
  const byRun = run && runLook(run, now);
  if (run && byRun) {
    look = byRun;
    state = run.state;
  }
  // A tap is newer than a failure, but never hides an open valve.
  if (order && (!run || ended(run))) {
    look = order.phase;
    state = order.phase;
  }
  if (valve?.quarantine && (!run || ended(run))) look = state = 'quarantined';
  if (valve?.state === 'close_failed') look = state = 'close_failed';
  return { zone, look, state, rank: RANKS[look], freshness: fresh, soil: wetness, run, order, valve };
}

/** Failed, running or pending, dry, stale, fine; by name within. */
export function sortViews(views: ZoneView[]): ZoneView[] {
  return [...views].sort((a, b) => a.rank - b.rank || a.zone.name.localeCompare(b.zone.name));
}

export const RUNNING: ReadonlySet<Look> = new Set<Look>(['open', 'no_flow', 'watering', 'closing']);
export const PENDING: ReadonlySet<Look> = new Set<Look>(['sending', 'pending', 'cancelling']);

/** The newest moment of which the snapshot knows anything from the farm. */
export function heardAt(snapshot: Snapshot): number {
  const times = [
    snapshot.link.last_heard,
    ...Object.values(snapshot.nodes).map((node) => node.last_heard),
    ...Object.values(snapshot.zones).map((zone) => zone.moisture?.at ?? null),
  ];
  return Math.max(0, ...times.map((time) => (time ? Date.parse(time) : 0)));
}

/** Runs of the last minutes that ended well: their receipts. */
export function receipts(snapshot: Snapshot, now: number, dismissed: ReadonlySet<string>): Run[] {
  return Object.values(snapshot.runs).filter(
    (run) =>
      (run.state === 'done' || run.state === 'stopped') && run.ended_at !== null && run.opened_at !== null &&
      now - Date.parse(run.ended_at) < RECEIPT_MS && !dismissed.has(run.id),
  );
}

/** The runs that wait their turn, in the order in which it is expected; those without one last. */
export function queue(snapshot: Snapshot): Run[] {
  const turn = (run: Run): number => (run.turn_at ? Date.parse(run.turn_at) : Infinity);
  return Object.values(snapshot.runs).filter((run) => run.state === 'queued')
    .sort((a, b) => turn(a) - turn(b) || Date.parse(a.asked_at) - Date.parse(b.asked_at));
}

/** How far a run has come, 0 to 1, by what its dose counts. */
export function progress(run: Run, now: number): number {
  if ('litres' in run.dose && run.has_meter) return clamp((run.litres ?? 0) / run.dose.litres);
  if (!run.opened_at || !run.closes_at) return 0;
  const from = Date.parse(run.opened_at);
  return clamp((now - from) / Math.max(1, Date.parse(run.closes_at) - from));
}

const clamp = (x: number): number => Math.min(1, Math.max(0, x));
