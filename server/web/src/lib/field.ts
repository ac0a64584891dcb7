import { instant, local } from './time';

const two = (n: number): string => String(n).padStart(2, '0');

/** A moment as a date-and-time field has it, in the farm's time; and back, in ms. */
export function toField(ms: number, tz: string): string {
  const l = local(ms, tz);
  return `${l.year}-${two(l.month)}-${two(l.day)}T${two(l.hour)}:${two(l.minute)}`;
}

export function fromField(text: string, tz: string): number | null {
  const found = /^(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d)/.exec(text);
  if (!found) return null;
  const [year, month, day, hour, minute] = found.slice(1).map(Number) as [number, number, number, number, number];
  return instant(year, month, day, hour, minute, tz);
}
