import { ended } from './present';
import type { Snapshot } from './types';

/** Where a watering stands in the queue of its source, and what that does to others. */

export type Place = 'append' | 'front' | 'replace';
export const PLACES: Place[] = ['append', 'front', 'replace'];

export interface Others { running: string[]; waiting: string[] }

/** Who else waters from these sources now, and who waits for them, by the names of their zones. */
export function others(snapshot: Snapshot, sources: string[], own: string[] = []): Others {
  const found: Others = { running: [], waiting: [] };
  for (const run of Object.values(snapshot.runs)) {
    const zone = snapshot.zones[run.zone_id];
    if (!zone || ended(run) || own.includes(zone.id) || !sources.includes(zone.source_id)) continue;
    const list = run.state === 'queued' ? found.waiting : found.running;
    if (!list.includes(zone.name)) list.push(zone.name);
  }
  return found;
}
