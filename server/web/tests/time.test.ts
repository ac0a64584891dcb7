import { beforeEach, describe, expect, it } from 'vitest';
import { ago, clock, countdown, dayName, instant, local, moment, number, span } from '../src/lib/time';
import { setLang } from '../src/lib/words.svelte';
import { NOW } from './farm';

const TZ = 'Asia/Ho_Chi_Minh';
const HOUR = 3600_000;

beforeEach(() => setLang('vi'));

describe('a time', () => {
  it('is shown on the farm’s clock, in 24 hours', () => {
    expect(clock(NOW, TZ)).toBe('12:00');
    expect(clock(NOW + 12 * HOUR, TZ)).toBe('00:00');
    expect(clock(NOW, 'Europe/Paris')).toBe('06:00');
  });

  it('names its day: today, tomorrow, yesterday, else T2…CN and dd/MM', async () => {
    expect(dayName(NOW, NOW, TZ)).toBe('Hôm nay');
    expect(dayName(NOW + 24 * HOUR, NOW, TZ)).toBe('Ngày mai');
    expect(dayName(NOW - 24 * HOUR, NOW, TZ)).toBe('Hôm qua');
    expect(dayName(NOW + 48 * HOUR, NOW, TZ)).toBe('T5 26/11');
    expect(dayName(NOW + 120 * HOUR, NOW, TZ)).toBe('CN 29/11');
    expect(moment(NOW + 17.5 * HOUR, NOW, TZ)).toBe('05:30 ngày mai');
    await setLang('fr');
    expect(moment(NOW + 17.5 * HOUR, NOW, TZ)).toBe('demain 05:30');
  });

  it('counts days at the farm’s midnight, not at the phone’s or UTC’s', () => {
    expect(dayName(Date.parse('2026-11-24T17:30:00Z'), Date.parse('2026-11-24T16:30:00Z'), TZ)).toBe('Ngày mai');
  });

  it('goes from the wall clock to the instant and back, over a change of summer time', () => {
    expect(instant(2026, 11, 25, 4, 0, TZ)).toBe(Date.parse('2026-11-24T21:00:00Z'));
    expect(instant(2026, 11, 31, 4, 0, TZ)).toBe(Date.parse('2026-11-30T21:00:00Z'));
    expect(instant(2026, 3, 29, 12, 0, 'Europe/Paris')).toBe(Date.parse('2026-03-29T10:00:00Z'));
    expect(local(Date.parse('2026-03-29T10:00:00Z'), 'Europe/Paris')).toMatchObject({ hour: 12, weekday: 7 });
  });
});

describe('a span', () => {
  it.each([[20, '20 giây'], [90, '1 phút'], [7300, '2 giờ'], [200_000, '2 ngày']])('of %i s is "%s"', (s, text) => {
    expect(span(s)).toBe(text);
  });

  it('is "just now" within five seconds and never negative', () => {
    expect(ago(NOW - 2000, NOW)).toBe('vừa xong');
    expect(ago(NOW + 9000, NOW)).toBe('vừa xong');
    expect(ago(NOW - 20_000, NOW)).toBe('20 giây trước');
  });

  it('counts down as a clock', () => {
    expect(countdown(760)).toBe('12:40');
    expect(countdown(3723)).toBe('1:02:03');
    expect(countdown(-5)).toBe('00:00');
  });
});

it('writes numbers as the language does', async () => {
  expect(number(3456)).toBe('3.456');
  await setLang('en');
  expect(number(3456)).toBe('3,456');
});
