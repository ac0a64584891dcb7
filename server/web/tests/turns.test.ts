import { cleanup, fireEvent, render, screen, waitFor } from '@testing-library/svelte';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import Turns from '../src/screens/Turns.svelte';
import { Farm } from '../src/lib/farm.svelte';
import { agreements, ahead, bars, byClock, daysAhead, hoursOf, nextOf, type Rota, type RoundAccount, type Turn } from '../src/lib/turns';
import { NOW, snapshot, zone } from './farm';

const TZ = 'Asia/Ho_Chi_Minh';
const HOUR = 3600_000;
const iso = (ms: number): string => new Date(ms).toISOString();
/** Midnight of today at the farm. */
const MIDNIGHT = Math.floor((NOW + 7 * HOUR) / (24 * HOUR)) * 24 * HOUR - 7 * HOUR;
const ANCHOR = iso(MIDNIGHT - 240 * HOUR);
const turn = (round: number, household_id: string, from: number, to: number): Turn => ({
  anchor: ANCHOR, round, household_id, amount: (to - from) * 60, start: iso(MIDNIGHT + from * HOUR), end: iso(MIDNIGHT + to * HOUR),
  spans: [[iso(MIDNIGHT + from * HOUR), iso(MIDNIGHT + to * HOUR)]], now: false,
});
const rota = (more: Partial<Rota> = {}): Rota => ({
  source_id: 'tank', unit: 'minutes', anchor: ANCHOR, period_days: 1,
  shares: [{ household_id: 'mai', amount: 60 }, { household_id: 'lan', amount: 120 }], swaps: [], loans: [], ...more,
});

describe('the picture of the turns', () => {
  it('may begin on another day than today', () => {
    const days = bars([turn(1, 'mai', 72, 78)], MIDNIGHT, TZ, 2, MIDNIGHT + 71 * HOUR);
    expect(days.map((day) => [day.ms, day.parts.length])).toEqual([[MIDNIGHT + 48 * HOUR, 0], [MIDNIGHT + 72 * HOUR, 1]]);
  });

  it('counts the hours of water, without what the source lacked', () => {
    expect(hoursOf([turn(1, 'mai', 1, 2), { ...turn(2, 'mai', 0, 12), spans: [[iso(MIDNIGHT), iso(MIDNIGHT + 1.5 * HOUR)]] }])).toBe(2.5);
  });

  it('has a line for each day, and a turn over midnight on both of them', () => {
    const days = bars([turn(1, 'mai', 18, 30)], MIDNIGHT + HOUR, TZ, 3);
    expect(days.map((day) => day.parts)).toEqual([
      [{ household_id: 'mai', left: 75, width: 25 }], [{ household_id: 'mai', left: 0, width: 25 }], [],
    ]);
  });

  it('leaves out what the source lacked within a turn', () => {
    const cut = { ...turn(1, 'mai', 0, 12), spans: [[iso(MIDNIGHT), iso(MIDNIGHT + 6 * HOUR)], [iso(MIDNIGHT + 9 * HOUR), iso(MIDNIGHT + 12 * HOUR)]] as [string, string][] };
    expect(bars([cut], MIDNIGHT, TZ, 1)[0]!.parts.map((part) => [part.left, part.width])).toEqual([[0, 25], [37.5, 12.5]]);
  });
});

const begun = (round: number): RoundAccount => ({ anchor: ANCHOR, round, start: iso(MIDNIGHT), end: null, households: [] });

