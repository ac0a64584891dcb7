import { cleanup, fireEvent, render, screen, waitFor } from '@testing-library/svelte';
import { describe, expect, it } from 'vitest';
import HouseholdsScreen from '../src/screens/Households.svelte';
import type { Households } from '../src/lib/turns';
import { zone } from './farm';
import { fakeServer, farmOf, json } from './server';

const server = fakeServer();
const id = (name: string): HTMLElement => screen.getByTestId(name);
const PATH = '/farms/mai/households';
const ALL: Households = {
  households: [
    { id: 'mai', name: 'Nhà chị Mai', people: ['mai'], zones: ['a'], has_turns: ['tank'] },
    { id: 'lan', name: 'Nhà chị Lan', people: ['lan-cu'], zones: ['b'], has_turns: [] },
  ],
  farmers: [{ name: 'mai', display_name: 'Chị Mai' }, { name: 'binh', display_name: 'Bác Bình' }],
};
let refusal: { status: number; code: string; detail: string } | null;

async function households(all = ALL, role: 'manager' | 'farmer' = 'manager') {
  refusal = null;
  server.answer = async (sent) => {
    if (sent.method === 'GET') return json(200, all);
    return refusal ? json(refusal.status, { type: `x/${refusal.code}`, status: refusal.status, detail: refusal.detail }) : json(sent.method === 'DELETE' ? 204 : 200, {});
  };
  const zones = [zone('a', { name: 'Mận hậu' }), zone('b', { name: 'Cà phê đồi' }), zone('c', { name: 'Xoài đồi' })];
  render(HouseholdsScreen, { farm: farmOf(zones, [], role) });
  if (role === 'manager') await waitFor(() => expect(id('household-add')).toBeTruthy());
}
const row = (household: string): HTMLElement => screen.getAllByTestId('household').find((one) => one.dataset.household === household)!;
const box = (label: RegExp): HTMLInputElement => screen.getByLabelText(label);

describe('the households', () => {
  it('each says its turns, zones and people', async () => {
    await households();
    expect(row('mai').textContent).toMatch(/Nhà chị Mai.*Có lượt ở Bể.*Mận hậu.*Chị Mai nói thay/s);
    expect(row('lan').textContent).toMatch(/Chưa có lượt.*Cà phê đồi.*lan-cu nói thay/s);
  });

  it('says which zones nobody’s turn waters, at sources that go by turns', async () => {
    await households();
    expect(id('household-nobodys').textContent).toContain('Chưa thuộc hộ nào: Xoài đồi.');
    cleanup();
    await households({ ...ALL, households: ALL.households.map((one) => ({ ...one, has_turns: [] })) });
    expect(screen.queryByTestId('household-nobodys')).toBeNull();
  });

  it('a new one is sent with its zones and people, and says whose a zone is now', async () => {
    await households();
    await fireEvent.click(id('household-add'));
    expect(id('household-save')).toHaveProperty('disabled', true);
    expect(screen.queryByTestId('household-remove')).toBeNull();
    await fireEvent.input(id('household-name'), { target: { value: 'Nhà bác Bình' } });
    await fireEvent.click(box(/Cà phê đồi.*đang của Nhà chị Lan/));
    await fireEvent.click(box(/Bác Bình/));
    await fireEvent.click(id('household-save'));
    await waitFor(() => expect(screen.queryByTestId('sheet')).toBeNull());
    expect(server.changes()).toEqual([{ path: PATH, method: 'POST', key: null, body: { name: 'Nhà bác Bình', zones: ['b'], people: ['binh'] } }]);
    expect(server.sent.at(-1)).toMatchObject({ method: 'GET', path: PATH });
  });

  it('one is renamed and keeps who speaks for it, also without an account', async () => {
    await households();
    await fireEvent.click(row('lan'));
    await fireEvent.input(id('household-name'), { target: { value: 'Nhà cô Lan' } });
    await fireEvent.click(box(/Xoài đồi/));
    await fireEvent.click(id('household-save'));
    await waitFor(() => expect(server.changes()[0]).toMatchObject({ path: `${PATH}/lan`, method: 'PUT', body: { name: 'Nhà cô Lan', zones: ['b', 'c'], people: ['lan-cu'] } }));
  });

  it('shows the server’s sentence and stays', async () => {
    await households();
    refusal = { status: 409, code: 'household-name-taken', detail: 'Đã có hộ tên là Nhà chị Mai.' };
    await fireEvent.click(row('lan'));
    await fireEvent.click(id('household-save'));
    await waitFor(() => expect(id('household-problem').textContent).toBe('Đã có hộ tên là Nhà chị Mai.'));
    expect(id('household-remove').textContent).toBe('Bỏ hộ này');
  });

  it('one leaves only when asked twice, and says why it cannot', async () => {
    await households();
    refusal = { status: 409, code: 'household-has-turns', detail: 'Còn lượt nước ở Bể.' };
    await fireEvent.click(row('mai'));
    await fireEvent.click(id('household-remove'));
    expect(server.changes()).toEqual([]);
    expect(id('household-remove').textContent).toBe('Chắc chắn bỏ Nhà chị Mai?');
    await fireEvent.click(id('household-remove'));
    await waitFor(() => expect(id('household-problem').textContent).toBe('Còn lượt nước ở Bể.'));
    expect(id('household-remove').textContent).toBe('Bỏ hộ này');
    expect(server.changes()).toMatchObject([{ path: `${PATH}/mai`, method: 'DELETE' }]);
  });

  it('with a balance one leaves when somebody says that it is settled', async () => {
    await households();
    refusal = { status: 409, code: 'household-owed', detail: 'Còn được nhận 5400 lít.' };
    await fireEvent.click(row('lan'));
    await fireEvent.click(id('household-remove'));
    await fireEvent.click(id('household-remove'));
    await waitFor(() => expect(id('household-remove').textContent).toBe('Đã tính xong, bỏ Nhà chị Lan'));
    expect(id('household-problem').textContent).toBe('Còn được nhận 5400 lít.');
    refusal = null;
    await fireEvent.click(id('household-remove'));
    await waitFor(() => expect(screen.queryByTestId('sheet')).toBeNull());
    expect(server.changes().at(-1)!.path).toBe(`${PATH}/lan?balance=settled`);
  });

  it('are for managers', async () => {
    await households(ALL, 'farmer');
    expect(server.sent).toEqual([]);
    expect(screen.queryByTestId('household-add')).toBeNull();
  });
});
