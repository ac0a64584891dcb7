/**
 * A farm that answers docs/api.md from memory, for looking at the app without the house behind it: `npm run dev`.
 * Sign in as mai / mai, thanh / thanh (technician) or hoa / hoa (manager). `POST /mock/states` shows every state at once,
 * `POST /mock/home` the usual morning, `POST /mock/silent` stops all answers for 60 s.
 * Runs here follow a clock, not water: rau-cai never answers, ca-phe opens without flow, man-hau does not close.
 */

const PEOPLE = {
  mai: { display_name: 'Lò Thị Mai', role: 'farmer' },
  thanh: { display_name: 'Cầm Văn Thành', role: 'technician' },
  hoa: { display_name: 'Hà Thị Hoa', role: 'manager' },
};
const FARM = {
  id: 'mai', name: 'Vườn nhà chị Mai', cooperative: 'HTX Đồi Sương', tz: 'Asia/Ho_Chi_Minh', lat: 21.33, lon: 103.91, help_phone: '+84912345678',
};
const SECOND = 1000, MINUTE = 60 * SECOND, HOUR = 60 * MINUTE, DAY = 24 * HOUR;
const iso = (ms) => new Date(ms).toISOString();
const later = (ms) => iso(Date.now() + ms);

/** Midnight of the farm's day `days` from now, in ms. */
const localDay = (days, at = Date.now()) => Math.floor((at + 7 * HOUR) / DAY) * DAY - 7 * HOUR + days * DAY;

function zone(id, name, pct, ageMs, more = {}) {
  return {
    id, name, crop: id, area_m2: 1200, emitters: 'drip', node_id: 'board-1', channel: 'v1', source_id: 'tank', flow_l_min: 48, has_meter: true,
    max_run_s: 3600, moisture_low_pct: 28, moisture_high_pct: 36,
    moisture: pct === null ? null : { value: pct, at: later(-ageMs), quality: 'good', sensors: 2 },
    report_every_s: 60, next: null, last_dose: null, run_id: null, ...more,
  };
}

function run(id, zoneId, state, more = {}) {
  return {
    id, zone_id: zoneId, state, dose: { minutes: 20 }, max_s: 1200, actor: 'mai', origin: 'person', program_id: null,
    asked_at: later(-2 * SECOND), expires_at: later(38 * SECOND), opened_at: null, closes_at: null, ended_at: null, at: later(0),
    litres: 0, flow_l_min: null, has_meter: true, reason: null, ...more,
  };
}

