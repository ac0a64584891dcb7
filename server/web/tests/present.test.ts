import { describe, expect, it } from 'vitest';
import { freshness, heardAt, progress, receipts, runLook, sortViews, unheardSince, viewZone, type Order } from '../src/lib/present';
import { litresText, lookDetail, lookLine, moistureText, needText } from '../src/lib/say';
import type { Run, RunState, Zone } from '../src/lib/types';
import { at, NOW, run, snapshot, zone } from './farm';

const read = (ageS: number, value: number | null = 30, quality = 'good', reason: string | null = null): Zone =>
  zone('a', { moisture: { value, at: at(-ageS), quality, reason, sensors: 1 } });
const view = (of: Zone, runs: Run[] = [], order: Order | null = null, dismissed = new Set<string>()) => viewZone(snapshot([of], runs), of, order, dismissed, NOW);
const order = (more: Partial<Order> = {}): Order => ({ key: 'k', zoneId: 'a', dose: { minutes: 20 }, askedAt: NOW, phase: 'sending', reason: '', field: null, ...more });

describe('the age of a reading', () => {
  it.each([
    [0, 'fresh'], [180, 'fresh'], [181, 'stale'], [360, 'stale'], [361, 'lost'],
  ])('after %i s of a report every 60 s it is %s', (age, expected) => {
    expect(freshness(read(age), NOW)).toBe(expected);
  });

  it('counts from the zone’s own interval', () => {
    expect(freshness({ ...read(3000), report_every_s: 3600 }, NOW)).toBe('fresh');
  });

  it('shows a stale number with a question mark and a lost one not at all', () => {
    expect(moistureText(view(read(10, 18)))).toBe('18%');
    expect(moistureText(view(read(200, 18)))).toBe('18%?');
    expect(moistureText(view(read(400, 18)))).toBe('');
    expect(moistureText(view(zone('a', { moisture: null })))).toBe('');
  });

  it('calls nothing dry that is old, faulty or missing', () => {
    expect(view(read(10, 10)).look).toBe('dry');
    expect(view(read(200, 10)).look).toBe('stale');
    expect(view(read(400, 10)).look).toBe('stale');
    expect(view(read(10, 10, 'bad')).look).toBe('stale');
    expect(view(zone('a', { moisture: null })).look).toBe('unknown');
  });
});

describe('what the farm needs', () => {
  it('still counts a dry zone whose order failed or waits, and none that is being watered', () => {
    const dry = read(10, 10);
    const needs = (...runs: Run[]): string => needText([view(dry, runs)]);
    expect(needs()).toContain('thiếu nước');
    for (const state of ['failed', 'refused', 'interrupted', 'queued', 'asked'] as RunState[]) expect(needs(run('r', 'a', { state, ended_at: at(-1) })), state).toContain('thiếu nước');
    expect(needs(run('r', 'a', { state: 'watering', opened_at: at(-5), closes_at: at(900), litres: 4, flow_l_min: 48 }))).not.toContain('thiếu nước');
  });
});

describe('a run', () => {
  it.each<[RunState, string | null]>([
    ['asked', 'pending'], ['queued', 'queued'], ['accepted', 'pending'], ['opening', 'pending'], ['open', 'open'], ['watering', 'watering'], ['closing', 'closing'],
    ['done', null], ['stopped', null], ['refused', 'failed'], ['expired', 'failed'], ['failed', 'failed'], ['interrupted', 'failed'],
  ])('that is %s looks %s', (state, look) => {
    expect(runLook(run('r', 'a', { state, opened_at: at(-5) }), NOW)).toBe(look);
  });

  it('that is open without flow says so after 30 s, and only where a meter could see it', () => {
    const open = (ageS: number, has_meter = true) => runLook(run('r', 'a', { state: 'open', opened_at: at(-ageS), has_meter }), NOW);
    expect(open(29)).toBe('open');
    expect(open(31)).toBe('no_flow');
    expect(open(600, false)).toBe('open');
  });

  it('that closes before it ever opened is not blue', () => {
    expect(runLook(run('r', 'a', { state: 'closing' }), NOW)).toBe('cancelling');
    expect(runLook(run('r', 'a', { state: 'accepted', stopping: true }), NOW)).toBe('cancelling');
    expect(runLook(run('r', 'a', { state: 'watering', opened_at: at(-9), stopping: true }), NOW)).toBe('closing');
  });

  it('tells litres only from a meter', () => {
    expect(litresText(run('r', 'a', { litres: 620, dose: { litres: 900, max_minutes: 60 } }))).toBe('620 / 900 lít');
    expect(litresText(run('r', 'a', { litres: 620, has_meter: false }))).not.toMatch(/\d/);
  });

  it('comes as far as its dose: litres by the meter, minutes by the clock', () => {
    const opened = { opened_at: at(-300), closes_at: at(900), litres: 450 };
    expect(progress(run('r', 'a', { ...opened, dose: { litres: 900, max_minutes: 60 } }), NOW)).toBe(0.5);
    expect(progress(run('r', 'a', opened), NOW)).toBe(0.25);
  });

  it('that failed stays on the card until a person puts it away or a later one follows', () => {
    const bad = run('bad', 'a', { state: 'expired', asked_at: at(-100), ended_at: at(-10) });
    expect(view(zone('a'), [bad]).look).toBe('failed');
    expect(view(zone('a'), [bad], null, new Set(['bad'])).look).toBe('fine');
    const good = run('good', 'a', { state: 'done', asked_at: at(-5), ended_at: at(-1) });
    expect(view(zone('a'), [bad, good]).look).toBe('fine');
  });

  it('that ended well leaves a receipt for three minutes', () => {
    const done = run('r', 'a', { state: 'done', opened_at: at(-700), ended_at: at(-100) });
    expect(receipts(snapshot([zone('a')], [done]), NOW, new Set())).toHaveLength(1);
    expect(receipts(snapshot([zone('a')], [done]), NOW + 120_000, new Set())).toHaveLength(0);
    expect(receipts(snapshot([zone('a')], [done]), NOW, new Set(['r']))).toHaveLength(0);
  });
});

