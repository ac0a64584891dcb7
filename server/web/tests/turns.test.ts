import { cleanup, fireEvent, render, screen, waitFor } from '@testing-library/svelte';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import Turns from '../src/screens/Turns.svelte';
import { Farm } from '../src/lib/farm.svelte';
import { agreements, ahead, bars, nextOf, type Rota, type Turn } from '../src/lib/turns';
import { NOW, snapshot, zone } from './farm';

const TZ = 'Asia/Ho_Chi_Minh';
const HOUR = 3600_000;
const iso = (ms: number): string => new Date(ms).toISOString();
/** Midnight of today at the farm. */
const MIDNIGHT = Math.floor((NOW + 7 * HOUR) / (24 * HOUR)) * 24 * HOUR - 7 * HOUR;
const turn = (round: number, household_id: string, from: number, to: number): Turn => ({
  round, household_id, amount: (to - from) * 60, start: iso(MIDNIGHT + from * HOUR), end: iso(MIDNIGHT + to * HOUR),
  spans: [[iso(MIDNIGHT + from * HOUR), iso(MIDNIGHT + to * HOUR)]], now: false,
});
const rota = (more: Partial<Rota> = {}): Rota => ({
  source_id: 'tank', unit: 'minutes', anchor: iso(MIDNIGHT - 240 * HOUR), period_days: 1,
  shares: [{ household_id: 'mai', amount: 60 }, { household_id: 'lan', amount: 120 }], swaps: [], loans: [], ...more,
});

describe('the picture of the turns', () => {
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

describe('what is ahead', () => {
  it('names the rounds that have not begun, each once, by the day of its first turn', () => {
    const found = ahead([turn(3, 'lan', 1, 2), turn(4, 'mai', 24, 25), turn(4, 'lan', 25, 26)], 3, MIDNIGHT, TZ);
    expect(found).toEqual([{ round: 4, name: 'Ngày mai' }]);
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
    const now = { ...turn(10, 'lan', 0, 24), now: true };
    vi.stubGlobal('fetch', async (path: string, init: RequestInit) => {
      const one = { path, method: init.method ?? 'GET', body: init.body ? JSON.parse(String(init.body)) : null };
      if (one.method !== 'GET') {
        sent.push(one);
        return refused ? json(refused, { type: 'x/round-begun', detail: 'Vòng đó đã bắt đầu.' }) : json(200, {});
      }
      if (path.endsWith('/rotas')) return json(200, { rotas: [of], households: [{ id: 'mai', name: 'Nhà Mai', zones: [] }, { id: 'lan', name: 'Nhà Lan', zones: [] }], mine: ['mai'] });
      if (path.includes('/turns')) return json(200, { turns: [now, turn(11, 'mai', 29, 30), turn(12, 'mai', 53, 54), turn(12, 'lan', 54, 56)] });
      return json(200, { rounds: [{ round: 10, start: iso(MIDNIGHT), end: null, households: [account('mai'), account('lan')] }] });
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
    await fireEvent.change(screen.getByTestId('turn-round'), { target: { value: '12' } });
    await fireEvent.click(screen.getByTestId('turn-send'));
    expect(sent[0]).toEqual({
      path: '/api/v1/farms/mai/sources/tank/agreements', method: 'POST',
      body: { kind: 'swap', household_id: 'mai', round: 12, household_a: 'mai', household_b: 'lan' },
    });
    await waitFor(() => expect(screen.queryByTestId('sheet')).toBeNull());
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