function fixtures(scenario) {
  const states = scenario === 'states';
  const tomorrow = localDay(1) + 5.5 * HOUR;
  const next = (program_id, start = tomorrow) => ({ entry_id: `${program_id}-1`, start: iso(start), duration_s: 1200, program_id, rule: 'as-programmed', params: {} });
  const zones = [
    zone('dau-tay', 'Dâu tây nhà lưới', 22.1, MINUTE, { next: next('sang-dau-tay'), last_dose: { minutes: 20 } }),
    zone('nhan', 'Nhãn chín muộn', 26, 20 * SECOND, { node_id: 'board-2', channel: 'v1', run_id: 'run-nhan', flow_l_min: 22, area_m2: 2000 }),
    zone('rau-cai', 'Rau cải mèo', 30, 30 * SECOND, { channel: 'v2', flow_l_min: 18, has_meter: false, area_m2: 300, run_id: 'run-rau', next: next('rau') }),
    zone('man-hau', 'Mận hậu đồi trên', 18, states ? 3.6 * MINUTE : 3 * HOUR, { node_id: 'board-3', channel: 'v1', area_m2: 3500, report_every_s: states ? 60 : 3600 }),
  ];
  const runs = [
    run('run-nhan', 'nhan', 'watering', { dose: { litres: 900, max_minutes: 45 }, asked_at: later(-28.5 * MINUTE), opened_at: later(-28.3 * MINUTE), closes_at: later(12 * MINUTE + 40 * SECOND), litres: 620, flow_l_min: 22, max_s: 2700 }),
    run('run-rau', 'rau-cai', 'accepted', { has_meter: false }),
    run('run-old', 'dau-tay', 'done', { asked_at: later(-26 * HOUR), opened_at: later(-26 * HOUR), ended_at: later(-25.7 * HOUR), litres: 955, origin: 'program', program_id: 'sang-dau-tay', at: later(-25.7 * HOUR) }),
  ];
  if (states) {
    zones.push(zone('ca-phe', 'Cà phê đồi', 24, 20 * SECOND, { node_id: 'board-2', channel: 'v2', run_id: 'run-ca-phe' }), zone('oi', 'Ổi lê Đài Loan', 27, 20 * SECOND, { node_id: 'board-2', channel: 'v3' }), zone('xoai', 'Xoài tròn', 33, 4 * MINUTE, { channel: 'v4' }), zone('ngo', 'Ngô nếp', 40, 9 * MINUTE, { channel: 'v5' }), zone('bo', 'Bơ sáp', null, 0, { channel: 'v6' }), zone('thanh-long', 'Thanh long', 31, 20 * SECOND, { channel: 'v7', run_id: 'run-tl' }));
    runs.push(
      run('run-ca-phe', 'ca-phe', 'open', { asked_at: later(-80 * SECOND), opened_at: later(-70 * SECOND), closes_at: later(18 * MINUTE), litres: 0 }),
      run('run-oi', 'oi', 'expired', { asked_at: later(-4 * MINUTE), ended_at: later(-2 * MINUTE), reason: { code: 'expired', params: {} } }),
      run('run-tl', 'thanh-long', 'closing', { asked_at: later(-8 * MINUTE), opened_at: later(-8 * MINUTE), closes_at: later(2 * MINUTE), litres: 320, flow_l_min: 40 }),
      run('run-done', 'dau-tay', 'done', { asked_at: later(-21 * MINUTE), opened_at: later(-21 * MINUTE), ended_at: later(-1 * MINUTE), litres: 958 }),
    );
  }
  const node = (id, name, more = {}) => ({
    id, name, online: true, last_heard: later(-12 * SECOND), software: '0.1.0', battery_v: 12.6, plan: 'timetable', timetable_version: 12, valid_until: later(13 * DAY),
    clock_trusted: true, outbox_events: 0, outbox_readings: 3, valves: [], ...more,
  });
  const valve = (channel, zone_id, state = 'closed') => ({ channel, zone_id, state, quarantine: null, reset: null });
  const nodes = [
    node('board-1', 'Hộp van HV-03', { valves: [valve('v1', 'dau-tay'), valve('v2', 'rau-cai'), ...(states ? [valve('v4', 'xoai'), valve('v7', 'thanh-long', 'closing')] : [])] }),
    node('board-2', 'Hộp van HV-07', { battery_v: 11.7, valves: [valve('v1', 'nhan', 'open'), valve('v2', 'ca-phe', states ? 'open' : 'closed')] }),
    node('board-3', 'Hộp van HV-09', { online: states, last_heard: later(states ? -9 * SECOND : -3 * HOUR), battery_v: 11.2, plan: 'base', valves: [valve('v1', 'man-hau', states ? 'close_failed' : 'closed')] }),
    node('gateway', 'Trạm chính nhà chị Mai', { battery_v: null, outbox_readings: 0 }),
  ];
  const alerts = [{ id: 'alert-1', kind: 'node-offline', severity: 'warning', zone_id: null, node_id: 'board-3', raised_at: later(-3 * HOUR), acknowledged_at: null, cleared_at: null, params: {} }];
  if (states) alerts.push({ id: 'alert-2', kind: 'close-failed', severity: 'critical', zone_id: 'man-hau', node_id: 'board-3', raised_at: later(-MINUTE), acknowledged_at: null, cleared_at: null, params: {} });
  const byId = (things) => Object.fromEntries(things.map((thing) => [thing.id, thing]));
  return {
    at: later(0), farm: FARM, link: { gateway_online: true, last_heard: later(-12 * SECOND) }, hold: null,
    weather: { rain_mm_today: 0, air_temperature_c: 21.4, at: later(-5 * MINUTE) },
    sources: { tank: { id: 'tank', name: 'Bể trên đồi', capacity_l_min: 60 } },
    zones: byId(zones), runs: byId(runs), nodes: byId(nodes), alerts: byId(alerts),
  };
}

