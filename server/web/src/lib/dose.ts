import type { Freshness } from './present';
import type { Dose, Zone } from './types';

/** The numbers behind the dose picker: what it starts from, how it steps, what fits the zone. */

export type Mode = 'minutes' | 'litres' | 'moisture';
export const MODES: Mode[] = ['minutes', 'litres', 'moisture'];
const PRESET_MINUTES = [10, 15, 20, 30, 45];

/** Whether the picker can show the dose as it is; one that it cannot is kept and said in words. */
export const pickable = (dose: Dose): boolean => !('depth_mm' in dose) && !('start_below_pct' in dose);

export const modeOf = (dose: Dose): Mode => ('minutes' in dose ? 'minutes' : 'litres' in dose ? 'litres' : 'moisture');

export const amountOf = (dose: Dose): number =>
  'minutes' in dose ? dose.minutes : 'litres' in dose ? dose.litres : 'depth_mm' in dose ? dose.depth_mm : dose.until_moisture_pct;

export const capMinutes = (zone: Zone): number => Math.max(1, Math.floor(zone.max_run_s / 60));

/** Why a mode cannot be chosen, as a key of the words; null when it can. */
export function blocked(mode: Mode, zone: Zone, freshness: Freshness): 'sheet.needs_meter' | 'sheet.needs_probe' | null {
  if (mode === 'litres' && !zone.has_meter) return 'sheet.needs_meter';
  if (mode === 'moisture' && freshness !== 'fresh') return 'sheet.needs_probe';
  return null;
}

export function startAmount(mode: Mode, zone: Zone): number {
  if (zone.last_dose && modeOf(zone.last_dose) === mode) return amountOf(zone.last_dose);
  const minutes = Math.min(20, capMinutes(zone));
  if (mode === 'minutes') return minutes;
  return mode === 'litres' ? Math.max(10, round(zone.flow_l_min * minutes, 10)) : Math.round(zone.moisture_high_pct);
}

export function presets(mode: Mode, zone: Zone): number[] {
  const minutes = PRESET_MINUTES.filter((n) => n <= capMinutes(zone));
  if (mode === 'minutes') return minutes;
  if (mode === 'moisture') return [];
  return [...new Set(minutes.map((n) => Math.max(10, round(zone.flow_l_min * n, zone.flow_l_min * n >= 1000 ? 100 : 10))))];
}

/** The next amount up or down: whole steps, small ones where the amount is small. */
export function step(mode: Mode, amount: number, way: 1 | -1, zone: Zone): number {
  const size = mode === 'moisture' ? 1
    : mode === 'minutes' ? (amount < 5 || (way < 0 && amount <= 5) ? 1 : 5)
      : amount < 200 || (way < 0 && amount <= 200) ? 10 : 50;
  const next = way > 0 ? Math.floor(amount / size + 1e-9) * size + size : Math.ceil(amount / size - 1e-9) * size - size;
  return bound(mode, next, zone);
}

export function bound(mode: Mode, amount: number, zone: Zone): number {
  if (mode === 'minutes') return Math.min(capMinutes(zone), Math.max(1, amount));
  if (mode === 'litres') return Math.max(10, amount);
  return Math.min(60, Math.max(5, amount));
}

export function makeDose(mode: Mode, amount: number, maxMinutes: number): Dose {
  if (mode === 'minutes') return { minutes: amount };
  if (mode === 'litres') return { litres: amount, max_minutes: maxMinutes };
  return { until_moisture_pct: amount, max_minutes: maxMinutes };
}

const round = (value: number, to: number): number => Math.round(value / to) * to;