describe('what is ahead', () => {
  it('names the rounds that have not begun, each once, by the day of its first turn', () => {
    const found = ahead([turn(3, 'lan', 1, 2), turn(4, 'mai', 24, 25), turn(4, 'lan', 25, 26)], [rota()], begun(3), MIDNIGHT, TZ);
    expect(found).toEqual([{ anchor: ANCHOR, round: 4, name: 'Ngày mai' }]);
  });

  it('names those of turns that are to begin, which are counted anew, and none of turns that have ended', () => {
    const soon = iso(MIDNIGHT + 24 * HOUR), past = iso(MIDNIGHT - 480 * HOUR);
    const turns = [{ ...turn(9, 'mai', 1, 2), anchor: past }, turn(3, 'lan', 1, 2), { ...turn(0, 'mai', 24, 25), anchor: soon }, { ...turn(1, 'mai', 48, 49), anchor: soon }];
    const rotas = [rota({ anchor: past }), rota(), rota({ anchor: soon })];
    expect(ahead(turns, rotas, begun(3), MIDNIGHT, TZ).map((one) => [one.anchor, one.round])).toEqual([[soon, 0], [soon, 1]]);
    expect(ahead(turns.slice(2), rotas.slice(2), undefined, MIDNIGHT, TZ).map((one) => one.round)).toEqual([0, 1]);
  });

  it('is told by its clock times: evenly spaced days as the first and the last', () => {
    const of = [0, 1, 2].map((day) => turn(day, 'mai', 24 * day + 5, 24 * day + 6)).concat([turn(3, 'mai', 80, 81), turn(4, 'mai', 104, 105)]);
    const clocks = (one: Turn): string => one.start.slice(11, 16);
    expect(byClock(of, clocks, MIDNIGHT, TZ)).toEqual([
      { clocks: '22:00', days: ['Hôm nay', 'T5 26/11'], every: 1 }, { clocks: '01:00', days: ['T6 27/11', 'T7 28/11'], every: 0 },
    ]);
    expect(byClock([of[0]!, of[1]!, turn(5, 'mai', 77, 78)], clocks, MIDNIGHT, TZ)[0]).toMatchObject({ days: ['Hôm nay', 'Ngày mai', 'T6 27/11'], every: 0 });
  });

  it('is asked for over some rounds of the slowest turns, as far as the server tells', () => {
    expect([1, 10, 40].map((period_days) => daysAhead([rota(), rota({ period_days })]))).toEqual([21, 30, 60]);
  });

  it('finds the next turn of the household, the one under way first', () => {
    const all = [turn(1, 'mai', 1, 2), turn(1, 'lan', 2, 4), turn(2, 'mai', 25, 26)];
    expect(nextOf(all, ['mai'], MIDNIGHT + 1.5 * HOUR)).toBe(all[0]);
    expect(nextOf(all, ['mai'], MIDNIGHT + 2 * HOUR)).toBe(all[2]);
    expect(nextOf(all, [], MIDNIGHT)).toBeNull();
  });

  it('tells who has still to agree, and forgets what has begun', () => {
    const of = rota({
      swaps: [{ id: 's', round: 3, household_a: 'mai', household_b: 'lan', agreed: ['mai'] }],
      loans: [{ id: 'l', round: 2, lender: 'lan', borrower: 'mai', amount: 30, agreed: ['lan', 'mai'] }],
    });
    expect(agreements(of, 2).map((one) => [one.id, one.missing])).toEqual([['s', ['lan']]]);
    expect(agreements(of, 1).map((one) => [one.id, one.missing.length])).toEqual([['l', 0], ['s', 1]]);
  });
});

interface Sent { path: string; method: string; body: unknown }

