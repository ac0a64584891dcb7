import { cleanup, fireEvent, render, screen, waitFor } from '@testing-library/svelte';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import WaterSheet from '../src/components/WaterSheet.svelte';
import ZoneCard from '../src/components/ZoneCard.svelte';
import QueueList from '../src/components/QueueList.svelte';
import RunBlock from '../src/components/RunBlock.svelte';
import { Farm } from '../src/lib/farm.svelte';
import { queue } from '../src/lib/present';
import type { Run, Zone } from '../src/lib/types';
import { at, NOW, run, snapshot, zone } from './farm';

interface Sent { path: string; method: string; key: string | null; body: unknown }

let sent: Sent[];
let looked: Sent[];
let answer: (sent: Sent) => Promise<Response>;
const json = (status: number, body: unknown): Response => new Response(JSON.stringify(body), { status, headers: { 'Content-Type': 'application/json' } });
const never = (): Promise<Response> => new Promise(() => {});

beforeEach(() => {
  sent = [];
  looked = [];
  answer = async () => json(202, run('r1', 'a'));
  vi.stubGlobal('fetch', (path: string, init: RequestInit) => {
    const one = { path, method: init.method ?? 'GET', key: new Headers(init.headers).get('Idempotency-Key'), body: init.body ? JSON.parse(String(init.body)) : null };
    // What is only looked up, to tell whose turn it is, changes nothing.
    (one.method === 'GET' ? looked : sent).push(one);
    return new Promise((resolve, reject) => {
      init.signal?.addEventListener('abort', () => reject(new DOMException('aborted', 'AbortError')));
      answer(one).then(resolve, reject);
    });
  });
});
afterEach(() => {
  cleanup();
  vi.useRealTimers();
  vi.unstubAllGlobals();
  localStorage.clear();
});

function farmWith(of: Zone = zone('a', { name: 'Dâu tây' }), runs: Run[] = []): Farm {
  const farm = new Farm();
  farm.now = NOW;
  farm.snapshot = snapshot([of], runs);
  farm.connection = 'live';
  return farm;
}

/** The sheet as the app shows it: with the zone's view as it is now. */
function sheet(farm: Farm) {
  const onclose = vi.fn();
  const shown = render(WaterSheet, { farm, view: farm.views[0]!, onclose });
  return { onclose, refresh: () => shown.rerender({ farm, view: farm.views[0]!, onclose }) };
}
const card = (farm: Farm) => render(ZoneCard, { farm, view: farm.views[0]!, onwater: () => {} });
const id = (name: string): HTMLElement => screen.getByTestId(name);

