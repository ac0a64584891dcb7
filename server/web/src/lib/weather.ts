import type { Condition } from './types';

/** What holds for all programs, and the rain that people expect (docs/api.md). */

export interface HouseRules { conditions?: Condition[] }
export interface Expected { hours: number; mm: number }
export interface Forecast { issued_at: string; rain: Expected[] }

export const SPANS = [24, 48, 72];
const MOST_MM = 300;

/** The sums with one a step up or down. All begin at the same moment, so that a longer span never holds less than a shorter. */
export function withSum(rain: Expected[], hours: number, direction: 1 | -1): Expected[] {
  const now = rain.find((one) => one.hours === hours)?.mm ?? 0;
  const size = direction > 0 ? (now < 20 ? 1 : 5) : now <= 20 ? 1 : 5;
  const mm = Math.min(MOST_MM, Math.max(0, now + direction * size));
  return rain.map((one) => ({ hours: one.hours, mm: one.hours === hours ? mm : one.hours > hours ? Math.max(one.mm, mm) : Math.min(one.mm, mm) }));
}

/** The sums as far ahead as `hours`: what is not known yet is as much as the span before it. */
export function asFarAs(rain: Expected[], hours: number): Expected[] {
  const spans = [...new Set([...SPANS, ...rain.map((one) => one.hours)])].filter((span) => span <= hours).sort((a, b) => a - b);
  return spans.map((span) => rain.find((one) => one.hours === span) ?? { hours: span, mm: Math.max(0, ...rain.filter((one) => one.hours < span).map((one) => one.mm)) });
}
