import uPlot from 'uplot';
import 'uplot/dist/uPlot.min.css';
import { LEFT, SCALE, wholeLabels } from './axis';
import { clock, dayMonth, dayNumber, instant, local, weekdayShort } from './time';
import type { Run, Series, Zone } from './types';
import { t } from './words.svelte';

interface Parts { series: Series; days: number; zone: Zone; runs: Run[]; tz: string; now: number }

const INK = '#14211A', INK2 = '#435048', LINE = '#DAD9CE', WATER = '#0A5896', DRY = '#8F4405', LEAF = '#17603C', BAND = '#DDECE0';
const FONT = "500 13px 'Be Vietnam Pro', Roboto, system-ui, sans-serif";
const HEIGHT = 190, BARS = 34;

/** Draws into `box`; the caller destroys what it gets back. */
export function draw(box: HTMLElement, { series, days, zone, runs, tz, now }: Parts): uPlot {
  const to = now / 1000, from = to - days * 86400;
  const xs = series.points.map((point) => point[0]);
  const ys = series.points.map((point) => point[1]);
  const seen = ys.filter((y): y is number => y !== null);
  const top = Math.max(zone.moisture_high_pct, ...seen) + 2;
  const bottom = Math.min(zone.moisture_low_pct, ...seen) - 3;
  const ratio = devicePixelRatio || 1;

  const midnights = (): number[] => {
    const l = local(from * 1000, tz);
    const every = days > 10 ? 7 : 1;
    const marks: number[] = [];
    if (days === 1) {
      for (let hour = 0; hour <= 48; hour += 6) marks.push(instant(l.year, l.month, l.day, hour, 0, tz) / 1000);
    } else {
      for (let day = 0; day <= days; day += every) marks.push(instant(l.year, l.month, l.day + day + 1, 0, 0, tz) / 1000);
    }
    return marks.filter((mark) => mark > from && mark < to);
  };
  const label = (mark: number): string => {
    const ms = mark * 1000;
    if (days === 1) return clock(ms, tz);
    if (dayNumber(ms, tz) === dayNumber(now, tz)) return t('chart.today');
    return days > 10 ? dayMonth(ms, tz) : `${weekdayShort(local(ms, tz).weekday)} ${dayMonth(ms, tz)}`;
  };

  const under = (u: uPlot): void => {
    const { ctx, bbox } = u;
    const high = u.valToPos(zone.moisture_high_pct, 'y', true), low = u.valToPos(zone.moisture_low_pct, 'y', true);
    ctx.save();
    ctx.fillStyle = BAND;
    ctx.fillRect(bbox.left, high, bbox.width, low - high);
    ctx.fillStyle = LEAF;
    ctx.font = `600 ${13 * ratio}px Roboto, system-ui, sans-serif`;
    ctx.textAlign = 'right';
    ctx.fillText(t('chart.good'), bbox.left + bbox.width - 8 * ratio, high + 17 * ratio);
    ctx.strokeStyle = LINE;
    ctx.lineWidth = ratio;
    ctx.beginPath();
    ctx.moveTo(bbox.left, bbox.top + bbox.height - 0.5);
    ctx.lineTo(bbox.left + bbox.width, bbox.top + bbox.height - 0.5);
    ctx.stroke();
    ctx.restore();
  };
  const over = (u: uPlot): void => {
    const { ctx, bbox } = u;
    ctx.save();
    ctx.beginPath();
    ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
    ctx.clip();
    ctx.fillStyle = WATER;
    const longest = Math.max(1, ...runs.map(openSeconds));
    for (const run of runs) {
      if (!run.opened_at) continue;
      const x = u.valToPos(Date.parse(run.opened_at) / 1000, 'x', true);
      const width = Math.max(6 * ratio, u.valToPos((Date.parse(run.opened_at) / 1000) + openSeconds(run), 'x', true) - x);
      const height = Math.max(6, (openSeconds(run) / longest) * (BARS - 8)) * ratio;
      ctx.beginPath();
      ctx.roundRect(x, bbox.top + bbox.height - height, width, height, [2 * ratio, 2 * ratio, 0, 0]);
      ctx.fill();
    }
    ctx.restore();
    let last = ys.length - 1;
    while (last >= 0 && ys[last] === null) last -= 1;
    const value = ys[last];
    if (value === null || value === undefined) return;
    ctx.save();
    ctx.fillStyle = value < zone.moisture_low_pct ? DRY : LEAF;
    ctx.strokeStyle = '#fff';
    ctx.lineWidth = 3 * ratio;
    ctx.beginPath();
    ctx.arc(u.valToPos(xs[last]!, 'x', true), u.valToPos(value, 'y', true), 6 * ratio, 0, 7);
    ctx.stroke();
    ctx.fill();
    ctx.restore();
  };

  const step = series.step_s || 300;
  const chart = new uPlot(
    {
      width: box.clientWidth, height: HEIGHT, padding: [8, 0, 0, LEFT], legend: { show: false }, cursor: { show: false }, pxAlign: false,
      scales: { x: { time: true, range: () => [from, to] }, y: { range: () => [bottom - ((top - bottom) * BARS) / (HEIGHT - BARS - 40), top] } },
      axes: [
        { stroke: INK2, font: FONT, size: 28, gap: 6, align: 1, splits: midnights, values: (u, marks) => wholeLabels(marks, from, to, u.width, label), grid: { stroke: LINE, width: 1, dash: [2, 5] }, ticks: { show: false } },
        {
          side: 1, stroke: INK2, font: FONT, size: SCALE, gap: 6, ticks: { show: false }, grid: { show: false },
          splits: () => [zone.moisture_low_pct, zone.moisture_high_pct], values: (_u, marks) => marks.map((mark) => `${mark}%`),
        },
      ],
      series: [{}, { stroke: INK, width: 2.5, points: { show: false }, spanGaps: false, gaps: (_u, _s, i0, i1, nulls) => withHoles(xs, i0, i1, step * 4, nulls, _u) }],
      hooks: { drawClear: [under], draw: [over] },
    },
    [xs, ys] as uPlot.AlignedData,
    box,
  );
  const watch = new ResizeObserver(() => chart.setSize({ width: box.clientWidth, height: HEIGHT }));
  watch.observe(box);
  chart.hooks.destroy = [() => watch.disconnect()];
  return chart;
}

const openSeconds = (run: Run): number =>
  run.opened_at && run.ended_at ? Math.max(0, (Date.parse(run.ended_at) - Date.parse(run.opened_at)) / 1000) : 0;

/** A line is not drawn over hours of which nothing is known. */
function withHoles(xs: number[], i0: number, i1: number, longest: number, known: uPlot.Series.Gaps, u: uPlot): uPlot.Series.Gaps {
  const gaps = [...known];
  for (let i = i0 + 1; i <= i1; i += 1) {
    if (xs[i]! - xs[i - 1]! > longest) gaps.push([u.valToPos(xs[i - 1]!, 'x', true), u.valToPos(xs[i]!, 'x', true)]);
  }
  return gaps.sort((a, b) => a[0] - b[0]);
}
