import { describe, expect, it } from 'vitest';
import { merge, mergeRun } from '../src/lib/merge';
import { at, run, snapshot, zone } from './farm';

describe('a delta', () => {
  const before = snapshot([zone('a'), zone('b')], [run('r1', 'a')]);

  it('replaces whole objects by key and leaves the others as they are', () => {
    const changed = zone('a', { name: 'A2' });
    const after = merge(before, { at: at(1), zones: { a: changed } });
    expect(after.zones.a).toBe(changed);
    expect(after.zones.b).toBe(before.zones.b);
    expect(after.at).toBe(at(1));
  });

  it('removes what it says is null, in tables and among the single values', () => {
    const held = merge(before, { at: at(1), hold: { until: at(99), reason: 'mưa' } });
    const after = merge(held, { at: at(2), runs: { r1: null }, hold: null });
    expect(after.runs).toEqual({});
    expect(after.hold).toBeNull();
  });

  it('adds what is new and does not touch the snapshot it was given', () => {
    const after = merge(before, { at: at(1), runs: { r2: run('r2', 'b') } });
    expect(Object.keys(after.runs)).toEqual(['r1', 'r2']);
    expect(Object.keys(before.runs)).toEqual(['r1']);
  });

  it('leaves a table alone that it does not name', () => {
    expect(merge(before, { at: at(1) }).nodes).toBe(before.nodes);
  });
});

describe('the answer to a POST', () => {
  it('does not put back a run that the stream has already told further', () => {
    const ahead = snapshot([zone('a')], [run('r1', 'a', { state: 'watering', at: at(5) })]);
    expect(mergeRun(ahead, run('r1', 'a', { state: 'asked', at: at(1) })).runs.r1?.state).toBe('watering');
  });

  it('shows a run that nobody has told of yet', () => {
    expect(mergeRun(snapshot([zone('a')]), run('r1', 'a')).runs.r1?.state).toBe('asked');
  });
});