const PROGRAMS = [
  { id: 'sang-dau-tay', name: 'Tưới sáng dâu tây', enabled: true, calendar: { kind: 'weekly', days: [2, 3, 4, 5, 6, 7] }, starts: ['05:30'], zones: [{ zone_id: 'dau-tay', dose: { minutes: 20 } }], version: 3, updated_at: later(-DAY), updated_by: 'mai' },
  { id: 'rau', name: 'Rau hai ngày một lần', enabled: true, calendar: { kind: 'every_n_days', n: 2, anchor: '2026-11-01' }, starts: ['06:00', '17:00'], zones: [{ zone_id: 'rau-cai', dose: { minutes: 10 } }, { zone_id: 'nhan', dose: { litres: 400, max_minutes: 30 } }], version: 1, updated_at: later(-DAY), updated_by: 'mai' },
  { id: 'cuoi-tuan', name: 'Tưới đẫm cuối tuần', enabled: false, calendar: { kind: 'weekly', days: [6, 7] }, starts: ['18:00'], zones: [{ zone_id: 'man-hau', dose: { minutes: 45 } }], version: 1, updated_at: later(-DAY), updated_by: 'mai' },
];

function timetable(snapshot, programs, days) {
  const entries = [], skipped = [];
  for (const program of programs.filter((p) => p.enabled)) {
    for (let day = 0; day < days; day += 1) {
      const midnight = localDay(day);
      const weekday = new Date(midnight + 7 * HOUR).getUTCDay() || 7;
      const { calendar } = program;
      const due = calendar.kind === 'weekly' ? calendar.days.includes(weekday) : Math.round((midnight + 7 * HOUR - Date.parse(`${calendar.anchor}T00:00:00Z`)) / DAY) % calendar.n === 0;
      if (!due) continue;
      for (const start of program.starts) {
        const [hour, minute] = start.split(':').map(Number);
        let at = midnight + hour * HOUR + minute * MINUTE;
        if (at < Date.now()) continue;
        for (const { zone_id, dose } of program.zones) {
          const flow = snapshot.zones[zone_id]?.flow_l_min ?? 20;
          const duration_s = dose.minutes ? dose.minutes * 60 : dose.litres ? Math.round((dose.litres / flow) * 60) : dose.max_minutes * 60;
          const id = `${program.id}-${zone_id}-${at}`;
          if (day === 2) skipped.push({ id, zone_id, program_id: program.id, due: iso(at), rule: 'hold', params: {}, sentence: `${snapshot.zones[zone_id]?.name} sẽ không được tưới. Lịch đang tạm ngừng.` });
          else if (day === 4) entries.push({ id, zone_id, program_id: program.id, due: iso(at), start: iso(at + 25 * MINUTE), duration_s: Math.round(duration_s * 0.6), dose, litres: (flow * duration_s * 0.6) / 60, rule: 'source-busy', params: {}, sentence: `${snapshot.zones[zone_id]?.name} sẽ được tưới muộn hơn. Nguồn nước đang bận.` });
          else entries.push({ id, zone_id, program_id: program.id, due: iso(at), start: iso(at), duration_s, dose, litres: (flow * duration_s) / 60, rule: 'as-programmed', params: {}, sentence: `${snapshot.zones[zone_id]?.name} sẽ được tưới. Đúng lịch.` });
          at += duration_s * SECOND;
        }
      }
    }
  }
  return { version: 12, compiled_at: later(0), valid_until: later(14 * DAY), tz: FARM.tz, entries, skipped };
}

/** Soil that dries by day and is wetted each morning until two days ago: enough to draw. */
function series(from, to, points) {
  const step = Math.max(300, Math.round((to - from) / points / 1000));
  const list = [];
  for (let at = from; at <= to; at += step * 1000) {
    const sinceDry = (Date.now() - at) / DAY;
    const sincePeak = sinceDry > 1.6 ? (sinceDry - 1.6) % 1 : 0;
    const pct = sinceDry > 1.6 ? 27.5 + 7.5 * (sincePeak > 0.94 ? (1 - sincePeak) / 0.06 : sincePeak) : 22 + 5.5 * (sinceDry / 1.6) ** 1.1;
    list.push([Math.round(at / 1000), Math.round(pct * 100) / 100, pct - 0.3, pct + 0.3]);
  }
  return { quantity: 'soil_moisture', unit: '%', step_s: step, points: list, last_at: iso(to) };
}

