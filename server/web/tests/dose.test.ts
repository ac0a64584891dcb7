import { describe, expect, it } from 'vitest';
import { blocked, bound, makeDose, presets, startAmount, step } from '../src/lib/dose';
import { zone } from './farm';

describe('the dose picker', () => {
  it('starts from what the person chose here last', () => {
    expect(startAmount('minutes', zone('a', { last_dose: { minutes: 12 } }))).toBe(12);
    expect(startAmount('minutes', zone('a'))).toBe(20);
    expect(startAmount('litres', zone('a'))).toBe(960);
    expect(startAmount('moisture', zone('a'))).toBe(36);
  });

  it('steps in fives, in ones below five, and never past the zone’s limit', () => {
    const small = zone('a', { max_run_s: 1800 });
    expect(step('minutes', 20, 1, small)).toBe(25);
    expect(step('minutes', 12, 1, small)).toBe(15);
    expect(step('minutes', 12, -1, small)).toBe(10);
    expect(step('minutes', 5, -1, small)).toBe(4);
    expect(step('minutes', 30, 1, small)).toBe(30);
    expect(step('minutes', 1, -1, small)).toBe(1);
    expect(bound('minutes', 99, small)).toBe(30);
  });

  it('offers presets that fit', () => {
    expect(presets('minutes', zone('a'))).toEqual([10, 15, 20, 30, 45]);
    expect(presets('minutes', zone('a', { max_run_s: 1200 }))).toEqual([10, 15, 20]);
  });

  it('says why a mode cannot be chosen', () => {
    expect(blocked('litres', zone('a', { has_meter: false }), 'fresh')).toBe('sheet.needs_meter');
    expect(blocked('moisture', zone('a'), 'stale')).toBe('sheet.needs_probe');
    expect(blocked('minutes', zone('a', { has_meter: false }), 'none')).toBeNull();
  });

  it('makes exactly one kind of dose, with a time cap where the clock is not the measure', () => {
    expect(makeDose('minutes', 20, 60)).toEqual({ minutes: 20 });
    expect(makeDose('litres', 900, 60)).toEqual({ litres: 900, max_minutes: 60 });
    expect(makeDose('moisture', 36, 60)).toEqual({ until_moisture_pct: 36, max_minutes: 60 });
  });
});
