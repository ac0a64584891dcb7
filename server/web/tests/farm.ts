import type { Run, Snapshot, Zone } from '../src/lib/types';

/** A small farm for the tests; `NOW` is 12:00 in Sơn La on Tuesday 24 November 2026. */
export const NOW = Date.parse('2026-11-24T05:00:00Z');
export const at = (offsetS: number): string => new Date(NOW + offsetS * 1000).toISOString();

export function zone(id: string, more: Partial<Zone> = {}): Zone {
  return {
    id, name: id, crop: '', area_m2: 1200, emitters: 'drip', node_id: 'board-1', channel: 'v1', source_id: 'tank', flow_l_min: 48, has_meter: true,
    max_run_s: 3600, moisture_low_pct: 28, moisture_high_pct: 36, moisture: { value: 30, at: at(-30), quality: 'good', reason: null, sensors: 2 }, report_every_s: 60,
    next: null, last_dose: null, run_id: null, ...more,
  };
}

export function run(id: string, zoneId: string, more: Partial<Run> = {}): Run {
  return {
    id, zone_id: zoneId, state: 'asked', dose: { minutes: 20 }, max_s: 1200, actor: 'mai', origin: 'person', program_id: null,
    asked_at: at(-10), expires_at: at(80), opened_at: null, closes_at: null, ended_at: null, at: at(-10), litres: null, flow_l_min: null,
    has_meter: true, reason: null, ...more,
  };
}

export function snapshot(zones: Zone[], runs: Run[] = []): Snapshot {
  return {
    at: at(0), farm: { id: 'mai', name: 'Vườn', cooperative: 'HTX', tz: 'Asia/Ho_Chi_Minh', lat: 21.3, lon: 103.9, help_phone: '+84900000000' },
    link: { gateway_online: true, last_heard: at(-12) }, hold: null, weather: null,
    sources: { tank: { id: 'tank', name: 'Bể', capacity_l_min: 60 } },
    zones: Object.fromEntries(zones.map((one) => [one.id, one])), runs: Object.fromEntries(runs.map((one) => [one.id, one])),
    nodes: {
      'board-1': {
        id: 'board-1', name: 'HV-01', online: true, last_heard: at(-9), software: '0.1.0', battery_v: 12.6, plan: 'timetable', timetable_version: 1,
        valid_until: at(86400), clock_trusted: true, outbox_events: 0, outbox_readings: 0, valves: [{ channel: 'v1', zone_id: zones[0]?.id ?? null, state: 'closed', quarantine: null, reset: null }],
      },
    },
    alerts: {},
  };
}
