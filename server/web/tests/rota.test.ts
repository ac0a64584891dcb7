import { fireEvent, render, screen, waitFor } from '@testing-library/svelte';
import { describe, expect, it } from 'vitest';
import RotaScreen from '../src/screens/Rota.svelte';
import { bodyOf, draftOf, load, nextRound, shownFrom } from '../src/lib/rota';
import type { Rota, Rotas } from '../src/lib/turns';
import { at, NOW } from './farm';
import { fakeServer, farmOf, json } from './server';

const server = fakeServer();
const TZ = 'Asia/Ho_Chi_Minh';
const id = (name: string): HTMLElement => screen.getByTestId(name);
const HOUSEHOLDS: Rotas['households'] = [{ id: 'mai', name: 'Nhà chị Mai', zones: ['a'] }, { id: 'lan', name: 'Nhà chị Lan', zones: [] }, { id: 'tung', name: 'Nhà anh Tùng', zones: [] }];
/** In force: rounds of two days that begin at 05:00. */
const ROTA: Rota = {
  source_id: 'tank', unit: 'minutes', anchor: '2026-11-22T22:00:00Z', period_days: 2, shares: [{ household_id: 'mai', amount: 60 }, { household_id: 'lan', amount: 120 }],
  hours: ['05:00', '18:00'], rations: [], shortages: [{ start: at(-9000), end: at(-3600) }, { start: at(-600) }], swaps: [], loans: [],
};

const PREVIEW = '/farms/mai/sources/tank/rota/preview';
const turn = (household_id: string, start: string, end: string, anchor = '2026-11-24T22:00:00Z') =>
  ({ anchor, round: 0, household_id, amount: 60, start, end, spans: [[start, end]], now: false });
const entry = (rule: string, due: string, sentence: string) => ({ id: sentence, zone_id: 'a', program_id: 'p', due, start: due, duration_s: 600, rule, params: {}, sentence });
/** What the server makes of any draft. */
const SHOWN = {
  turns: [turn('lan', at(0), at(3600), ROTA.anchor), turn('mai', '2026-11-24T22:00:00Z', '2026-11-24T23:30:00Z'), turn('mai', '2026-11-25T22:00:00Z', '2026-11-26T01:00:00Z')],
  timetable: {
    entries: [entry('as-programmed', at(86400), 'Sẽ tưới.'), entry('turn-comes', at(86400), 'Đợi đến lượt.')],
    skipped: [entry('outside-turn', at(600), 'Trước lượt mới.'), entry('outside-turn', at(86400), 'Không kịp lượt.')],
  },
};
let shown: unknown = SHOWN;

async function rota(rotas: Rota[] = [ROTA], role: 'manager' | 'farmer' = 'manager') {
  shown = SHOWN;
  server.answer = async (sent) => (sent.path.startsWith(PREVIEW) ? json(200, shown) : json(200, { rotas, households: HOUSEHOLDS, mine: [] }));
  render(RotaScreen, { farm: farmOf(undefined, [], role) });
  if (role === 'manager') await waitFor(() => expect(id('rota-shares')).toBeTruthy());
}
const changes = () => server.changes().filter((one) => !one.path.startsWith(PREVIEW));
const previews = () => server.changes().filter((one) => one.path.startsWith(PREVIEW));
const put = (): Record<string, unknown> => changes().at(-1)!.body as Record<string, unknown>;
const names = (): string[] => screen.queryAllByTestId('rota-share').map((row) => row.dataset.household!);