describe('an order of this phone', () => {
  it('is shown over the soil and over an old failure', () => {
    const bad = run('bad', 'a', { state: 'expired', ended_at: at(-10) });
    expect(view(zone('a'), [], order()).look).toBe('sending');
    expect(view(zone('a'), [bad], order()).look).toBe('sending');
  });

  it('never hides a valve that is open or did not close', () => {
    const open = run('r', 'a', { state: 'watering', opened_at: at(-9) });
    expect(view(zone('a'), [open], order()).look).toBe('watering');
    const farm = snapshot([zone('a')]);
    farm.nodes['board-1']!.valves[0]!.state = 'close_failed';
    expect(viewZone(farm, farm.zones.a!, order(), new Set(), NOW).look).toBe('close_failed');
    farm.nodes['board-1']!.valves[0]!.quarantine = { code: 'flow-while-closed', params: {} };
    expect(viewZone(farm, farm.zones.a!, null, new Set(), NOW).look).toBe('close_failed');
  });
});

describe('a valve that faults have locked', () => {
  const locked = () => {
    const farm = snapshot([zone('a')], [run('bad', 'a', { state: 'failed', ended_at: at(-10), reason: { code: 'burst', params: {} } })]);
    farm.nodes['board-1']!.valves[0]!.quarantine = { code: 'burst', params: {} };
    return farm;
  };

  it('says so over the soil and over the run that found it, with what to do', () => {
    const farm = locked();
    const seen = viewZone(farm, farm.zones.a!, null, new Set(), NOW);
    expect(seen.look).toBe('quarantined');
    expect(lookLine(seen)).toBe('Đã khóa: Nước chảy quá mạnh, có thể vỡ ống');
    expect(lookDetail(seen, farm, NOW, farm.farm.tz)).toBe('Van đã được đóng. Sửa ống rồi nhờ mở khóa.');
  });

  it('does not hide a run that is under way', () => {
    const farm = locked();
    farm.runs = { r: run('r', 'a', { state: 'closing', opened_at: at(-9) }) };
    expect(viewZone(farm, farm.zones.a!, null, new Set(), NOW).look).toBe('closing');
  });
});

describe('the order of the cards', () => {
  it('is failed, running or pending, dry, stale, fine, by name within', () => {
    const zones = [
      zone('fine-b'), zone('fine-a'), zone('stale', { moisture: { value: 20, at: at(-200), quality: 'good', reason: null, sensors: 1 } }),
      zone('dry', { moisture: { value: 20, at: at(-10), quality: 'good', reason: null, sensors: 1 } }), zone('running', { run_id: 'r1' }), zone('bad'),
    ].map((one, i) => ({ ...one, channel: `v${i}` }));
    const farm = snapshot(zones, [run('r1', 'running', { state: 'watering', opened_at: at(-9) }), run('r2', 'bad', { state: 'refused', ended_at: at(-5) })]);
    const views = sortViews(zones.map((one) => viewZone(farm, one, null, new Set(), NOW)));
    expect(views.map((one) => one.zone.id)).toEqual(['bad', 'running', 'dry', 'stale', 'fine-a', 'fine-b']);
  });
});

it('the data are as old as the newest thing heard from the farm', () => {
  expect(heardAt(snapshot([zone('a')]))).toBe(NOW - 9000);
});

describe('a board that is not heard', () => {
  it('is told with the time of its last word, whoever of the three is away', () => {
    const farm = snapshot([zone('a')]);
    expect(unheardSince(farm, farm.zones.a!, false)).toBeNull();
    expect(unheardSince(farm, farm.zones.a!, true)).toBe(NOW - 9000);
    expect(unheardSince({ ...farm, link: { ...farm.link, gateway_online: false } }, farm.zones.a!, false)).toBe(NOW - 9000);
    farm.nodes['board-1']!.online = false;
    expect(unheardSince(farm, farm.zones.a!, false)).toBe(NOW - 9000);
  });
});
