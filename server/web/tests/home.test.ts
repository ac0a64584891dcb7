import { fireEvent, render, screen, waitFor } from '@testing-library/svelte';
import { describe, expect, it } from 'vitest';
import Home from '../src/screens/Home.svelte';
import type { Run } from '../src/lib/types';
import { at, run, zone } from './farm';
import { fakeServer, farmOf, json } from './server';

const server = fakeServer();
const id = (name: string): HTMLElement => screen.getByTestId(name);
const WATERING = run('r1', 'a', { state: 'watering', opened_at: at(-60), closes_at: at(600) });

function home(runs: Run[] = [WATERING]) {
  const farm = farmOf([zone('a', { name: 'Dâu tây', run_id: runs[0]?.id ?? null })], runs);
  render(Home, { farm, onwater: () => {} });
  return farm;
}

describe('the pause button', () => {
  it('pauses all watering for 30 minutes, then gives way to until when and to going on at once', async () => {
    server.answer = async (one) => (one.method === 'DELETE' ? json(204, null) : json(200, { ...(one.body as object), emergency: false }));
    home();
    await fireEvent.click(id('pause'));
    await waitFor(() => expect(id('hold').textContent).toContain('12:30'));
    expect(server.changes()).toMatchObject([{ method: 'PUT', path: '/farms/mai/hold', body: { until: at(1800), pause: true } }]);
    expect(screen.queryByTestId('pause')).toBeNull();
    await fireEvent.click(id('hold-release'));
    await waitFor(() => expect(screen.queryByTestId('hold')).toBeNull());
    expect(server.changes()[1]).toMatchObject({ method: 'DELETE', path: '/farms/mai/hold' });
    expect(id('pause')).toBeTruthy();
  });

  it('is there only while water runs, and not without a network', async () => {
    const farm = home([]);
    expect(screen.queryByTestId('pause')).toBeNull();
    farm.snapshot = { ...farm.snapshot!, runs: { r1: WATERING } };
    await waitFor(() => expect(id('pause')).toHaveProperty('disabled', false));
    farm.connection = 'offline';
    await waitFor(() => expect(id('pause')).toHaveProperty('disabled', true));
  });

  it('says when it did not work, and that water still runs', async () => {
    server.answer = async () => json(409, { type: 'x/farm-held-already', status: 409, detail: 'no' });
    home();
    await fireEvent.click(id('pause'));
    await waitFor(() => expect(id('hold-trouble').textContent).toContain('hãy thử lại'));
    expect(screen.queryByTestId('hold')).toBeNull();
    expect(id('run-block').dataset.state).toBe('watering');
  });
});