const SHARES = [{ household_id: 'tung', amount: 600 }, { household_id: 'mai', amount: 90 }, { household_id: 'lan', amount: 120 }];
const HOUSEHOLDS = [{ id: 'tung', name: 'Nhà anh Tùng', zones: [] }, { id: 'mai', name: 'Nhà chị Mai', zones: ['man-hau'] }, { id: 'lan', name: 'Nhà chị Lan', zones: ['rau-cai'] }];

/** Each day from 07:00: ten hours Tùng, then Mai, then Lan. */
function waterTurns(days) {
  const found = [];
  for (let day = -1; day < days; day += 1) {
    let at = localDay(day) + 7 * HOUR;
    for (const { household_id, amount } of SHARES) {
      const end = at + amount * MINUTE;
      if (end > Date.now()) found.push({ round: 53 + day, household_id, amount, start: iso(at), end: iso(end), spans: [[iso(at), iso(end)]], now: at <= Date.now() });
      at = end;
    }
  }
  return found;
}

function waterAccount(number, day) {
  const of = (household_id, entitled_l, received_l, more = {}) => ({
    household_id, measured: received_l ? 'both' : 'none', entitled_l, lent_l: 0, borrowed_l: 0, received_l, metered_l: received_l / 2, estimated_l: received_l / 2,
    outside_l: 0, offered_l: entitled_l, owed_l: 0, not_taken_l: Math.max(0, entitled_l - received_l), beyond_l: 0, ...more,
  });
  return { round: number, start: iso(localDay(day) + 7 * HOUR), end: day ? iso(localDay(day + 1) + 7 * HOUR) : null, households: [of('tung', 54000, 0), of('mai', 8100, 2340, { outside_l: 360 }), of('lan', 10800, 1800)] };
}

