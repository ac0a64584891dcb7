import { call, newKey } from './api';
import type { Farm } from './farm.svelte';
import { mergeRun } from './merge';
import { ended, RECEIPT_MS } from './present';
import type { Place } from './queue';
import type { Dose, Run } from './types';
import { lang } from './words.svelte';

/** A program run by hand: what it would give, the order for it, and the runs that came of it. */

export interface HandPart { zone_id: string; dose: Dose; duration_s: number; litres: number | null; soak_s: number; turn_at: string | null }

export const foresee = (programId: string, place: Place): Promise<{ parts: HandPart[] }> =>
  call(`/programs/${programId}/run?queue=${place}`, { lang: lang() });

/** One order. Sent again it carries the same key, so that what the server has heard before waters once all the same. */
export class HandOrder {
  #key = newKey();

  constructor(readonly programId: string, readonly place: Place) {}

  async send(farm: Farm): Promise<Run[]> {
    const { runs } = await call<{ runs: Run[] }>(`/programs/${this.programId}/run`, { method: 'POST', body: { queue: this.place }, key: this.#key, lang: lang() });
    for (const run of runs) if (farm.snapshot) farm.snapshot = mergeRun(farm.snapshot, run);
    return runs;
  }
}

/** What people have asked of this program: all of it while some is under way, and for a while what became of it. */
export function handRuns(runs: Record<string, Run>, programId: string, now: number): Run[] {
  const own = Object.values(runs).filter((run) => run.program_id === programId && run.origin === 'person');
  const first = Math.min(...own.filter((run) => !ended(run)).map((run) => Date.parse(run.asked_at)));
  const fresh = (run: Run): boolean => Date.parse(run.asked_at) >= first || (run.ended_at !== null && now - Date.parse(run.ended_at) < RECEIPT_MS);
  const turn = (run: Run): number => Date.parse(run.opened_at ?? run.turn_at ?? run.ended_at ?? run.asked_at);
  return own.filter(fresh).sort((a, b) => turn(a) - turn(b) || a.id.localeCompare(b.id));
}
