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
export interface Rotas { rotas: Rota[]; households: { id: string; name: string; zones: string[] }[]; mine: string[] }
export interface Turn { round: number; household_id: string; amount: number; start: string; end: string | null; spans: [string, string][]; now: boolean }
export interface Account {
  household_id: string; measured: 'metered' | 'estimated' | 'both' | 'none';
  entitled_l: number; lent_l: number; borrowed_l: number; received_l: number; outside_l: number; owed_l: number; not_taken_l: number; beyond_l: number;
}
export interface RoundAccount { round: number; start: string; end: string | null; households: Account[] }

export interface Agreement { id: string; round: number; kind: 'swap' | 'borrow'; sides: [string, string]; amount: number; repaidIn: number | null; missing: string[] }

/** Swaps and loans of rounds that have not begun; of a loan the lender stands first, of a swap who asked. */
export function agreements(rota: Rota, begun: number): Agreement[] {
  const found: Agreement[] = [
    ...rota.swaps.map((one) => of(one, 'swap', [one.household_a, one.household_b], 0, null)),
    ...rota.loans.map((one) => of(one, 'borrow', [one.lender, one.borrower], one.amount, one.repaid_in ?? null)),
  ];
  return found.filter((one) => one.round > begun).sort((a, b) => a.round - b.round || a.id.localeCompare(b.id));
}

const of = (one: Swap | Loan, kind: Agreement['kind'], sides: [string, string], amount: number, repaidIn: number | null): Agreement =>
  ({ id: one.id, round: one.round, kind, sides, amount, repaidIn, missing: sides.filter((side) => !one.agreed.includes(side)) });

export interface Part { household_id: string; left: number; width: number }
export interface Day { ms: number; name: string; parts: Part[] }

/** The next `days` days, each with its turns as shares of 24 hours in %. */
export function bars(turns: Turn[], now: number, tz: string, days: number): Day[] {
  const today = local(now, tz);
  return Array.from({ length: days }, (_, ahead) => {
    const from = instant(today.year, today.month, today.day + ahead, 0, 0, tz);
    const to = instant(today.year, today.month, today.day + ahead + 1, 0, 0, tz);
    const parts = turns.flatMap((turn) => turn.spans.map(([start, end]) => {
      const first = Math.max(from, Date.parse(start)), last = Math.min(to, Date.parse(end));
      return { household_id: turn.household_id, left: ((first - from) / (to - from)) * 100, width: ((last - first) / (to - from)) * 100 };
    })).filter((part) => part.width > 0);
    return { ms: from, name: dayName(from, now, tz), parts };
  });
}

/** The rounds ahead that nobody has begun, with the day on which each begins. */
export function ahead(turns: Turn[], begun: number, now: number, tz: string): { round: number; name: string }[] {
  const found = new Map<number, string>();
  for (const turn of turns) if (turn.round > begun && !found.has(turn.round)) found.set(turn.round, dayName(Date.parse(turn.start), now, tz));
  return [...found].map(([round, name]) => ({ round, name }));
}

/** The next of these households' turns: the one under way, or the first that begins. */
export const nextOf = (turns: Turn[], households: string[], now: number): Turn | null =>
  turns.find((turn) => households.includes(turn.household_id) && Date.parse(turn.spans.at(-1)![1]) > now) ?? null;

/** Whether a turn runs over more than one day, so that its end needs a day too. */
export const sameDay = (a: string, b: string, tz: string): boolean => dayNumber(Date.parse(a), tz) === dayNumber(Date.parse(b), tz);
