import { instant, local } from './time';
import type { Ration, Rota, Share, Shortage } from './turns';

/** A rota as a manager sets it. What has begun is never changed: other turns begin at an anchor to come. */

export interface RotaDraft {
  unit: Rota['unit']; anchor: string; period_days: number; shares: Share[]; hours: [string, string] | null; rations: Ration[];
}

export const EMPTY_SHARE = { minutes: 60, litres: 3000 } as const;
export const SHARE_STEP = { minutes: 10, litres: 500 } as const;

export const draftOf = (rota: Rota): RotaDraft => ({
  unit: rota.unit, anchor: rota.anchor, period_days: rota.period_days, shares: rota.shares, hours: rota.hours ?? null, rations: rota.rations ?? [],
});

/** Whether these are the turns of `rota`, which only get other rations. */
export const sameTurns = (draft: RotaDraft, rota: Rota): boolean =>
  JSON.stringify({ ...draft, rations: [] }) === JSON.stringify({ ...draftOf(rota), rations: [] });

/** The first moment after `now` at which a round of that rota would begin if all keep their time: where others may begin. */
export function nextRound(rota: Pick<Rota, 'anchor' | 'period_days'>, now: number, tz: string): string {
  const first = Date.parse(rota.anchor);
  const l = local(first, tz);
  const passed = Math.max(0, Math.floor((now - first) / 86400_000 / rota.period_days));
  for (let round = passed; ; round += 1) {
    const at = instant(l.year, l.month, l.day + round * rota.period_days, l.hour, l.minute, tz);
    if (at > now) return new Date(at).toISOString();
  }
}

/** What is sent. Of shortages that people told, those that reach beyond another rota's beginning go with it. */
export function bodyOf(draft: RotaDraft, rota: Rota | null): Record<string, unknown> {
  const told: Shortage[] = rota?.shortages ?? [];
  const shortages = rota && sameTurns(draft, rota) ? told : told.filter((one) => !one.end || one.end > draft.anchor);
  const { hours, ...rest } = draft;
  return { ...rest, ...(hours ? { hours } : {}), shortages };
}

/** From when on and for how many days a draft is shown: from today, or from the day on which its turns begin. */
export function shownFrom(draft: RotaDraft, now: number, tz: string): { from: number; days: number } {
  const l = local(Date.parse(draft.anchor), tz);
  const midnight = instant(l.year, l.month, l.day, 0, 0, tz);
  return { from: midnight - now > 2 * 86400_000 ? midnight : now, days: Math.min(60, Math.max(7, draft.period_days)) };
}

/** The hours of a day in which turns run. */
export function openHours(hours: RotaDraft['hours']): number {
  if (!hours) return 24;
  const [from, to] = hours.map((clock) => Number(clock.slice(0, 2)) + Number(clock.slice(3, 5)) / 60) as [number, number];
  return Math.max(0, to - from);
}

/** How many hours all shares of a round take at the source's flow, and how many a round has. */
export function load(draft: RotaDraft, capacityLMin: number): { wantedH: number; openH: number } {
  const sum = draft.shares.reduce((all, share) => all + share.amount, 0);
  return { wantedH: (draft.unit === 'minutes' ? sum : sum / Math.max(0.01, capacityLMin)) / 60, openH: openHours(draft.hours) * draft.period_days };
}
