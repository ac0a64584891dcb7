import { t, lang, type Key } from './words.svelte';

/** Times as the farm reads them: its own zone, 24 hours, dd/MM, T2…CN. */

interface Local { year: number; month: number; day: number; hour: number; minute: number; weekday: number }

const formats = new Map<string, Intl.DateTimeFormat>();

/** The wall clock of time zone `tz` at `ms`; weekday is ISO, 1 = Monday. */
export function local(ms: number, tz: string): Local {
  let format = formats.get(tz);
  if (!format) {
    format = new Intl.DateTimeFormat('en-GB', {
      timeZone: tz, hourCycle: 'h23', year: 'numeric', month: '2-digit', day: '2-digit', hour: '2-digit', minute: '2-digit',
    });
    formats.set(tz, format);
  }
  const part: Record<string, number> = {};
  for (const { type, value } of format.formatToParts(ms)) part[type] = Number(value);
  const { year = 0, month = 1, day = 1, hour = 0, minute = 0 } = part;
  return { year, month, day, hour, minute, weekday: new Date(Date.UTC(year, month - 1, day)).getUTCDay() || 7 };
}

/** The instant, in ms, of a wall-clock time in `tz`; `day` may run over the month's end. */
export function instant(year: number, month: number, day: number, hour: number, minute: number, tz: string): number {
  const wall = Date.UTC(year, month - 1, day, hour, minute);
  const offset = (at: number): number => {
    const l = local(at, tz);
    return Date.UTC(l.year, l.month - 1, l.day, l.hour, l.minute) - Math.floor(at / 60000) * 60000;
  };
  const guess = wall - offset(wall);
  return wall - offset(guess);
}

const two = (n: number): string => String(n).padStart(2, '0');

export const clock = (ms: number, tz: string): string => {
  const l = local(ms, tz);
  return `${two(l.hour)}:${two(l.minute)}`;
};

export const dayMonth = (ms: number, tz: string): string => {
  const l = local(ms, tz);
  return `${two(l.day)}/${two(l.month)}`;
};

/** The farm's calendar day as a number: days since 1970. */
export const dayNumber = (ms: number, tz: string): number => {
  const l = local(ms, tz);
  return Date.UTC(l.year, l.month - 1, l.day) / 86400000;
};

export const weekdayShort = (iso: number): string => t(`day.${iso}` as Key);

export const weekdayLong = (iso: number): string => t(`weekday.${iso}` as Key);

/** "Hôm nay", "Ngày mai", "Hôm qua" or "T3 24/11". */
export function dayName(ms: number, now: number, tz: string): string {
  const distance = dayNumber(ms, tz) - dayNumber(now, tz);
  if (distance === 0) return t('time.today');
  if (distance === 1) return t('time.tomorrow');
  if (distance === -1) return t('time.yesterday');
  return `${weekdayShort(local(ms, tz).weekday)} ${dayMonth(ms, tz)}`;
}

/** "05:30", "05:30 ngày mai", "05:30 T5 26/11". */
export function moment(ms: number, now: number, tz: string): string {
  const distance = dayNumber(ms, tz) - dayNumber(now, tz);
  if (distance === 0) return clock(ms, tz);
  const day = dayName(ms, now, tz);
  return t('time.clock_day', { clock: clock(ms, tz), day: Math.abs(distance) === 1 ? day.toLocaleLowerCase() : day });
}

/** A span as people say it: "20 giây", "3 giờ". Never more than one unit. */
export function span(seconds: number): string {
  const s = Math.max(0, Math.round(seconds));
  if (s < 60) return t('time.seconds', { n: s });
  if (s < 3600) return t('time.minutes', { n: Math.floor(s / 60) });
  if (s < 172800) return t('time.hours', { n: Math.floor(s / 3600) });
  return t('time.days', { n: Math.floor(s / 86400) });
}

const JUST_NOW_MS = 5000;

export const ago = (ms: number, now: number): string =>
  now - ms < JUST_NOW_MS ? t('time.just_now') : t('time.ago', { span: span((now - ms) / 1000) });

/** "12:40", "1:02:03": what is left of a run. */
export function countdown(seconds: number): string {
  const s = Math.max(0, Math.ceil(seconds));
  const h = Math.floor(s / 3600);
  const rest = `${two(Math.floor((s % 3600) / 60))}:${two(s % 60)}`;
  return h ? `${h}:${rest}` : rest;
}

export function number(value: number, digits = 0): string {
  return new Intl.NumberFormat(lang(), { maximumFractionDigits: digits }).format(value);
}
