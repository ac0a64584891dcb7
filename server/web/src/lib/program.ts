import { dayNumber, local, weekdayShort } from './time';
import type { Calendar, Entry, Program, ProgramDraft, Skipped, Timetable } from './types';
import { t } from './words.svelte';

/** Programs as people edit and read them. What they lead to is the server's preview, never reckoned here. */

export function calendarText(calendar: Calendar): string {
  if (calendar.kind === 'every_n_days') return t('program.every', { n: calendar.n });
  if (calendar.days.length === 7) return t('program.daily');
  return [...calendar.days].sort((a, b) => a - b).map(weekdayShort).join(' ');
}

/** The id under which an unsaved program is previewed. */
export const NEW_ID = 'new';

export function draftOf(program: Program): ProgramDraft {
  const { name, enabled, calendar, starts, zones } = program;
  return { name, enabled, calendar, starts, zones };
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
      skipped: table.skipped.filter((skip) => here(skip, skip.due)),
    };
  });
}