describe('setting the turns', () => {
  it('with the first change begins anew at the next round and says what holds until then; changed back, it is as it was', async () => {
    await rota();
    expect(id('rota-save')).toHaveProperty('disabled', true);
    expect(id('rota-when').textContent).toContain('đang chạy');
    await fireEvent.click(screen.getByLabelText('Thêm phần cho Nhà chị Mai'));
    expect(id('rota-when').textContent).toContain('05:00 ngày mai; trước đó vẫn theo lượt cũ');
    await fireEvent.click(screen.getByLabelText('Bớt phần của Nhà chị Mai'));
    expect(id('rota-when').textContent).toContain('đang chạy');
    await fireEvent.click(screen.getByLabelText('Thêm phần cho Nhà chị Mai'));
    await fireEvent.click(id('rota-save'));
    await waitFor(() => expect(location.hash).toBe('#/turns'));
    expect(changes()[0]).toMatchObject({ method: 'PUT', path: '/farms/mai/sources/tank/rota' });
    expect(put()).toEqual({
      unit: 'minutes', anchor: '2026-11-24T22:00:00.000Z', period_days: 2, shares: [{ household_id: 'mai', amount: 70 }, { household_id: 'lan', amount: 120 }],
      hours: ['05:00', '18:00'], rations: [], shortages: [{ start: at(-600) }],
    });
  });

  it('puts a ration on the turns in force without touching them', async () => {
    await rota();
    await fireEvent.click(id('rota-add-ration'));
    await fireEvent.click(screen.getByLabelText('Thêm 5%'));
    await fireEvent.click(id('rota-save'));
    await waitFor(() => expect(changes()).toHaveLength(1));
    expect(put()).toMatchObject({ anchor: ROTA.anchor, shares: ROTA.shares, shortages: ROTA.shortages, rations: [{ first: '2026-11-25', last: '2027-01-23', pct: 55 }] });
  });

  it('adds, moves and removes households', async () => {
    await rota();
    await fireEvent.change(id('rota-add'), { target: { value: 'tung' } });
    expect(names()).toEqual(['mai', 'lan', 'tung']);
    await fireEvent.click(screen.getByLabelText('Nhà anh Tùng lên trước'));
    expect(names()).toEqual(['mai', 'tung', 'lan']);
    await fireEvent.click(screen.getByLabelText('Bỏ Nhà chị Mai'));
    expect(names()).toEqual(['tung', 'lan']);
    expect(screen.queryAllByTestId('rota-up')).toHaveLength(1);
  });

  it('begins at a source that has none yet, and says when shares do not fit their round', async () => {
    await rota([]);
    expect(id('rota-save')).toHaveProperty('disabled', true);
    await fireEvent.change(id('rota-add'), { target: { value: 'mai' } });
    expect(id('rota-sum').textContent).toContain('cần 1 giờ nước, có 24 giờ');
    await fireEvent.click(id('rota-litres'));
    await fireEvent.click(id('rota-daytime'));
    await fireEvent.change(id('rota-anchor'), { target: { value: '2026-12-01T06:00' } });
    await fireEvent.click(id('rota-save'));
    await waitFor(() => expect(changes()).toHaveLength(1));
    expect(put()).toEqual({ unit: 'litres', anchor: '2026-11-30T23:00:00.000Z', period_days: 1, shares: [{ household_id: 'mai', amount: 3000 }], hours: ['05:00', '18:00'], rations: [], shortages: [] });
  });

  it('shows the server’s sentence, and ends turns only when asked twice', async () => {
    await rota();
    server.answer = async () => json(422, { type: 'x/bad-field', status: 422, detail: 'Phải ở trong 12 tháng tới.', field: 'anchor' });
    await fireEvent.click(screen.getByLabelText('Thêm phần cho Nhà chị Mai'));
    await fireEvent.click(id('rota-save'));
    await waitFor(() => expect(id('rota-problem').textContent).toBe('Phải ở trong 12 tháng tới.'));
    server.answer = async () => json(204, null);
    await fireEvent.click(id('rota-end'));
    expect(changes()).toHaveLength(1);
    await fireEvent.click(id('rota-end'));
    await waitFor(() => expect(changes()[1]).toMatchObject({ method: 'DELETE', path: '/farms/mai/sources/tank/rota' }));
  });

  it('shows what the server would make of them: whose turn when, and what becomes of the programs', async () => {
    await rota();
    await fireEvent.click(screen.getByLabelText('Thêm phần cho Nhà chị Mai'));
    await waitFor(() => expect(previews()).toHaveLength(1), { timeout: 2000 });
    expect(previews()[0]).toMatchObject({ method: 'POST', path: `${PREVIEW}?from=${at(0)}&days=7` });
    expect(previews()[0]!.body).toEqual(bodyOf({ ...draftOf(ROTA), anchor: '2026-11-24T22:00:00.000Z', shares: [{ household_id: 'mai', amount: 70 }, { household_id: 'lan', amount: 120 }] }, ROTA));
    await waitFor(() => expect(id('turn-preview').dataset.state).toBe('ready'));
    const [mai, lan] = screen.getAllByTestId('turn-preview-of').map((row) => row.textContent);
    expect(mai).toContain('2 lượt · 4,5 giờ nước');
    expect(mai).toContain('05:00 – 06:30 Ngày mai');
    expect(mai).toContain('05:00 – 08:00 T5 26/11');
    expect(lan).toContain('0 lượt'); // the one that is under way is of the turns before
    expect(screen.getAllByText(/lượt\.$/).map((line) => line.textContent)).toEqual(['Không kịp lượt.', 'Đợi đến lượt.']);
    expect(changes()).toEqual([]);
  });

  it('says that all programs fit when they do, and the server’s reason when there can be no such turns', async () => {
    await rota();
    shown = { ...SHOWN, timetable: { entries: [SHOWN.timetable.entries[0]], skipped: [] } };
    await waitFor(() => expect(id('turn-preview').textContent).toContain('đều nằm trong lượt'), { timeout: 2000 });
    server.answer = async () => json(422, { type: 'x/bad-field', status: 422, detail: 'Phải ở trong 12 tháng tới.', field: 'anchor' });
    await fireEvent.click(screen.getByLabelText('Thêm phần cho Nhà chị Mai'));
    await waitFor(() => expect(id('turn-preview').textContent).toContain('Phải ở trong 12 tháng tới.'), { timeout: 2000 });
    expect(screen.queryAllByTestId('turn-preview-of')).toEqual([]);
  });

  it('offers no household that has left, and leads to the households while nothing is changed', async () => {
    HOUSEHOLDS.push({ id: 'tu', name: 'Nhà anh Tư', zones: [], left_at: at(-60) });
    await rota();
    HOUSEHOLDS.pop();
    expect([...(id('rota-add') as HTMLSelectElement).options].map((one) => one.value)).toEqual(['', 'tung']);
    expect(id('rota-households').getAttribute('href')).toBe('#/households');
    await fireEvent.click(screen.getByLabelText('Thêm phần cho Nhà chị Mai'));
    expect(screen.queryByTestId('rota-households')).toBeNull();
  });

  it('asks for no preview of turns of nobody', async () => {
    await rota([]);
    expect(screen.queryByTestId('turn-preview')).toBeNull();
  });

  it('is for managers', async () => {
    await rota([ROTA], 'farmer');
    expect(screen.queryByTestId('rota-shares')).toBeNull();
  });
});

