import type { Run, Snapshot } from './types';

/** What a delta may hold: whole objects by key, null removes, absent is unchanged. */
export type Delta = { at: string } & {
  [K in 'zones' | 'runs' | 'nodes' | 'alerts' | 'sources']?: Record<string, Snapshot[K][string] | null>;
} & { [K in 'link' | 'hold' | 'weather' | 'farm']?: Snapshot[K] | null };

const KEYED = ['zones', 'runs', 'nodes', 'alerts', 'sources'] as const;
const WHOLE = ['link', 'hold', 'weather', 'farm'] as const;

/** The snapshot after the delta; the one given is left as it was. */
export function merge(snapshot: Snapshot, delta: Delta): Snapshot {
  const after: Record<string, unknown> = { ...snapshot, at: delta.at ?? snapshot.at };
  for (const key of WHOLE) {
    if (key in delta) after[key] = delta[key];
  }
  for (const key of KEYED) {
    const changes = delta[key];
    if (!changes) continue;
    const table: Record<string, unknown> = { ...snapshot[key] };
    for (const [id, value] of Object.entries(changes)) {
      if (value === null) delete table[id];
      else table[id] = value;
    }
    after[key] = table;
  }
  return after as unknown as Snapshot;
}

/** The answer to a POST may arrive after the stream has told a later state: the newer one stays. */
export function mergeRun(snapshot: Snapshot, run: Run): Snapshot {
  const known = snapshot.runs[run.id];
  if (known && Date.parse(known.at) > Date.parse(run.at)) return snapshot;
  return { ...snapshot, runs: { ...snapshot.runs, [run.id]: run } };
}