/** @returns {import('./mock.d.mts').Handler} */
export function createMock() {
  let snapshot = fixtures('home');
  let programs = structuredClone(PROGRAMS);
  let silentUntil = 0;
  let eventId = 0;
  const streams = new Set();
  const sessions = new Map();
  const keys = new Map();

  const emit = (event, data) => {
    eventId += 1;
    for (const stream of streams) stream.write(`id: ${eventId}\nevent: ${event}\ndata: ${JSON.stringify(data)}\n\n`);
  };
  const change = (delta) => {
    for (const [key, value] of Object.entries(delta)) {
      if (['zones', 'runs', 'nodes', 'alerts'].includes(key)) {
        for (const [id, one] of Object.entries(value)) {
          if (one === null) delete snapshot[key][id];
          else snapshot[key][id] = one;
        }
      } else snapshot[key] = value;
    }
    emit('delta', { at: later(0), ...delta });
  };
  const setRun = (id, more) => {
    const next = { ...snapshot.runs[id], ...more, at: later(0) };
    const over = next.ended_at !== null;
    const own = snapshot.zones[next.zone_id];
    change({ runs: { [id]: next }, zones: { [own.id]: { ...own, run_id: over ? null : id } } });
    setValve(own, over || !next.opened_at ? 'closed' : next.state === 'closing' ? 'closing' : 'open');
  };
  const setValve = (own, state) => {
    const node = snapshot.nodes[own.node_id];
    if (!node) return;
    change({ nodes: { [node.id]: { ...node, last_heard: later(0), valves: node.valves.map((valve) => (valve.channel === own.channel ? { ...valve, state } : valve)) } } });
  };

  const timer = setInterval(() => {
    const now = Date.now();
    for (const one of Object.values(snapshot.runs)) {
      if (one.ended_at) continue;
      const age = now - Date.parse(one.asked_at);
      if (['asked', 'accepted', 'opening'].includes(one.state)) {
        if (one.zone_id === 'rau-cai') {
          if (now > Date.parse(one.expires_at)) setRun(one.id, { state: 'expired', ended_at: iso(now), reason: { code: 'expired', params: {} } });
        } else if (one.state === 'asked' && age > 600) setRun(one.id, { state: 'accepted' });
        else if (one.state === 'accepted' && age > 1200) setRun(one.id, { state: 'opening' });
        else if (one.state === 'opening' && age > 1800) setRun(one.id, { state: 'open', opened_at: iso(now), closes_at: iso(now + one.max_s * SECOND) });
      } else if (one.state === 'open') {
        if (one.has_meter && one.zone_id !== 'ca-phe' && now - Date.parse(one.opened_at) > 2000) setRun(one.id, { state: 'watering' });
      } else if (one.state === 'watering') {
        const flow = snapshot.zones[one.zone_id].flow_l_min;
        const litres = one.litres + flow / 60;
        if (now > Date.parse(one.closes_at) || (one.dose.litres && litres >= one.dose.litres)) setRun(one.id, { state: 'closing', litres });
        else setRun(one.id, { litres, flow_l_min: flow });
      } else if (one.state === 'closing' && now - Date.parse(one.at) > 2500 && one.id !== 'run-tl') setRun(one.id, { state: one.stopping ? 'stopped' : 'done', ended_at: iso(now), flow_l_min: 0 });
    }
    if (now > silentUntil) change({ link: { gateway_online: true, last_heard: iso(now) } });
  }, SECOND);
  const beat = setInterval(() => now() > silentUntil && emit('heartbeat', { at: later(0) }), 15 * SECOND);
  const now = () => Date.now();
  timer.unref();
  beat.unref();

  const problem = (status, code, detail, more = {}) => ({ status, type: 'application/problem+json', body: { type: `https://tuoi.invalid/problems/${code}`, title: code, status, detail, ...more } });
  const stop = (id) => {
    const one = snapshot.runs[id];
    if (!one.ended_at) setRun(id, one.opened_at ? { state: 'closing', stopping: true } : { state: 'stopped', ended_at: later(0) });
    return snapshot.runs[id];
  };

  let rota = {
    source_id: 'tank', unit: 'minutes', anchor: iso(localDay(-53) + 7 * HOUR), period_days: 1, shares: SHARES, loans: [],
    swaps: [{ id: 'swap-1', round: 55, household_a: 'lan', household_b: 'mai', agreed: ['lan'] }],
  };
  const deal = (id, change) => {
    const changed = (list) => list.flatMap((one) => (one.id === id ? change(one) : [one]));
    rota = { ...rota, swaps: changed(rota.swaps), loans: changed(rota.loans) };
  };

  const routes = [
    ['GET', /^\/farms\/mai\/rotas$/, ({ me }) => ({ rotas: [rota], households: HOUSEHOLDS, mine: me?.name === 'mai' ? ['mai'] : [] })],
    ['GET', /^\/farms\/mai\/sources\/tank\/turns$/, () => ({ source_id: 'tank', at: later(0), turns: waterTurns(21) })],
    ['GET', /^\/farms\/mai\/sources\/tank\/account$/, () => ({ source_id: 'tank', at: later(0), rounds: [0, -1, -2].map((day) => waterAccount(53 + day, day)) })],
    ['POST', /^\/farms\/mai\/sources\/tank\/agreements$/, ({ body: { kind, household_id, ...terms } }) => {
      const one = { id: `${kind}-${Math.random().toString(36).slice(2, 10)}`, ...terms, agreed: [household_id] };
      rota = kind === 'swap' ? { ...rota, swaps: [...rota.swaps, one] } : { ...rota, loans: [...rota.loans, one] };
      return { status: 201, body: { kind, ...one, in_force: false } };
    }],
    ['POST', /^\/farms\/mai\/agreements\/([\w-]+)\/agree$/, ({ id, body }) => {
      deal(id, (one) => [{ ...one, agreed: [...one.agreed, body.household_id] }]);
      return {};
    }],
    ['DELETE', /^\/farms\/mai\/agreements\/([\w-]+)$/, ({ id }) => {
      deal(id, () => []);
      return { status: 204 };
    }],
    ['GET', /^\/session$/, ({ me }) => me ?? problem(401, 'not-signed-in', 'Chưa đăng nhập.')],
    ['POST', /^\/session$/, ({ body, response }) => {
      const person = PEOPLE[body.name];
      if (!person || body.password !== body.name) return problem(401, 'wrong-sign-in', 'Tên hoặc mật khẩu không đúng.');
      const id = Math.random().toString(36).slice(2);
      sessions.set(id, { name: body.name, language: 'vi', farms: [{ id: FARM.id, name: FARM.name }], ...person });
      response.setHeader('Set-Cookie', `tuoi_session=${id}; Path=/; HttpOnly; SameSite=Strict`);
      return sessions.get(id);
    }],
    ['DELETE', /^\/session$/, ({ session }) => {
      sessions.delete(session);
      return { status: 204 };
    }],
    ['GET', /^\/farms\/mai\/snapshot$/, () => ({ ...snapshot, at: later(0) })],
    ['POST', /^\/zones\/([\w-]+)\/runs$/, ({ id, body, key }) => {
      if (keys.has(key)) return { status: 202, body: snapshot.runs[keys.get(key)] };
      const own = snapshot.zones[id];
      const minutes = body.dose.minutes ?? body.dose.max_minutes;
      if (minutes * 60 > own.max_run_s) return problem(422, 'dose-above-cap', `Khu này tưới nhiều nhất ${own.max_run_s / 60} phút.`, { field: 'dose.minutes', params: { max_minutes: own.max_run_s / 60 } });
      const runId = `run-${Math.random().toString(36).slice(2, 10)}`;
      keys.set(key, runId);
      snapshot.runs[runId] = run(runId, id, 'asked', { dose: body.dose, max_s: minutes * 60, has_meter: own.has_meter, asked_at: later(0), expires_at: later(40 * SECOND), litres: own.has_meter ? 0 : null });
      setRun(runId, {});
      return { status: 202, body: snapshot.runs[runId] };
    }],
    ['GET', /^\/zones\/([\w-]+)\/runs$/, ({ id }) => ({ runs: [...Object.values(snapshot.runs).filter((one) => one.zone_id === id), ...[2, 3, 4].map((days) => run(`old-${id}-${days}`, id, 'done', { asked_at: iso(localDay(-days) + 5.5 * HOUR), opened_at: iso(localDay(-days) + 5.5 * HOUR), ended_at: iso(localDay(-days) + 5.8 * HOUR), litres: 940, origin: 'program' }))].sort((a, b) => b.asked_at.localeCompare(a.asked_at)) })],
    ['GET', /^\/runs\/([\w-]+)$/, ({ id }) => snapshot.runs[id]],
    ['POST', /^\/runs\/([\w-]+)\/stop$/, ({ id }) => ({ status: 202, body: stop(id) })],
    ['POST', /^\/farms\/mai\/stop-all$/, () => {
      for (const one of Object.values(snapshot.runs)) if (!one.ended_at) stop(one.id);
      return { status: 202, body: { id: 'stop-1', valves: Object.values(snapshot.nodes).flatMap((node) => node.valves.map((valve) => ({ zone_id: valve.zone_id, channel: valve.channel, node_id: node.id, state: valve.state }))) } };
    }],
    ['PUT', /^\/farms\/mai\/hold$/, ({ body }) => {
      change({ hold: { until: body.until, reason: body.reason ?? '' } });
      return snapshot.hold;
    }],
    ['DELETE', /^\/farms\/mai\/hold$/, () => {
      change({ hold: null });
      return { status: 204 };
    }],
    ['POST', /^\/alerts\/([\w-]+)\/acknowledge$/, ({ id }) => {
      change({ alerts: { [id]: { ...snapshot.alerts[id], acknowledged_at: later(0) } } });
      return snapshot.alerts[id];
    }],
    ['GET', /^\/farms\/mai\/programs$/, () => ({ programs })],
    ['POST', /^\/farms\/mai\/programs$/, ({ body }) => {
      const made = { ...body, id: `lich-${programs.length + 1}`, version: 1, updated_at: later(0), updated_by: 'mai' };
      programs.push(made);
      return { status: 201, body: made };
    }],
    ['GET', /^\/programs\/([\w-]+)$/, ({ id }) => programs.find((one) => one.id === id) ?? problem(404, 'not-found', 'Không có lịch này.')],
    ['PUT', /^\/programs\/([\w-]+)$/, ({ id, body }) => {
      const old = programs.find((one) => one.id === id);
      if (old.version !== body.version) return problem(409, 'edited-meanwhile', 'Người khác vừa sửa lịch này.');
      const made = { ...old, ...body, version: old.version + 1, updated_at: later(0) };
      programs = programs.map((one) => (one.id === id ? made : one));
      return made;
    }],
    ['DELETE', /^\/programs\/([\w-]+)$/, ({ id }) => {
      programs = programs.filter((one) => one.id !== id);
      return { status: 204 };
    }],
    ['POST', /^\/programs\/([\w-]+)\/skip-next$/, ({ id }) => {
      const changed = Object.values(snapshot.zones).filter((one) => one.next?.program_id === id).map((one) => ({ ...one, next: { ...one.next, start: iso(Date.parse(one.next.start) + DAY) } }));
      change({ zones: Object.fromEntries(changed.map((one) => [one.id, one])) });
      return { skipped: { entry_id: `${id}-1`, start: later(DAY) } };
    }],
    ['GET', /^\/farms\/mai\/timetable$/, ({ query }) => timetable(snapshot, programs, Number(query.get('days') ?? 7))],
    ['POST', /^\/farms\/mai\/preview$/, ({ body, query }) => {
      const ids = body.programs.map((one) => one.id);
      return timetable(snapshot, [...programs.filter((one) => !ids.includes(one.id)), ...body.programs], Number(query.get('days') ?? 7));
    }],
    ['GET', /^\/farms\/mai\/decisions$/, ({ query }) => ({
      decisions: [
        ['dau-tay', -1, 'ran', 'as-programmed'], ['rau-cai', -1, 'changed', 'source-busy'], ['dau-tay', -2, 'skipped', 'hold'], ['nhan', -3, 'skipped', 'skipped-by-person'], ['dau-tay', -3, 'ran', 'cut-to-cap'],
      ].filter(([zoneId]) => !query.get('zone_id') || zoneId === query.get('zone_id')).map(([zone_id, day, result, rule], i) => ({ id: `decision-${i}`, zone_id, program_id: 'sang-dau-tay', due: iso(localDay(day) + 5.5 * HOUR), result, rule, params: {}, at: iso(localDay(day) + 5.5 * HOUR), run_id: null, sentence: `${snapshot.zones[zone_id].name}: câu của máy chủ (${rule}).` })),
    })],
    ['GET', /^\/zones\/([\w-]+)\/series$/, ({ query }) => series(Date.parse(query.get('from')), Date.parse(query.get('to')), Number(query.get('points') ?? 300))],
  ];

  return async (request, response, next) => {
    const url = new URL(request.url, 'http://mock');
    const scenario = /^\/mock\/(\w+)$/.exec(url.pathname);
    if (scenario) {
      if (scenario[1] === 'silent') silentUntil = Date.now() + MINUTE;
      else {
        silentUntil = 0;
        snapshot = fixtures(scenario[1]);
        programs = structuredClone(PROGRAMS);
        emit('snapshot', { ...snapshot, at: later(0) });
      }
      return response.writeHead(204).end();
    }
    if (!url.pathname.startsWith('/api/v1/')) return next();
    if (Date.now() < silentUntil) return undefined;
    const path = url.pathname.slice('/api/v1'.length);
    const session = /tuoi_session=(\w+)/.exec(request.headers.cookie ?? '')?.[1];
    const me = sessions.get(session);
    if (!me && path !== '/session') return send(response, problem(401, 'not-signed-in', 'Chưa đăng nhập.'));
    if (path === '/farms/mai/live') {
      response.writeHead(200, { 'Content-Type': 'text/event-stream', 'Cache-Control': 'no-store' });
      response.write(`id: ${eventId}\nevent: snapshot\ndata: ${JSON.stringify({ ...snapshot, at: later(0) })}\n\n`);
      streams.add(response);
      request.on('close', () => streams.delete(response));
      return undefined;
    }
    let text = '';
    for await (const chunk of request) text += chunk;
    for (const [method, pattern, answer] of routes) {
      const match = method === request.method && pattern.exec(path);
      if (!match) continue;
      return send(response, answer({ id: match[1], body: text ? JSON.parse(text) : {}, key: request.headers['idempotency-key'], query: url.searchParams, session, me, response }));
    }
    return send(response, problem(404, 'not-found', path));
  };
}

function send(response, answer) {
  const { status = 200, type = 'application/json', body = answer } = typeof answer.status === 'number' ? answer : { body: answer };
  response.writeHead(status, status === 204 ? {} : { 'Content-Type': type });
  response.end(status === 204 ? undefined : JSON.stringify(body));
}
