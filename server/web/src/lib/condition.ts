import type { Condition, ConditionKind } from './types';
import { t, tCode } from './words.svelte';

/** What a condition of each kind begins with, and in which steps and bounds its limit is set. The server has the last word. */
export const KINDS: Record<ConditionKind, { limit: number; step: number; low: number; high: number; hours?: number }> = {
  'rain-fallen': { limit: 5, step: 1, low: 1, high: 100, hours: 24 },
  'rain-forecast': { limit: 10, step: 1, low: 1, high: 100, hours: 24 },
  'soil-wet': { limit: 34, step: 1, low: 5, high: 60 },
  frost: { limit: 2, step: 1, low: -10, high: 15 },
  wind: { limit: 6, step: 1, low: 1, high: 20 },
  heat: { limit: 38, step: 1, low: 25, high: 50 },
  'source-low': { limit: 20, step: 5, low: 0, high: 95 },
};

export const MISSING = ['run', 'skip', 'ask'] as const;

export function newCondition(kind: ConditionKind): Condition {
  const { limit, hours } = KINDS[kind];
  return { kind, limit, ...(hours ? { hours } : {}) };
}

/** The same condition with its limit a step up or down; where it lets go moves along. */
export function stepped(condition: Condition, direction: 1 | -1): Condition {
  const { step, low, high } = KINDS[condition.kind];
  const limit = Math.min(high, Math.max(low, condition.limit + direction * step));
  const moved = limit - condition.limit;
  return { ...condition, limit, ...(condition.release === undefined ? {} : { release: condition.release + moved }) };
}

/** The condition in one sentence: "Not if 5 mm of rain or more fell in 24 h". */
export function conditionText(condition: Condition): string {
  const { kind, limit, release } = condition;
  const said = tCode('cond', kind, { limit, hours: condition.hours ?? 24 }, 'cond.other');
  return release === undefined || release === limit ? said : `${said} ${t('cond.release', { release })}`;
}