describe('the water sheet', () => {
  it('orders what its button says, once, under a key of its own, and closes when the server has it', async () => {
    const farm = farmWith();
    const { onclose } = sheet(farm);
    await fireEvent.click(id('stepper-plus'));
    expect(id('dose-value').textContent).toContain('25');
    expect(id('water-submit').textContent).toContain('25 phút');
    await fireEvent.click(id('water-submit'));
    await waitFor(() => expect(onclose).toHaveBeenCalled());
    expect(sent).toHaveLength(1);
    expect(sent[0]).toMatchObject({ path: '/api/v1/zones/a/runs', method: 'POST', body: { dose: { minutes: 25 } } });
    expect(sent[0]!.key).toMatch(/^[A-Za-z0-9_-]{8,64}$/);
    expect(farm.snapshot!.runs.r1?.state).toBe('asked');
  });

  describe('while the source is busy', () => {
    function busy(): Farm {
      const farm = farmWith();
      const other = zone('b', { name: 'Nhãn', run_id: 'rb' });
      farm.snapshot = snapshot([zone('a'), other], [run('rb', 'b', { state: 'watering', opened_at: at(-60), closes_at: at(600) })]);
      render(WaterSheet, { farm, view: farm.views.find((view) => view.zone.id === 'a')!, onclose: () => {} });
      answer = async () => json(202, run('r1', 'a', { state: 'queued', turn_at: at(600) }));
      return farm;
    }

    it('stands after the others unless another place is chosen, and says who has the water', async () => {
      const farm = busy();
      expect(id('sheet').textContent).toContain('Bể đang cấp nước cho Nhãn');
      await fireEvent.click(id('water-submit'));
      await waitFor(() => expect(farm.snapshot!.runs.r1?.state).toBe('queued'));
      expect(sent[0]!.body).toEqual({ dose: { minutes: 20 }, queue: 'append' });
    });

    it('can stand before the others', async () => {
      busy();
      await fireEvent.click(id('place-front'));
      expect(id('sheet').textContent).toContain('phải đợi');
      await fireEvent.click(id('water-submit'));
      await waitFor(() => expect(sent[0]!.body).toEqual({ dose: { minutes: 20 }, queue: 'front' }));
    });

    it('takes the place of what runs only after it has said what that stops and been asked again', async () => {
      busy();
      await fireEvent.click(id('place-replace'));
      expect(id('place-stops').textContent).toContain('Dừng ngay: Nhãn');
      await fireEvent.click(id('water-submit'));
      expect(sent).toEqual([]);
      await fireEvent.click(id('place-append'));
      await fireEvent.click(id('place-replace'));
      await fireEvent.click(id('water-submit'));
      expect(sent).toEqual([]);
      await fireEvent.click(id('water-submit'));
      await waitFor(() => expect(sent[0]!.body).toEqual({ dose: { minutes: 20 }, queue: 'replace' }));
    });
  });

  it('waits for nobody and offers no place while the source is free', async () => {
    sheet(farmWith());
    expect(screen.queryByTestId('place-append')).toBeNull();
    await fireEvent.click(id('water-submit'));
    expect(sent[0]!.body).toEqual({ dose: { minutes: 20 } });
  });

  describe('at a source with turns', () => {
    const turn = (household: string) => ({ round: 1, household_id: household, amount: 60, start: at(-600), end: at(3000), spans: [[at(-600), at(3000)]], now: true });
    function shared(now: string, zones = ['a']): void {
      answer = async (one) =>
        one.path.endsWith('/rotas') ? json(200, { rotas: [{ source_id: 'tank', unit: 'minutes', anchor: at(-900), period_days: 2, shares: [], swaps: [], loans: [] }], households: [{ id: 'mai', name: 'Nhà chị Mai', zones }, { id: 'lan', name: 'Nhà chị Lan', zones: ['z'] }], mine: [] })
          : json(200, { turns: [turn(now)] });
      sheet(farmWith());
    }

    it('says whose turn it is, until when, and on whose account the water counts', async () => {
      shared('lan');
      await waitFor(() => expect(id('sheet').textContent).toContain('Đang là lượt nước của Nhà chị Lan đến 12:50. Nước tưới bây giờ ghi vào sổ của Nhà chị Mai: lấy ngoài lượt.'));
      expect(id('water-submit')).toHaveProperty('disabled', false);
    });

    it('says so too of a zone that belongs to no household', async () => {
      shared('lan', []);
      await waitFor(() => expect(id('sheet').textContent).toContain('không ghi vào sổ hộ nào'));
    });

    it('says nothing in the turn of its own household', async () => {
      shared('mai');
      await waitFor(() => expect(looked.some((one) => one.path.endsWith('/turns?days=2'))).toBe(true));
      await new Promise((resolve) => setTimeout(resolve));
      expect(id('sheet').textContent).not.toContain('lượt nước');
    });
  });

  it('is prefilled with the last dose of the zone', () => {
    sheet(farmWith(zone('a', { last_dose: { litres: 700, max_minutes: 30 } })));
    expect(id('mode-litres').getAttribute('aria-pressed')).toBe('true');
    expect(id('dose-value').textContent).toContain('700');
  });

  it('offers litres only with a meter and moisture only with a fresh probe, and says why not', () => {
    sheet(farmWith(zone('a', { has_meter: false, moisture: { value: 20, at: at(-200), quality: 'good', reason: null, sensors: 1 } })));
    expect(id('mode-litres')).toHaveProperty('disabled', true);
    expect(id('mode-moisture')).toHaveProperty('disabled', true);
    expect(screen.getByText(/không có đồng hồ nước/)).toBeTruthy();
    expect(screen.getByText(/cần cảm biến đất/)).toBeTruthy();
  });

  it('says that the valve is still closed while it is sending', async () => {
    answer = never;
    const farm = farmWith();
    const { refresh } = sheet(farm);
    await fireEvent.click(id('water-submit'));
    await refresh();
    expect(id('order').getAttribute('data-state')).toBe('sending');
    expect(screen.getByText(/Van chưa mở/)).toBeTruthy();
  });

  it('fails after 10 s without an answer; Retry is a new command with a new key', async () => {
    vi.useFakeTimers();
    answer = never;
    const farm = farmWith();
    const { refresh } = sheet(farm);
    await fireEvent.click(id('water-submit'));
    await vi.advanceTimersByTimeAsync(10_000);
    await refresh();
    expect(id('order').getAttribute('data-state')).toBe('failed');
    expect(screen.getByText(/Không có lệnh nào chờ gửi lại/)).toBeTruthy();
    await vi.advanceTimersByTimeAsync(120_000);
    expect(sent).toHaveLength(1);
    await fireEvent.click(id('retry'));
    expect(sent).toHaveLength(2);
    expect(sent[1]!.key).not.toBe(sent[0]!.key);
  });

  it('shows the server’s own sentence when it refuses, and lets the dose be changed', async () => {
    answer = async () => json(422, { type: 'https://tuoi.invalid/problems/dose-above-cap', status: 422, detail: 'Khu này tưới nhiều nhất 15 phút.', field: 'dose.minutes' });
    const farm = farmWith();
    const { refresh, onclose } = sheet(farm);
    await fireEvent.click(id('water-submit'));
    await waitFor(() => expect(farm.orders.a?.phase).toBe('failed'));
    await refresh();
    expect(screen.getByText('Khu này tưới nhiều nhất 15 phút.')).toBeTruthy();
    expect(id('water-submit')).toBeTruthy();
    expect(onclose).not.toHaveBeenCalled();
  });

  it('is disabled without a network and says why; nothing is queued', async () => {
    const farm = farmWith();
    farm.connection = 'offline';
    sheet(farm);
    expect(id('water-submit')).toHaveProperty('disabled', true);
    expect(screen.getByText(/không có lệnh nào chờ gửi/)).toBeTruthy();
    await fireEvent.click(id('water-submit'));
    expect(sent).toHaveLength(0);
  });

  it('stops the run as soon as it has a name when the order was cancelled while sending', async () => {
    let reply: (response: Response) => void = () => {};
    answer = (one) => (one.path.endsWith('/stop') ? Promise.resolve(json(202, run('r1', 'a', { state: 'stopped', ended_at: at(0) }))) : new Promise((resolve) => (reply = resolve)));
    const farm = farmWith();
    const done = farm.water('a', { minutes: 20 });
    farm.cancelOrder('a');
    expect(farm.views[0]!.look).toBe('cancelling');
    reply(json(202, run('r1', 'a')));
    await done;
    expect(sent.map((one) => one.path)).toEqual(['/api/v1/zones/a/runs', '/api/v1/runs/r1/stop']);
  });
});

