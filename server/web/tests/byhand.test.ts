import { fireEvent, render, screen, waitFor } from '@testing-library/svelte';
import { describe, expect, it, vi } from 'vitest';
import ByHand from '../src/components/ByHand.svelte';
import { handRuns } from '../src/lib/byhand';
import { others } from '../src/lib/queue';
import type { Program, Run } from '../src/lib/types';
import { at, NOW, run, snapshot, zone } from './farm';
import { fakeServer, farmOf, json } from './server';

const server = fakeServer();
const id = (name: string): HTMLElement => screen.getByTestId(name);
const ZONES = [zone('a', { name: 'Dâu tây' }), zone('b', { name: 'Nhãn' })];
const PROGRAM = {
  id: 'sang', name: 'Buổi sáng', enabled: true, calendar: { kind: 'odd_days' }, starts: ['05:30'], version: 1, updated_at: at(0), updated_by: 'mai',
  zones: [{ zone_id: 'a', dose: { minutes: 20 } }, { zone_id: 'b', dose: { minutes: 10 } }],
} as Program;
const PARTS = [
  { zone_id: 'a', dose: { minutes: 20 }, duration_s: 1200, litres: 960, soak_s: 0, turn_at: at(0) },
  { zone_id: 'b', dose: { minutes: 10 }, duration_s: 600, litres: 480, soak_s: 0, turn_at: at(1200) },
];
const ofHand = (more: Partial<Run>, name = 'r1', zoneId = 'a'): Run => run(name, zoneId, { program_id: 'sang', state: 'queued', ...more });

function open(runs: Run[] = [], unsaved = false) {
  const farm = farmOf(ZONES, runs);
  server.answer = async (one) =>
    one.method === 'GET' ? json(200, { parts: PARTS }) : json(202, { runs: [ofHand({}), ofHand({}, 'r2', 'b')] });
  render(ByHand, { farm, program: PROGRAM, unsaved });
  return farm;
}

