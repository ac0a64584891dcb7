import { render, screen, waitFor } from '@testing-library/svelte';
import { afterEach, describe, expect, it } from 'vitest';
import WeekPreview from '../src/components/WeekPreview.svelte';
import Log from '../src/screens/Log.svelte';
import ZoneScreen from '../src/screens/Zone.svelte';
import { setLang } from '../src/lib/words.svelte';
import type { Decision, Entry, Skipped, Timetable } from '../src/lib/types';
import { at, NOW, zone } from './farm';
import { fakeServer, farmOf, json } from './server';

const server = fakeServer();
afterEach(() => setLang('vi'));
const DECISION: Decision = { id: 'd', zone_id: 'a', program_id: 'sang', due: at(-3600), result: 'skipped', rule: 'rain-fallen', params: {}, at: at(-3600), run_id: null, sentence: 'Câu của quyết định.' };
const ENTRY: Entry = { id: 'e', zone_id: 'a', program_id: 'sang', due: at(3600), start: at(4000), duration_s: 600, dose: { minutes: 10 }, litres: 480, rule: 'source-busy', params: {}, awaits: null, sentence: 'Câu của lần tưới.' };
const SKIP: Skipped = { id: 's', zone_id: 'a', program_id: 'sang', due: at(7200), rule: 'hold', params: {}, sentence: 'Câu của lần bỏ.' };
const table = (entries: Entry[], skipped: Skipped[] = []): Timetable => ({ version: 1, compiled_at: at(0), valid_until: at(86400), tz: 'Asia/Ho_Chi_Minh', entries, skipped });

function answers(): void {
  server.answer = async ({ path }) =>
    path.includes('/decisions') ? json(200, { decisions: [DECISION] })
      : path.includes('/timetable') ? json(200, table([ENTRY]))
        : path.includes('/runs') ? json(200, { runs: [] }) : json(404, {});
}

describe('why it watered or not, in the server’s own sentence', () => {
  it('stands in the log, and is asked for anew in another language', async () => {
    answers();
    const { container } = render(Log, { farm: farmOf() });
    await waitFor(() => expect(container.textContent).toContain('Câu của quyết định.'));
    const before = server.sent.length;
    await setLang('en');
    await waitFor(() => expect(server.sent.length).toBeGreaterThan(before));
  });

  it('stands with the zone, for what was and for what comes next', async () => {
    answers();
    const next = { entry_id: 'e', start: at(4000), duration_s: 600, program_id: 'sang', rule: 'source-busy', params: {} };
    const { container } = render(ZoneScreen, { farm: farmOf([zone('a', { next })]), id: 'a', onwater: () => {} });
    await waitFor(() => expect(container.textContent).toContain('Câu của quyết định.'));
    await waitFor(() => expect(screen.getByTestId('next-why').textContent).toBe('Câu của lần tưới.'));
  });

  it('is not asked for where the next watering is as programmed', async () => {
    answers();
    const next = { entry_id: 'e', start: at(4000), duration_s: 600, program_id: 'sang', rule: 'as-programmed', params: {} };
    const { container } = render(ZoneScreen, { farm: farmOf([zone('a', { next })]), id: 'a', onwater: () => {} });
    await waitFor(() => expect(container.textContent).toContain('Câu của quyết định.'));
    expect(server.sent.filter((one) => one.path.includes('/timetable'))).toEqual([]);
  });

  it('stands in the preview for what is skipped, changed or waits for a value, and for nothing else', () => {
    const plain = { ...ENTRY, id: 'p', rule: 'as-programmed', sentence: 'Không cần nói.' };
    const waits = { ...plain, id: 'w', awaits: 'frost', sentence: 'Chỉ khi có số đo.' };
    const { container } = render(WeekPreview, { table: table([ENTRY, plain, waits], [SKIP]), programId: 'sang', now: NOW, tz: 'Asia/Ho_Chi_Minh', zones: {} });
    expect([...container.querySelectorAll('li')].map((line) => line.textContent)).toEqual(['Câu của lần bỏ.', 'Câu của lần tưới.', 'Chỉ khi có số đo.']);
  });
});
