import { fireEvent, render, screen, waitFor } from '@testing-library/svelte';
import { describe, expect, it } from 'vitest';
import AfterTrouble from '../src/components/AfterTrouble.svelte';
import Weather from '../src/screens/Weather.svelte';
import { fromField, toField } from '../src/lib/field';
import { asFarAs, withSum } from '../src/lib/weather';
import type { Role } from '../src/lib/types';
import { at, NOW } from './farm';
import { fakeServer, farmOf, json } from './server';

const server = fakeServer();
const id = (name: string): HTMLElement => screen.getByTestId(name);
const RULES = { groups: [{ id: 'upper', zone_ids: ['a'] }], windows: [{ begin: '20:00', end: '08:00' }], conditions: [{ kind: 'frost', limit: 2 }] };
const FORECAST = { issued_at: at(-3600), rain: [{ hours: 24, mm: 12 }, { hours: 48, mm: 20 }] };

async function weather(role: Role, forecast: unknown = FORECAST) {
  server.answer = async (one) =>
    one.method === 'DELETE' ? json(204, null) : json(200, one.body ?? (one.path.endsWith('/rules') ? RULES : forecast));
  render(Weather, { farm: farmOf(undefined, [], role) });
  await waitFor(() => expect(id('forecast')).toBeTruthy());
}

describe('conditions of the whole farm', () => {
  it('are changed without touching what else binds every program', async () => {
    await weather('manager');
    expect(screen.queryByTestId('conditions-save')).toBeNull();
    await fireEvent.change(id('condition-add'), { target: { value: 'wind' } });
    await fireEvent.click(id('conditions-save'));
    await waitFor(() => expect(screen.queryByTestId('conditions-save')).toBeNull());
    expect(server.changes()).toMatchObject([{ method: 'PUT', path: '/farms/mai/rules', body: { ...RULES, conditions: [{ kind: 'frost', limit: 2 }, { kind: 'wind', limit: 6 }] } }]);
    expect(id('house-conditions').textContent).toContain('Đã lưu');
  });

  it('say why they were not taken, in the server’s sentence, and stay to be mended', async () => {
    await weather('farmer');
    server.answer = async () => json(422, { type: 'x/bad-field', status: 422, detail: 'Sai ở điều kiện.', field: 'conditions' });
    await fireEvent.click(screen.getByLabelText('Bỏ điều kiện này'));
    await fireEvent.click(id('conditions-save'));
    await waitFor(() => expect(id('house-conditions').textContent).toContain('Sai ở điều kiện.'));
    expect(id('conditions-save')).toBeTruthy();
  });

  it('are only read by a technician', async () => {
    await weather('technician');
    expect(screen.queryByTestId('condition-add')).toBeNull();
    expect(id('house-conditions').textContent).toContain('2 °C');
  });
});

describe('the forecast', () => {
  it('is shown with its age to everybody, and given by technicians and managers only', async () => {
    await weather('farmer');
    expect(id('forecast').textContent).toMatch(/Trong 24 giờ.*12 mm.*Trong 48 giờ.*20 mm.*11:00/);
    expect(screen.queryByTestId('forecast-edit')).toBeNull();
  });

  it('is entered as sums from the moment of its issue on', async () => {
    await weather('manager', null);
    expect(id('forecast').textContent).toContain('Chưa có dự báo');
    await fireEvent.click(id('forecast-edit'));
    await fireEvent.click(screen.getByLabelText('Thêm mưa trong 24 giờ'));
    await fireEvent.click(id('forecast-48'));
    await fireEvent.click(screen.getByLabelText('Thêm mưa trong 48 giờ'));
    await fireEvent.input(id('forecast-issued'), { target: { value: '2026-11-24T06:30' } });
    await fireEvent.click(id('forecast-save'));
    await waitFor(() => expect(screen.queryByTestId('forecast-save')).toBeNull());
    expect(server.changes()).toMatchObject([{ method: 'PUT', path: '/farms/mai/forecast', body: { issued_at: '2026-11-23T23:30:00.000Z', rain: [{ hours: 24, mm: 1 }, { hours: 48, mm: 2 }] } }]);
  });

  it('is dropped, so that the farm goes by none', async () => {
    await weather('technician');
    await fireEvent.click(id('forecast-drop'));
    await waitFor(() => expect(id('forecast').textContent).toContain('Chưa có dự báo'));
    expect(server.changes()).toMatchObject([{ method: 'DELETE', path: '/farms/mai/forecast' }]);
  });

  it('never holds less in more hours', () => {
    const rain = [{ hours: 24, mm: 12 }, { hours: 48, mm: 12 }, { hours: 72, mm: 30 }];
    expect(withSum(rain, 24, 1).map((one) => one.mm)).toEqual([13, 13, 30]);
    expect(withSum(rain, 48, -1).map((one) => one.mm)).toEqual([11, 11, 30]);
    expect(withSum(rain, 72, 1).at(-1)!.mm).toBe(35);
    expect(withSum([{ hours: 24, mm: 0 }], 24, -1)).toEqual([{ hours: 24, mm: 0 }]);
    expect(asFarAs([{ hours: 24, mm: 3 }], 72)).toEqual([{ hours: 24, mm: 3 }, { hours: 48, mm: 3 }, { hours: 72, mm: 3 }]);
    expect(asFarAs(rain, 24)).toEqual([{ hours: 24, mm: 12 }]);
  });

  it('has its moment in the farm’s time', () => {
    expect(toField(NOW, 'Asia/Ho_Chi_Minh')).toBe('2026-11-24T12:00');
    expect(fromField('2026-11-24T12:00', 'Asia/Ho_Chi_Minh')).toBe(NOW);
    expect(fromField('', 'Asia/Ho_Chi_Minh')).toBeNull();
  });
});

describe('after trouble', () => {
  it('is one of three, each with what it means', async () => {
    let chosen = 'skip';
    const shown = render(AfterTrouble, { chosen: 'skip', onchange: (next: string) => (chosen = next) });
    expect(shown.container.textContent).toContain('Phần chưa tưới thì bỏ');
    await fireEvent.click(id('trouble-top-up'));
    expect(chosen).toBe('top-up');
    await shown.rerender({ chosen: 'resume' });
    expect(shown.container.textContent).toContain('trong hai giờ');
  });
});