describe('a program by hand', () => {
  it('tells each zone in its order with its amount and expected start before anything is sent', async () => {
    open();
    await fireEvent.click(id('hand-open'));
    await waitFor(() => expect(id('hand-parts')).toBeTruthy());
    expect(server.changes()).toEqual([]);
    expect([...id('hand-parts').children].map((row) => row.textContent)).toEqual([
      expect.stringMatching(/Dâu tây.*20 phút.*dự kiến.*12:00.*960/), expect.stringMatching(/Nhãn.*10 phút.*dự kiến.*12:20.*480/),
    ]);
    expect(id('sheet').textContent).toContain('Tổng cộng 30 phút · ≈ 1.440 lít');
  });

  it('is ordered once under a key of its own, and its zones then show how far they are', async () => {
    const farm = open();
    await fireEvent.click(id('hand-open'));
    await waitFor(() => expect(id('hand-submit')).toHaveProperty('disabled', false));
    await fireEvent.click(id('hand-submit'));
    await waitFor(() => expect(screen.queryByTestId('sheet')).toBeNull());
    expect(server.changes()).toHaveLength(1);
    expect(server.changes()[0]).toMatchObject({ path: '/programs/sang/run', body: { queue: 'append' } });
    expect(server.changes()[0]!.key).toMatch(/^[A-Za-z0-9_-]{8,64}$/);
    expect(Object.keys(farm.snapshot!.runs)).toEqual(['r1', 'r2']);
    expect(screen.getAllByTestId('hand-run').map((row) => row.dataset.state)).toEqual(['queued', 'queued']);
    await fireEvent.click(id('hand-stop'));
    expect(server.changes().slice(1).map((one) => one.path)).toEqual(['/runs/r1/stop', '/runs/r2/stop']);
  });

  it('offers no choice where nobody else waters or waits, and the program could begin now', async () => {
    open();
    await fireEvent.click(id('hand-open'));
    await waitFor(() => expect(id('hand-parts')).toBeTruthy());
    expect(screen.queryByTestId('place-front')).toBeNull();
  });

  it('is asked about anew where it is to stand before the others, and ordered so', async () => {
    open([run('w', 'b', { state: 'queued' })]);
    await fireEvent.click(id('hand-open'));
    await fireEvent.click(id('place-front'));
    await waitFor(() => expect(server.sent.at(-1)!.path).toBe('/programs/sang/run?queue=front'));
    await fireEvent.click(id('hand-submit'));
    await waitFor(() => expect(server.changes()[0]!.body).toEqual({ queue: 'front' }));
  });

  it('says whom it stops in their place, and asks once more before it does', async () => {
    open([run('x', 'b', { state: 'watering', opened_at: at(-60), closes_at: at(600) })]);
    await fireEvent.click(id('hand-open'));
    await fireEvent.click(id('place-replace'));
    await waitFor(() => expect(id('hand-submit')).toHaveProperty('disabled', false));
    expect(id('place-stops').textContent).toContain('Dừng ngay: Nhãn');
    await fireEvent.click(id('hand-submit'));
    expect(server.changes()).toEqual([]);
    expect(id('hand-submit').textContent).toContain('Chắc chắn');
    await fireEvent.click(id('hand-submit'));
    await waitFor(() => expect(server.changes()[0]!.body).toEqual({ queue: 'replace' }));
  });

  it('without an answer says that nobody knows, and sends the very same order again', async () => {
    vi.useFakeTimers();
    open();
    await fireEvent.click(id('hand-open'));
    await vi.advanceTimersByTimeAsync(1);
    server.answer = () => new Promise(() => {});
    await fireEvent.click(id('hand-submit'));
    await vi.advanceTimersByTimeAsync(10_000);
    expect(id('hand-problem').textContent).toContain('không bao giờ tưới hai lần');
    await fireEvent.click(id('hand-submit'));
    const [first, second] = server.changes();
    expect(second).toEqual(first);
  });

  it('shows the server’s sentence when it refuses; what is sent then is another order', async () => {
    open();
    await fireEvent.click(id('hand-open'));
    await waitFor(() => expect(id('hand-parts')).toBeTruthy());
    server.answer = async () => json(409, { type: 'x/farm-held-by-stop', status: 409, detail: 'Đang dừng khẩn cấp.' });
    await fireEvent.click(id('hand-submit'));
    await waitFor(() => expect(id('hand-problem').textContent).toBe('Đang dừng khẩn cấp.'));
    await fireEvent.click(id('hand-submit'));
    await waitFor(() => expect(server.changes()).toHaveLength(2));
    expect(server.changes()[1]!.key).not.toBe(server.changes()[0]!.key);
  });

  it('stops what came of it when it was cancelled while it was being sent', async () => {
    open();
    await fireEvent.click(id('hand-open'));
    await waitFor(() => expect(id('hand-parts')).toBeTruthy());
    let reply: (response: Response) => void = () => {};
    server.answer = (one) => (one.path.endsWith('/stop') ? Promise.resolve(json(202, ofHand({ stopping: true }))) : new Promise((resolve) => (reply = resolve)));
    await fireEvent.click(id('hand-submit'));
    expect(id('hand-order').textContent).toContain('Các van chưa mở');
    await fireEvent.click(screen.getByText('Hủy'));
    reply(json(202, { runs: [ofHand({})] }));
    await waitFor(() => expect(server.changes().at(-1)!.path).toBe('/runs/r1/stop'));
  });

  it('cannot be asked for without a network, and says so; unsaved changes are said not to count', async () => {
    const farm = open([], true);
    await fireEvent.click(id('hand-open'));
    await waitFor(() => expect(id('sheet').textContent).toContain('chưa lưu thì chưa tính'));
    farm.connection = 'offline';
    await waitFor(() => expect(id('hand-submit')).toHaveProperty('disabled', true));
    expect(id('sheet').textContent).toContain('không có lệnh nào chờ gửi');
  });
});

describe('the runs of a program by hand', () => {
  const of = (runs: Run[]): string[] => handRuns(Object.fromEntries(runs.map((one) => [one.id, one])), 'sang', NOW).map((one) => one.id);

  it('are those of the last asking, in the order of their turns; timetable runs and old ones are none', () => {
    expect(of([
      ofHand({ turn_at: at(900) }, 'later'), ofHand({ turn_at: at(300) }, 'next'), ofHand({ state: 'done', opened_at: at(-5), ended_at: at(-1) }, 'done'),
      ofHand({ state: 'done', asked_at: at(-4000), opened_at: at(-4000), ended_at: at(-3000) }, 'old'), ofHand({ origin: 'program' }, 'timetable'), ofHand({ program_id: 'chieu' }, 'other'),
    ])).toEqual(['done', 'next', 'later']);
  });

  it('stay for three minutes after the last has ended', () => {
    expect(of([ofHand({ state: 'stopped', ended_at: at(-179) })])).toEqual(['r1']);
    expect(of([ofHand({ state: 'stopped', ended_at: at(-181) })])).toEqual([]);
  });
});

describe('who else is at a source', () => {
  it('are zones of its own that run or wait, each once, by name', () => {
    const far = zone('c', { name: 'Xa', source_id: 'suoi' });
    const runs = [run('1', 'a', { state: 'watering' }), run('2', 'b', { state: 'queued' }), run('3', 'b', { state: 'queued' }), run('4', 'c', { state: 'open' }), run('5', 'b', { state: 'done' })];
    expect(others(snapshot([...ZONES, far], runs), ['tank'])).toEqual({ running: ['Dâu tây'], waiting: ['Nhãn'] });
    expect(others(snapshot([...ZONES, far], runs), ['tank'], ['a']).running).toEqual([]);
  });
});