describe('a rota', () => {
  it('finds its next round on the farm’s clock, also over a change of the hour', () => {
    expect(nextRound(ROTA, NOW, TZ)).toBe('2026-11-24T22:00:00.000Z');
    expect(nextRound(ROTA, Date.parse(ROTA.anchor) - 1, TZ)).toBe('2026-11-22T22:00:00.000Z');
    const paris = nextRound({ anchor: '2026-03-27T05:00:00Z', period_days: 1 }, Date.parse('2026-03-29T12:00:00Z'), 'Europe/Paris');
    expect(paris).toBe('2026-03-30T04:00:00.000Z');
  });

  it('is shown from today on, or from the day on which it begins, for a week or a round', () => {
    const draft = draftOf(ROTA);
    expect(shownFrom(draft, NOW, TZ)).toEqual({ from: NOW, days: 7 });
    expect(shownFrom({ ...draft, anchor: '2026-11-25T22:00:00Z' }, NOW, TZ).from).toBe(NOW);
    expect(shownFrom({ ...draft, anchor: '2026-12-01T00:00:00Z', period_days: 10 }, NOW, TZ)).toEqual({ from: Date.parse('2026-11-30T17:00:00Z'), days: 10 });
    expect(shownFrom({ ...draft, period_days: 366 }, NOW, TZ).days).toBe(60);
  });

  it('adds up its shares by the flow of the source', () => {
    const draft = draftOf(ROTA);
    expect(load(draft, 60)).toEqual({ wantedH: 3, openH: 26 });
    expect(load({ ...draft, unit: 'litres', hours: null, period_days: 1, shares: [{ household_id: 'mai', amount: 7200 }] }, 60)).toEqual({ wantedH: 2, openH: 24 });
    expect(bodyOf({ ...draft, hours: null }, ROTA)).not.toHaveProperty('hours');
  });
});
