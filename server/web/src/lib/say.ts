import { soil, type Look, type ZoneView } from './present';
import { ago, clock, countdown, moment, number, span } from './time';
import type { Dose, Run, Snapshot, Zone } from './types';
import { t, tCode } from './words.svelte';

/** The sentences. What they say is decided in present.ts; here it only gets words. */

export function doseText(dose: Dose): string {
  if ('minutes' in dose) return t('dose.minutes', { n: dose.minutes });
  if ('litres' in dose) return t('dose.litres', { n: dose.litres });
  if ('depth_mm' in dose) return t('dose.depth', { n: dose.depth_mm });
  if (dose.start_below_pct !== undefined) return t('dose.between', { low: dose.start_below_pct, n: dose.until_moisture_pct });
  return t('dose.moisture', { n: dose.until_moisture_pct });
}

/** "20 phút", "900 lít", "đến 36%, nhiều nhất 60 phút". */
export function doseLong(dose: Dose): string {
  const cap = 'max_minutes' in dose && dose.max_minutes ? `, ${t('dose.at_most', { n: dose.max_minutes })}` : '';
  return doseText(dose) + cap;
}

export const reasonText = (run: Run): string =>
  run.reason
    ? tCode('reason', run.reason.code, run.reason.params, 'reason.other')
    : t(run.state === 'expired' ? 'reason.expired' : 'reason.none');

/** A run's reason where it says more than its state does. */
export const moreReason = (run: Run): string =>
  run.reason && !(run.state === 'stopped' && run.reason.code.startsWith('stopped')) ? reasonText(run) : '';

/** What the ground got of a run that failed. */
export function failedDetail(run: Run): string {
  if (!run.opened_at) return t(run.state === 'expired' ? 'run.cancelled_dry' : 'run.not_watered');
  if (run.has_meter && run.litres !== null) return t('run.watered_litres', { litres: number(run.litres) });
  return t('run.watered_until', { span: run.ended_at ? span((Date.parse(run.ended_at) - Date.parse(run.opened_at)) / 1000) : '…' });
}

export const expiresLine = (run: Run, now: number): string => {
  const left = run.expires_at ? Math.ceil((Date.parse(run.expires_at) - now) / 1000) : null;
  return left !== null && left > 0 ? t('run.expires_in', { n: left }) : t('run.expiring');
};

export const turnLine = (run: Run, now: number, tz: string): string =>
  run.turn_at ? t('queue.turn', { when: moment(Date.parse(run.turn_at), now, tz) }) : t('queue.no_turn');

export const leftText = (run: Run, now: number): string =>
  run.closes_at ? countdown((Date.parse(run.closes_at) - now) / 1000) : '–';

/** "620 lít" from a meter; never a number that nothing measured. */
export const litresText = (run: Run): string =>
  !run.has_meter ? t('run.no_meter')
    : 'litres' in run.dose
      ? t('run.litres_of', { litres: number(run.litres ?? 0), target: number(run.dose.litres) })
      : t('run.litres', { n: Math.round(run.litres ?? 0) });

export function nextLine(zone: Zone, now: number, tz: string): string {
  if (!zone.next) return t('zone.no_next');
  return t('zone.next', { when: moment(Date.parse(zone.next.start), now, tz) });
}

/** What is wrong with the zone's probe; empty while it is believed, and when it is only old. */
export const probeText = (zone: Zone): string =>
  zone.moisture?.reason && (zone.moisture.quality === 'bad' || zone.moisture.quality === 'suspect')
    ? tCode('probe', zone.moisture.reason, {}, 'probe.other') : '';

/** Why a number is old or in doubt, and since when. */
export function ageLine(view: ZoneView, snapshot: Snapshot, now: number): string {
  const { zone } = view;
  if (!zone.moisture) return t('zone.no_probe');
  const at = Date.parse(zone.moisture.at);
  const doubt = probeText(zone);
  if (doubt && zone.moisture.quality === 'suspect') return doubt;
  const node = snapshot.nodes[zone.node_id];
  return `${ago(at, now)} · ${doubt || t(node && !node.online ? 'zone.no_signal' : 'zone.probe_silent')}`;
}