describe('the screen of the turns', () => {
  let sent: Sent[];
  let of: Rota;
  let more: Rota[];
  let turns: Turn[];
  let refused: number;
  const json = (status: number, body: unknown): Response => new Response(JSON.stringify(body), { status, headers: { 'Content-Type': 'application/json' } });
  const account = (household_id: string) => ({
    household_id, measured: 'both', entitled_l: 3600, lent_l: 0, borrowed_l: 600, received_l: 900, metered_l: 600, estimated_l: 300,
    outside_l: 300, offered_l: 4200, owed_l: 0, not_taken_l: 3300, beyond_l: 0,
  });

  beforeEach(() => {
    sent = [];
    refused = 0;
    of = rota({ swaps: [{ id: 'swap-1', round: 12, household_a: 'lan', household_b: 'mai', agreed: ['lan'] }] });
    more = [];
    turns = [{ ...turn(10, 'lan', 0, 24), now: true }, turn(11, 'mai', 29, 30), turn(12, 'mai', 53, 54), turn(12, 'lan', 54, 56)];
    vi.stubGlobal('fetch', async (path: string, init: RequestInit) => {
      const one = { path, method: init.method ?? 'GET', body: init.body ? JSON.parse(String(init.body)) : null };
      if (one.method !== 'GET') {
        sent.push(one);
        return refused ? json(refused, { type: 'x/round-begun', detail: 'Vòng đó đã bắt đầu.' }) : json(200, {});
      }
      if (path.endsWith('/rotas')) return json(200, { rotas: [of, ...more], households: [{ id: 'mai', name: 'Nhà Mai', zones: [] }, { id: 'lan', name: 'Nhà Lan', zones: [] }], mine: ['mai'] });
      if (path.includes('/turns')) return json(200, { turns });
      return json(200, { rounds: [{ anchor: ANCHOR, round: 10, start: iso(MIDNIGHT), end: null, households: [account('mai'), account('lan')] }] });
    });
  });
  afterEach(() => {
    cleanup();
    vi.unstubAllGlobals();
    localStorage.clear();
  });

  async function shown(): Promise<Farm> {
    const farm = new Farm();
    farm.now = NOW;
    farm.me = { name: 'mai', display_name: 'Mai', role: 'farmer', language: 'vi', farms: [{ id: 'mai', name: 'Mai' }] };
    farm.snapshot = snapshot([zone('a')], []);
    farm.connection = 'live';
    render(Turns, { farm });
    await waitFor(() => screen.getByTestId('turn-now'));
    return farm;
  }

  it('says whose turn it is and until when, mine next, and my account with how it was measured', async () => {
    await shown();
    expect(screen.getByTestId('turn-now').textContent).toContain('Đang lượt Nhà Lan');
    expect(screen.getByTestId('turn-now').textContent).toContain('00:00 ngày mai');
    expect(screen.getByTestId('turn-mine').textContent).toContain('05:00 ngày mai');
    const told = screen.getByTestId('turn-account').textContent ?? '';
    for (const words of ['900', '4.200', 'một phần ước', '3.300', 'Lấy ngoài lượt']) expect(told).toContain(words);
  });

  it('agrees for the household that is asked, and no other', async () => {
    await shown();
    await fireEvent.click(screen.getByTestId('turn-agree'));
    expect(sent).toEqual([{ path: '/api/v1/farms/mai/agreements/swap-1/agree', method: 'POST', body: { household_id: 'mai' } }]);
  });

  it('asks for a swap in a round that has not begun', async () => {
    await shown();
    await fireEvent.click(screen.getByTestId('turn-ask'));
    await fireEvent.change(screen.getByTestId('turn-round'), { target: { value: '1' } });
    await fireEvent.click(screen.getByTestId('turn-send'));
    expect(sent[0]).toEqual({
      path: '/api/v1/farms/mai/sources/tank/agreements', method: 'POST',
      body: { kind: 'swap', household_id: 'mai', anchor: ANCHOR, round: 12, household_a: 'mai', household_b: 'lan' },
    });
    await waitFor(() => expect(screen.queryByTestId('sheet')).toBeNull());
  });

  it('asks for a loan of turns that are to begin, by their own shares and unit, and says from when they are', async () => {
    const soon = iso(MIDNIGHT + 24 * HOUR);
    more = [rota({ anchor: soon, unit: 'litres', shares: [{ household_id: 'tung', amount: 4000 }, { household_id: 'mai', amount: 3000 }], loans: [{ id: 'l', round: 1, lender: 'tung', borrower: 'mai', amount: 500, agreed: ['tung'] }] })];
    turns = [turns[0]!, { ...turn(0, 'mai', 24, 26), anchor: soon }, { ...turn(1, 'tung', 48, 49), anchor: soon }];
    await shown();
    expect(screen.getByTestId('turn-new').textContent).toBe('Lượt mới từ 00:00 ngày mai');
    expect(screen.getByTestId('turn-talk').textContent).toContain('cho Nhà Mai mượn 500 lít');
    await fireEvent.click(screen.getByTestId('turn-ask'));
    expect(screen.getByTestId('turn-round').textContent).toBe('Lượt mới, vòng 0 · Ngày maiLượt mới, vòng 1 · T5 26/11');
    await fireEvent.click(screen.getByText('Mượn'));
    await fireEvent.click(screen.getByTestId('turn-send'));
    expect(sent[0]!.body).toEqual({ kind: 'loan', household_id: 'mai', anchor: soon, round: 0, lender: 'tung', borrower: 'mai', amount: 1500 });
  });

  it('says why nothing can be asked for when no round is ahead', async () => {
    turns = [turns[0]!];
    await shown();
    expect((screen.getByTestId('turn-ask') as HTMLButtonElement).disabled).toBe(true);
    expect(screen.getByTestId('turn-no-rounds').textContent).toContain('Trong 21 ngày tới chưa có vòng nào');
  });

  it('shows the server’s own sentence when it refuses, and stays', async () => {
    await shown();
    refused = 409;
    await fireEvent.click(screen.getByTestId('turn-ask'));
    await fireEvent.click(screen.getByTestId('turn-send'));
    await waitFor(() => expect(screen.getByRole('alert').textContent).toContain('Vòng đó đã bắt đầu.'));
    expect(screen.getByTestId('sheet')).toBeTruthy();
  });

  it('offers nothing to act on while the phone is offline', async () => {
    const farm = await shown();
    farm.connection = 'offline';
    await waitFor(() => expect((screen.getByTestId('turn-agree') as HTMLButtonElement).disabled).toBe(true));
    expect((screen.getByTestId('turn-ask') as HTMLButtonElement).disabled).toBe(true);
  });
});
