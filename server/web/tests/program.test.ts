import { describe, expect, it } from 'vitest';
import { calendarText, draftOf, moreLines, startText } from '../src/lib/program';
import { pickable } from '../src/lib/dose';
import { doseText } from '../src/lib/say';
import type { Calendar, Program } from '../src/lib/types';

const CALENDARS: Calendar[] = [
  { kind: 'weekly', days: [1, 3] }, { kind: 'every_n_days', n: 3, anchor: '2026-11-01' }, { kind: 'odd_days' }, { kind: 'even_days' },
  { kind: 'month_days', days: [1, 15], last: true }, { kind: 'dates', dates: ['2026-11-25'] }, { kind: 'cron', expression: '0 5 * * *' },
];

const program = {
  id: 'p', version: 3, updated_at: '2026-11-23T00:00:00Z', updated_by: 'mai', name: 'Sáng', enabled: true,
  calendar: CALENDARS[6]!, starts: [{ sun: 'sunset', offset_min: -30 }],
  zones: [{ zone_id: 'a', dose: { depth_mm: 4 }, cycle: { on_minutes: 6, soak_minutes: 20 } }],
  repeat: { every_min: 45, until: '00:30' }, seasons: [{ first: '11-15', last: '03-31' }], dry_days: { weekdays: [7] },
  windows: [{ begin: '20:00', end: { sun: 'sunrise' } }], finish: { if_late: 'shorten' }, adjust: { months_pct: [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12] },
  order: 'driest-first', pause_s: -60, priority: 1, rule_of_tomorrow: { deep: [1] },
} as unknown as Program;

describe('a program', () => {
  it('loses nothing on its way through the editor, not even what this app does not know', () => {
    const { id: _id, version: _v, updated_at: _a, updated_by: _b, ...all } = program as unknown as Record<string, unknown>;
    expect(draftOf(program)).toEqual(all);
  });

  it('has a sentence of its own for every kind of days', () => {
    const said = CALENDARS.map(calendarText);
    expect(new Set(said).size).toBe(CALENDARS.length);
    for (const text of said) expect(text).not.toMatch(/[{}]|undefined|program\./);
    expect(calendarText({ kind: 'moon' } as unknown as Calendar)).not.toBe('');
  });

  it('says everything else that it does, one sentence each', () => {
    const lines = moreLines(program);
    expect(lines).toHaveLength(9);
    for (const line of [...lines, startText(program.starts[0]!), doseText({ depth_mm: 4 })]) expect(line).not.toMatch(/[{}]|undefined|more\.|sun\./);
  });

  it('keeps doses that the picker cannot show out of it', () => {
    expect(pickable({ depth_mm: 4 })).toBe(false);
    expect(pickable({ until_moisture_pct: 36, start_below_pct: 28, max_minutes: 30 })).toBe(false);
    expect(pickable({ until_moisture_pct: 36, max_minutes: 30 })).toBe(true);
  });
});