describe('the card of a zone', () => {
  it('counts down to the moment when a queued order expires', () => {
    card(farmWith(zone('a', { run_id: 'r1' }), [run('r1', 'a', { state: 'accepted', expires_at: at(40) })]));
    expect(id('zone-card').getAttribute('data-state')).toBe('accepted');
    expect(screen.getByText('Quá 40 giây sẽ tự hủy')).toBeTruthy();
  });

  it('says why a run was refused and that nothing was watered, and offers a retry', async () => {
    const farm = farmWith(zone('a'), [run('r1', 'a', { state: 'refused', ended_at: at(-1), reason: { code: 'source-busy', params: {} } })]);
    card(farm);
    expect(screen.getByText('Nguồn nước đang cấp cho khu khác')).toBeTruthy();
    expect(screen.getByText('Chưa tưới')).toBeTruthy();
    await fireEvent.click(id('retry'));
    expect(sent[0]).toMatchObject({ path: '/api/v1/zones/a/runs', body: { dose: { minutes: 20 } } });
  });

  it('shows old data hatched, grey and with their age', () => {
    const { container } = card(farmWith(zone('a', { moisture: { value: 18, at: at(-240), quality: 'good', reason: null, sensors: 1 } })));
    expect(screen.getByText('18%?')).toBeTruthy();
    expect(screen.getByText(/4 phút trước/)).toBeTruthy();
    expect(container.querySelector('.level')?.getAttribute('fill')).toMatch(/^url\(#/);
  });

  it('shows no level at all when the data are too old', () => {
    const { container } = card(farmWith(zone('a', { moisture: { value: 18, at: at(-900), quality: 'good', reason: null, sensors: 1 } })));
    expect(container.querySelector('.level')).toBeNull();
    expect(container.textContent).not.toContain('18');
    expect(container.textContent).toContain('15 phút trước');
  });
});

describe('a probe that is not to be believed', () => {
  const told = (quality: string, reason: string, ageS: number, value: number | null = 18) =>
    card(farmWith(zone('a', { moisture: { value, at: at(-ageS), quality, reason, sensors: 1 } }))).container;

  it('in doubt: the number hatched and with a question mark, and the doubt in words', () => {
    const shown = told('suspect', 'clamped', 20);
    expect(screen.getByText('18%?')).toBeTruthy();
    expect(shown.querySelector('.level')?.getAttribute('fill')).toMatch(/^url\(#/);
    expect(shown.textContent).toContain('Ngoài mức đã hiệu chuẩn');
  });

  it('bad: the last believed number with its age and what is wrong', () => {
    const shown = told('bad', 'open-circuit', 240);
    expect(screen.getByText('18%?')).toBeTruthy();
    expect(shown.textContent).toContain('4 phút trước · Đứt dây cảm biến');
  });

  it('bad for long, never believed, or stale: no number at all', () => {
    for (const shown of [told('bad', 'open-circuit', 900), told('bad', 'no-answer', 5, null), told('stale', 'too-old', 30)]) {
      expect(shown.querySelector('.level')).toBeNull();
      expect(shown.textContent).not.toMatch(/\d%/);
    }
  });

  it('of a reason that this app does not know yet, names it', () => {
    expect(told('suspect', 'brand-new', 20).textContent).toContain('brand-new');
  });
});

describe('the block of a run', () => {
  it('without a network says of when its news are, and does not claim that water flows now', () => {
    const of = zone('a'), one = run('r1', 'a', { state: 'watering', opened_at: at(-60), closes_at: at(760), litres: 620, flow_l_min: 22 });
    const farm = farmWith(of, [one]);
    farm.connection = 'offline';
    const { container } = render(RunBlock, { farm, run: one, zone: of });
    expect(container.textContent).toContain('Theo tin lúc 11:59');
    expect(container.textContent).not.toContain('lít/phút');
    expect(id('run-block').classList.contains('solid')).toBe(false);
  });

  const block = (one: Run, of = zone('a')) => render(RunBlock, { farm: farmWith(of, [one]), run: one, zone: of });

  it('tells time left, self-close, litres and flow, and stops with one tap', async () => {
    answer = async () => json(202, run('r1', 'a', { state: 'closing', opened_at: at(-60), at: at(1) }));
    block(run('r1', 'a', { state: 'watering', opened_at: at(-60), closes_at: at(760), litres: 620, flow_l_min: 22, dose: { litres: 900, max_minutes: 60 } }));
    expect(screen.getByText('12:40')).toBeTruthy();
    expect(screen.getByText(/tự đóng lúc 12:12/)).toBeTruthy();
    expect(id('run-litres').textContent).toBe('620 / 900 lít');
    expect(screen.getByText('nước chảy 22 lít/phút')).toBeTruthy();
    await fireEvent.click(id('stop'));
    expect(sent[0]).toMatchObject({ path: '/api/v1/runs/r1/stop', method: 'POST' });
  });

  it('does not speak of water that no meter has seen', () => {
    const { container } = block(run('r1', 'a', { state: 'open', opened_at: at(-60), closes_at: at(760), has_meter: false }), zone('a', { has_meter: false }));
    expect(container.textContent).toContain('Không có đồng hồ nước');
    expect(container.textContent).not.toMatch(/lít\/phút|Đang tưới/);
  });

  it('keeps saying closing until the board has confirmed it, without a second stop', () => {
    block(run('r1', 'a', { state: 'closing', opened_at: at(-60), closes_at: at(760) }));
    expect(screen.queryByTestId('stop')).toBeNull();
    expect(screen.getByText(/Đang đóng/)).toBeTruthy();
  });
});

describe('the queue', () => {
  const waiting = [
    run('late', 'a', { state: 'queued', turn_at: null }),
    run('second', 'a', { state: 'queued', turn_at: at(1200) }),
    run('first', 'a', { state: 'queued', turn_at: at(600), dose: { minutes: 7 } }),
  ];

  it('shows what waits in the order of its turns, with a way out for each', async () => {
    const farm = farmWith(zone('a', { name: 'Dâu tây' }), waiting);
    render(QueueList, { farm, runs: queue(farm.snapshot!) });
    const rows = screen.getAllByTestId('queued');
    expect(rows.map((row) => row.dataset.run)).toEqual(['first', 'second', 'late']);
    expect(rows[0]!.textContent).toMatch(/Dâu tây.*7 phút.*dự kiến.*12:10/);
    expect(rows[2]!.textContent).toContain('chưa biết khi nào có nước');
    answer = async () => json(202, run('first', 'a', { state: 'queued', stopping: true }));
    await fireEvent.click(screen.getAllByTestId('cancel-queued')[0]!);
    await waitFor(() => expect(farm.snapshot!.runs.first?.stopping).toBe(true));
    expect(sent[0]).toMatchObject({ path: '/api/v1/runs/first/stop', method: 'POST' });
  });

  it('is nothing while nothing waits', () => {
    render(QueueList, { farm: farmWith(), runs: [] });
    expect(screen.queryByTestId('queue')).toBeNull();
  });

  it('says on the card that the zone waits, not that it waters', () => {
    const farm = farmWith(zone('a', { run_id: 'first' }), [waiting[2]!]);
    card(farm);
    expect(id('zone-card').dataset.look).toBe('queued');
    expect(id('zone-card').textContent).toContain('Đang chờ đến lượt');
    expect(id('zone-card').textContent).not.toContain('Đang tưới');
    expect(farm.busy).toBe(false);
  });
});
