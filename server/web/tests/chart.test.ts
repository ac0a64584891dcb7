import { cleanup, render, waitFor } from '@testing-library/svelte';
import { tick } from 'svelte';
import { afterEach, expect, it, vi } from 'vitest';
import MoistureChart from '../src/components/MoistureChart.svelte';
import { Farm } from '../src/lib/farm.svelte';
import { wholeLabels } from '../src/lib/axis';
import { at, snapshot, zone } from './farm';

afterEach(() => {
  cleanup();
  vi.unstubAllGlobals();
});

it('the chart asks for its series once, not with every delta', async () => {
  const asked: string[] = [];
  vi.stubGlobal('fetch', (path: string) => {
    asked.push(path);
    return Promise.resolve(new Response(JSON.stringify({ quantity: 'soil_moisture', unit: '%', step_s: 60, points: [], last_at: null })));
  });
  const farm = new Farm();
  farm.snapshot = snapshot([zone('a', { moisture: { value: 30, at: at(0), quality: 'good', reason: null, sensors: 2 } })]);
  const shown = render(MoistureChart, { farm, zone: farm.snapshot.zones.a!, runs: [] });
  await waitFor(() => expect(shown.getByTestId('chart').getAttribute('data-state')).toBe('empty'));
  for (let second = 1; second <= 3; second += 1) {
    farm.snapshot = { ...farm.snapshot, link: { gateway_online: true, last_heard: at(second) }, zones: { a: zone('a', { moisture: { value: 30, at: at(second), quality: 'good', reason: null, sensors: 2 } }) } };
    await shown.rerender({ farm, zone: farm.snapshot.zones.a!, runs: [] });
    await tick();
  }
  expect(asked).toHaveLength(1);
  expect(asked[0]).toMatch(/^\/api\/v1\/zones\/a\/series\?quantity=soil_moisture&from=.*Z&to=.*Z&points=300$/);
});

it('the chart leaves out a label that would be cut off at its right', () => {
  const label = (mark: number): string => (mark === 2.8 ? 'Hôm nay' : 'T5 26/11');
  expect(wholeLabels([1, 2, 2.8], 0, 3, 358, label)).toEqual(['T5 26/11', 'T5 26/11', '']);
  expect(wholeLabels([1, 2, 2.8], 0, 3, 500, label)).toEqual(['T5 26/11', 'T5 26/11', 'Hôm nay']);
});
