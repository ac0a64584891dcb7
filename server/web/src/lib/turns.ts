import { dayName, dayNumber, local, instant } from './time';

/** Shared water as docs/api.md tells it, and what the screen makes of it. Times are ISO 8601 UTC strings. */

export interface Swap { kind?: 'swap'; id: string; round: number; household_a: string; household_b: string; agreed: string[] }
export interface Loan { kind?: 'loan'; id: string; round: number; lender: string; borrower: string; amount: number; repaid_in?: number | null; agreed: string[] }
export interface Share { household_id: string; amount: number }
export interface Ration { first: string; last: string; pct: number }
export interface Shortage { start: string; end?: string | null; flow_share?: number }
export interface Rota {
  source_id: string; unit: 'minutes' | 'litres'; anchor: string; period_days: number;
  shares: Share[]; swaps: Swap[]; loans: Loan[]; hours?: [string, string]; rations?: Ration[]; shortages?: Shortage[];
}
/** One that has left keeps its name for the accounts of its rounds. */
export interface Rotas { rotas: Rota[]; households: { id: string; name: string; zones: string[]; left_at?: string | null }[]; mine: string[] }
/** As their manager keeps them. `has_turns`: the sources at which it has some, in force or to begin. */
export interface Household { id: string; name: string; people: string[]; zones: string[]; has_turns: string[] }
export interface Households { households: Household[]; farmers: { name: string; display_name: string }[] }
/** `anchor` names the rota at its source that a turn or a round is of. */
export interface Turn { anchor: string; round: number; household_id: string; amount: number; start: string; end: string | null; spans: [string, string][]; now: boolean }
export interface Account {
  household_id: string; measured: 'metered' | 'estimated' | 'both' | 'none';
  entitled_l: number; lent_l: number; borrowed_l: number; received_l: number; outside_l: number; owed_l: number; not_taken_l: number; beyond_l: number;
}
export interface RoundAccount { anchor: string; round: number; start: string; end: string | null; households: Account[] }

export interface Agreement { id: string; round: number; kind: 'swap' | 'borrow'; sides: [string, string]; amount: number; repaidIn: number | null; missing: string[] }

/** Swaps and loans of rounds after `begun`; of a loan the lender stands first, of a swap who asked. */
export function agreements(rota: Rota, begun: number): Agreement[] {
  const found: Agreement[] = [
    ...rota.swaps.map((one) => of(one, 'swap', [one.household_a, one.household_b], 0, null)),
    ...rota.loans.map((one) => of(one, 'borrow', [one.lender, one.borrower], one.amount, one.repaid_in ?? null)),
  ];
  return found.filter((one) => one.round > begun).sort((a, b) => a.round - b.round || a.id.localeCompare(b.id));
}

/** The number of the last round of a rota that has begun: -1 when none has, endless when others have taken its place. */
export function lastBegun(rota: Rota, account: RoundAccount | undefined, now: number): number {
  if (account?.anchor === rota.anchor) return account.round;
  return Date.parse(rota.anchor) > now ? -1 : Infinity;
}

const of = (one: Swap | Loan, kind: Agreement['kind'], sides: [string, string], amount: number, repaidIn: number | null): Agreement =>
  ({ id: one.id, round: one.round, kind, sides, amount, repaidIn, missing: sides.filter((side) => !one.agreed.includes(side)) });

export interface Part { household_id: string; left: number; width: number }
export interface Day { ms: number; name: string; parts: Part[] }

/** `days` days from that of `first` on, each with its turns as shares of 24 hours in %. */
export function bars(turns: Turn[], now: number, tz: string, days: number, first = now): Day[] {
  const today = local(first, tz);
  return Array.from({ length: days }, (_, ahead) => {
    const from = instant(today.year, today.month, today.day + ahead, 0, 0, tz);
    const to = instant(today.year, today.month, today.day + ahead + 1, 0, 0, tz);
    const parts = turns.flatMap((turn) => turn.spans.map(([start, end]) => {
      const begin = Math.max(from, Date.parse(start)), last = Math.min(to, Date.parse(end));
      return { household_id: turn.household_id, left: ((begin - from) / (to - from)) * 100, width: ((last - begin) / (to - from)) * 100 };
    })).filter((part) => part.width > 0);
    return { ms: from, name: dayName(from, now, tz), parts };
  });
}

export interface Ahead { anchor: string; round: number; name: string }

/** The rounds ahead that nobody has begun, each of its rota, with the day on which it begins. */
export function ahead(turns: Turn[], rotas: Rota[], account: RoundAccount | undefined, now: number, tz: string): Ahead[] {
  const begun = new Map(rotas.map((rota) => [rota.anchor, lastBegun(rota, account, now)]));
  const found = new Map<string, Ahead>();
  for (const { anchor, round, start } of turns) {
    const key = `${anchor} ${round}`;
    if (round > (begun.get(anchor) ?? Infinity) && !found.has(key)) found.set(key, { anchor, round, name: dayName(Date.parse(start), now, tz) });
  }
  return [...found.values()];
}

/** How far ahead the turns are asked for, in days: some rounds of the slowest rota, and never more than the server tells. */
export const daysAhead = (rotas: Rota[]): number => Math.min(60, Math.max(21, ...rotas.map((rota) => 3 * rota.period_days)));

/** The next of these households' turns: the one under way, or the first that begins. */
export const nextOf = (turns: Turn[], households: string[], now: number): Turn | null =>
  turns.find((turn) => households.includes(turn.household_id) && Date.parse(turn.spans.at(-1)![1]) > now) ?? null;

export interface Times { clocks: string; days: string[]; every: number }

/** Turns by their clock times: those of three days and more that are evenly spaced as their first and last day, every so many days. */
export function byClock(turns: Turn[], clocksOf: (turn: Turn) => string, now: number, tz: string): Times[] {
  const found = new Map<string, Turn[]>();
  for (const turn of turns) found.set(clocksOf(turn), [...(found.get(clocksOf(turn)) ?? []), turn]);
  return [...found].map(([clocks, own]) => {
    const on = own.map((turn) => dayNumber(Date.parse(turn.start), tz));
    const every = on.length > 2 && on.every((day, i) => i === 0 || day - on[i - 1]! === on[1]! - on[0]!) ? on[1]! - on[0]! : 0;
    return { clocks, days: (every ? [own[0]!, own.at(-1)!] : own).map((turn) => dayName(Date.parse(turn.start), now, tz)), every };
  });
}

/** The time that these turns have the water, in hours. */
export const hoursOf = (turns: Turn[]): number =>
  turns.reduce((sum, turn) => turn.spans.reduce((all, [start, end]) => all + (Date.parse(end) - Date.parse(start)) / 3600_000, sum), 0);

/** Whether a turn runs over more than one day, so that its end needs a day too. */
export const sameDay = (a: string, b: string, tz: string): boolean => dayNumber(Date.parse(a), tz) === dayNumber(Date.parse(b), tz);