/** The second line of a card: what is happening. */
export function lookLine(view: ZoneView): string {
  switch (view.look) {
    case 'failed':
      if (view.order?.phase === 'failed') return view.order.reason;
      return view.run ? reasonText(view.run) : '';
    case 'quarantined':
      return t('look.quarantined', { why: tCode('alert', view.valve?.quarantine?.code ?? '', {}, 'alert.other') });
    case 'open':
      return t(view.run?.has_meter ? 'look.open' : 'look.open_no_meter');
    default:
      return t(`look.${view.look}`);
  }
}

/** The third line: what comes next, or what to do. */
export function lookDetail(view: ZoneView, snapshot: Snapshot, now: number, tz: string): string {
  const { run } = view;
  switch (view.look) {
    case 'sending':
      return t('order.still_closed');
    case 'cancelling':
      return t('order.cancelling');
    case 'pending':
      return run ? expiresLine(run, now) : '';
    case 'queued':
      return run ? turnLine(run, now, tz) : '';
    case 'open':
    case 'watering':
    case 'closing':
      return run ? `${t('run.left', { left: leftText(run, now) })}${run.has_meter ? ` · ${t('run.litres', { n: Math.round(run.litres ?? 0) })}` : ''}` : '';
    case 'no_flow':
      return t('run.check_pump');
    case 'failed':
      return view.order ? t('order.nothing_waits') : run ? failedDetail(run) : '';
    case 'close_failed':
      return t('close_failed.still');
    case 'quarantined':
      return tCode('todo', view.valve?.quarantine?.code ?? '', {}, 'todo.quarantined');
    case 'stale':
    case 'unknown':
      return ageLine(view, snapshot, now);
    default:
      return nextLine(view.zone, now, tz);
  }
}

/** "22%", "18%?" when old, nothing when too old. */
export function moistureText(view: ZoneView): string {
  if (!view.zone.moisture || view.zone.moisture.value === null || view.freshness === 'lost' || view.freshness === 'none') return '';
  return t('zone.pct', { n: Math.round(view.zone.moisture.value) }) + (view.freshness === 'stale' ? '?' : '');
}

/** The one sentence of the home screen: the weather as measured, then what needs doing. */
export function weatherText(snapshot: Snapshot): string {
  const weather = snapshot.weather;
  if (!weather) return '';
  const rain = weather.rain_mm_today === null ? '' : weather.rain_mm_today < 0.1 ? t('home.no_rain') : t('home.rain', { mm: number(weather.rain_mm_today, 1) });
  const air = weather.air_temperature_c === null ? '' : t('home.air', { c: number(weather.air_temperature_c) });
  const parts = [rain, air].filter(Boolean).join(', ');
  return parts && `${parts.charAt(0).toLocaleUpperCase()}${parts.slice(1)}.`;
}

const WATERED = new Set<Look>(['open', 'watering', 'closing']);

export function needText(views: ZoneView[]): string {
  const names = (look: (view: ZoneView) => boolean): string[] => views.filter(look).map((view) => view.zone.name);
  const stuck = names((view) => view.look === 'close_failed');
  if (stuck.length) return t('home.stuck', { zone: stuck.join(', ') });
  // Whatever became of its last order, a dry zone wants water until it is given some.
  const dry = names((view) => soil(view.zone) === 'dry' && view.freshness === 'fresh' && !WATERED.has(view.look));
  const lost = names((view) => view.look === 'stale' && view.freshness !== 'fresh').length;
  const unseen = lost ? ` ${t('home.unseen', { n: lost })}` : '';
  if (dry.length === 1) return t('home.dry_one', { zone: dry[0] }) + unseen;
  if (dry.length) return t('home.dry_many', { n: dry.length }) + unseen;
  return lost ? unseen.trim() : views.length ? t('home.all_fine') : '';
}

/** Read aloud: the whole home screen in a few sentences. */
export function aloud(views: ZoneView[], snapshot: Snapshot, now: number, tz: string): string {
  const zones = views.map((view) => {
    const running = view.run && (view.look === 'watering' || view.look === 'open');
    return [view.zone.name, moistureText(view).replace('?', ''), lookLine(view),
      running && view.run?.closes_at ? t('run.closes_at', { clock: clock(Date.parse(view.run.closes_at), tz) }) : lookDetail(view, snapshot, now, tz),
    ].filter(Boolean).join(', ');
  });
  return [weatherText(snapshot), needText(views), ...zones.map((text) => `${text}.`)].filter(Boolean).join(' ');
}
