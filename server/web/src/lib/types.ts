/** The shapes of docs/api.md, as the app reads them. Times are ISO 8601 UTC strings. */

export type Lang = 'vi' | 'en' | 'fr';
export type Role = 'farmer' | 'technician' | 'manager';
export type Params = Record<string, unknown>;

export interface Me {
  name: string;
  display_name: string;
  role: Role;
  language: Lang;
  farms: { id: string; name: string }[];
}

export interface Coded { code: string; params: Params }

export type Dose =
  | { minutes: number }
  | { litres: number; max_minutes: number }
  | { until_moisture_pct: number; max_minutes: number; start_below_pct?: number }
  | { depth_mm: number; max_minutes?: number };

export type RunState =
  | 'asked' | 'queued' | 'accepted' | 'opening' | 'open' | 'watering' | 'closing' | 'done'
  | 'refused' | 'expired' | 'failed' | 'interrupted' | 'stopped';

export interface Run {
  id: string;
  zone_id: string;
  state: RunState;
  dose: Dose;
  max_s: number;
  actor: string;
  origin: 'person' | 'program';
  program_id: string | null;
  asked_at: string;
  expires_at: string | null;
  opened_at: string | null;
  closes_at: string | null;
  ended_at: string | null;
  at: string;
  litres: number | null;
  flow_l_min: number | null;
  has_meter: boolean;
  /** A person has asked it to stop; the board has not confirmed it yet. */
  stopping?: boolean;
  /** When one that waits in the queue may expect to begin; null where nothing is foreseen. */
  turn_at?: string | null;
  reason: { code: string; params: Params } | null;
}

export interface Zone {
  id: string;
  name: string;
  crop: string;
  area_m2: number | null;
  emitters: string;
  node_id: string;
  channel: string;
  source_id: string;
  flow_l_min: number;
  has_meter: boolean;
  max_run_s: number;
  moisture_low_pct: number;
  moisture_high_pct: number;
  /** By a bad or stale word of its probes, value and at are the last that was believed; null = nothing ever was. */
  moisture: { value: number | null; at: string; quality: string; reason: string | null; sensors: number } | null;
  report_every_s: number;
  next: { entry_id: string; start: string; duration_s: number; program_id: string | null; rule: string; params: Params } | null;
  last_dose: Dose | null;
  run_id: string | null;
}

export interface Valve {
  channel: string;
  zone_id: string | null;
  state: 'closed' | 'open' | 'closing' | 'close_failed' | 'unknown';
  /** The fault for which nothing opens it before a technician's reset. */
  quarantine: Coded | null;
  /** A reset that was asked for and is not done. */
  reset: { by: string; at: string; refused: Coded | null } | null;
}

export interface Node {
  id: string;
  name: string;
  online: boolean;
  last_heard: string | null;
  software: string | null;
  battery_v: number | null;
  plan: 'timetable' | 'base' | 'fallback' | 'none';
  timetable_version: number | null;
  valid_until: string | null;
  clock_trusted: boolean;
  outbox_events: number;
  outbox_readings: number;
  valves: Valve[];
}

export interface Alert {
  id: string;
  kind: string;
  severity: 'warning' | 'critical';
  zone_id: string | null;
  node_id: string | null;
  raised_at: string;
  acknowledged_at: string | null;
  cleared_at: string | null;
  params: Params;
}

export interface Snapshot {
  at: string;
  farm: {
    id: string; name: string; cooperative: string; tz: string;
    lat: number; lon: number; help_phone: string | null;
  };
  link: { gateway_online: boolean; last_heard: string | null };
  hold: { until: string | null; reason: string; emergency?: boolean; pause?: boolean } | null;
  weather: { rain_mm_today: number | null; air_temperature_c: number | null; at: string } | null;
  sources: Record<string, { id: string; name: string; capacity_l_min: number }>;
  zones: Record<string, Zone>;
  runs: Record<string, Run>;
  nodes: Record<string, Node>;
  alerts: Record<string, Alert>;
}

export type Calendar =
  | { kind: 'weekly'; days: number[] }
  | { kind: 'every_n_days'; n: number; anchor: string }
  | { kind: 'odd_days' }
  | { kind: 'even_days' }
  | { kind: 'month_days'; days?: number[]; last?: boolean }
  | { kind: 'dates'; dates: string[] }
  | { kind: 'cron'; expression: string };

/** A farm-local HH:MM, or the sun's time. */
export type Start = string | { sun: 'sunrise' | 'sunset'; offset_min?: number; otherwise?: string };

export interface Window { begin: Start; end: Start }

/** What a program need not say (docs/programs.md). The app says it in words, edits none of it and loses none of it. */
export interface ProgramMore {
  repeat?: { every_min: number; times?: number; until?: string };
  seasons?: { first: string; last: string }[];
  dry_days?: { weekdays?: number[]; dates?: string[] };
  windows?: Window[];
  finish?: { if_late: 'earlier' | 'shorten' | 'skip'; earlier_min?: number };
  adjust?: { pct?: number; months_pct?: number[]; curve?: { day: string; pct: number }[]; least_minutes?: number; step_s?: number };
  order?: 'given' | 'driest-first' | 'together';
  pause_s?: number;
  priority?: number;
  after_trouble?: 'skip' | 'resume' | 'top-up';
  conditions?: Condition[];
}

export type ConditionKind = 'rain-fallen' | 'rain-forecast' | 'soil-wet' | 'frost' | 'wind' | 'heat' | 'source-low';

export interface Condition {
  kind: ConditionKind; limit: number; release?: number; hours?: number; max_age_min?: number; missing?: 'run' | 'skip' | 'ask';
}

export interface ProgramDraft extends ProgramMore {
  name: string;
  enabled: boolean;
  calendar: Calendar;
  starts: Start[];
  zones: { zone_id: string; dose: Dose; cycle?: { on_minutes: number; soak_minutes: number } }[];
}

export interface Program extends ProgramDraft {
  id: string;
  version: number;
  updated_at: string;
  updated_by: string;
}

export interface Entry {
  id: string; zone_id: string; program_id: string | null; due: string; start: string;
  duration_s: number; dose: Dose; litres: number | null; rule: string; params: Params;
  /** A condition whose value is still to come, and without which it does not run. */
  awaits: string | null;
  sentence: string;
}

export interface Skipped {
  id: string; zone_id: string; program_id: string | null; due: string; rule: string; params: Params; sentence: string;
}

export interface Timetable {
  version: number; compiled_at: string; valid_until: string; tz: string; entries: Entry[]; skipped: Skipped[];
}

export interface Decision {
  id: string; zone_id: string; program_id: string | null; due: string;
  result: 'ran' | 'changed' | 'skipped' | 'refused'; rule: string; params: Params; at: string; run_id: string | null;
  /** What became of it and why, in the language that was asked for. */
  sentence: string;
}

export interface Series {
  quantity: string; unit: string; step_s: number;
  points: [number, number | null, number | null, number | null][];
  last_at: string | null;
}

export interface StopAll {
  id: string;
  valves: { zone_id: string | null; channel: string; node_id: string; state: string }[];
}
