import { conditionText } from './condition';
import { dayNumber, local, weekdayShort } from './time';
import type { Calendar, Entry, Program, ProgramDraft, ProgramMore, Skipped, Start, Timetable } from './types';
import { t } from './words.svelte';

/** Programs as people edit and read them. What they lead to is the server's preview, never reckoned here. */

export function calendarText(calendar: Calendar): string {
  switch (calendar.kind) {
    case 'weekly':
      return calendar.days.length === 7 ? t('program.daily') : [...calendar.days].sort((a, b) => a - b).map(weekdayShort).join(' ');
    case 'every_n_days': return t('program.every', { n: calendar.n });
    case 'odd_days': return t('program.odd');
    case 'even_days': return t('program.even');
    case 'month_days': {
      const days = [...(calendar.days ?? [])].sort((a, b) => a - b).map(String);
      return t('program.month_days', { days: [...days, ...(calendar.last ? [t('program.last_day')] : [])].join(', ') });
    }
    case 'dates': return t('program.dates', { days: calendar.dates.map(dateText).join(', ') });
    case 'cron': return t('program.cron', { expression: calendar.expression });
    // A server of tomorrow may know more: say so, rather than something else.
    default: return t('program.other_calendar');
  }
}

export function startText(start: Start): string {
  if (typeof start === 'string') return start;
  const n = start.offset_min ?? 0, event = t(`sun.${start.sun}`);
  return n === 0 ? event : t(n < 0 ? 'sun.before' : 'sun.after', { n: Math.abs(n), event });
}

/** One sentence for each thing that the program says beyond its days, starts and doses. */
export function moreLines(program: ProgramMore): string[] {
  const { repeat, seasons, dry_days, windows, finish, adjust, order, pause_s, priority, after_trouble } = program;
  const lines: string[] = [];
  if (repeat) {
    lines.push(repeat.until !== undefined
      ? t('more.repeat_until', { n: repeat.every_min, clock: repeat.until })
      : t('more.repeat_times', { n: repeat.every_min, times: repeat.times ?? 0 }));
  }
  if (seasons?.length) lines.push(t('more.seasons', { spans: seasons.map((s) => `${monthDay(s.first)}–${monthDay(s.last)}`).join(', ') }));
  const dry = [...(dry_days?.weekdays ?? []).map(weekdayShort), ...(dry_days?.dates ?? []).map(dateText)];
  if (dry.length) lines.push(t('more.dry_days', { days: dry.join(', ') }));
  if (windows?.length) lines.push(t('more.windows', { spans: windows.map((w) => `${startText(w.begin)}–${startText(w.end)}`).join(', ') }));
  if (finish) lines.push(`${t('more.finish')} ${t(`more.late_${finish.if_late}`)}`);
  if (adjust?.pct !== undefined) lines.push(t('more.adjust_pct', { pct: adjust.pct }));
  else if (adjust) {
    const shares = adjust.months_pct ?? (adjust.curve ?? []).map((point) => point.pct);
    lines.push(t('more.adjust_year', { low: Math.min(...shares), high: Math.max(...shares) }));
  }
  if (order === 'driest-first') lines.push(t('more.driest_first'));
  if (order === 'together') lines.push(t('more.together'));
  if (pause_s) lines.push(t(pause_s > 0 ? 'more.pause' : 'more.overlap', { n: Math.abs(pause_s) }));
  if (priority === 1 || priority === 3) lines.push(t(priority === 1 ? 'more.first' : 'more.last'));
  if (after_trouble === 'resume') lines.push(t('more.resume'));
  if (after_trouble === 'top-up') lines.push(t('more.top_up'));
  for (const condition of program.conditions ?? []) lines.push(conditionText(condition));
  return lines;
}

const monthDay = (day: string): string => `${day.slice(3)}/${day.slice(0, 2)}`;
const dateText = (date: string): string => `${date.slice(8)}/${date.slice(5, 7)}/${date.slice(0, 4)}`;

/** The id under which an unsaved program is previewed. */
export const NEW_ID = 'new';

export function draftOf(program: Program): ProgramDraft {
  // All that people can set, also what this app does not know: what is left out here would be lost by saving.
  const { id: _id, version: _version, updated_at: _at, updated_by: _by, ...draft } = program;
  return draft;
}

export interface PreviewDay { day: number; ms: number; weekday: number; date: number; entries: Entry[]; skipped: Skipped[] }

/** The seven days from today, each with what the timetable holds for one program. */
export function week(table: Timetable, programId: string, now: number, tz: string): PreviewDay[] {
  const today = dayNumber(now, tz);
  return Array.from({ length: 7 }, (_, i) => {
    const day = today + i, ms = now + i * 86400_000, l = local(ms, tz);
    const here = (thing: { program_id: string | null }, at: string): boolean =>
      thing.program_id === programId && dayNumber(Date.parse(at), tz) === day;
    return {
      day, ms, weekday: l.weekday, date: l.day,
      entries: table.entries.filter((entry) => here(entry, entry.start)),
      // A watering in parts that is skipped is one: its later parts end in .2, .3 …
      skipped: table.skipped.filter((skip) => here(skip, skip.due) && !/\.\d+$/.test(skip.id)),
    };
  });
}
