"""Records as the JSON of docs/api.md."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from contract.messages import NodeReport, Reason, RunProgress
from irrigation.by_hand import HandPart
from irrigation.dose import asked_s, expected_litres
from irrigation.model import Entry, Farm, Forecast, Hold, Household, Loan, Rota, Skip, Source, Swap, Timetable, Zone
from irrigation.rounds import Turn
from irrigation.run import UNDER_WAY
from irrigation.water_account import RoundAccount, WaterAccount
from server import rules
from server.ledger.history import dose_body
from server.records import (
    Account,
    AlertRecord,
    DecisionRecord,
    FarmRecord,
    HouseholdRecord,
    HouseRules,
    ProgramRecord,
    ResetRecord,
    RunRecord,
)

Json = dict[str, Any]


def iso(at: datetime | None) -> str | None:
    """Aware UTC to the millisecond, with Z."""
    return None if at is None else at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def planned(record: FarmRecord) -> Farm:
    """The farm as the planner and the gateway take it."""
    return Farm(
        id=record.id, name=record.name, tz=record.tz, lat=record.lat, lon=record.lon, sources=record.sources,
        zones=record.zones, programs=tuple(program.planned for program in record.programs), hold=record.hold,
        skips=record.skips, groups=record.groups, windows=record.windows, dry_days=record.dry_days,
        households=tuple(Household(id=each.id, name=each.name) for each in record.households), rotas=record.rotas,
        conditions=record.conditions, forecast=record.forecast,
    )  # fmt: skip


def me(account: Account, farm_names: Mapping[str, str]) -> Json:
    """Who is signed in."""
    own = [{"id": farm_id, "name": name} for farm_id, name in sorted(farm_names.items()) if account.sees(farm_id)]
    return {
        "name": account.name, "display_name": account.display_name, "role": account.role.value,
        "language": account.language, "farms": own,
    }  # fmt: skip


def farm(record: FarmRecord) -> Json:
    """A farm's own particulars."""
    return {
        "id": record.id, "name": record.name, "cooperative": record.cooperative, "tz": record.tz, "lat": record.lat,
        "lon": record.lon, "help_phone": record.help_phone or None,
    }  # fmt: skip


def house_rules(record: FarmRecord) -> Json:
    """What binds every program of a farm."""
    return rules.house_body(
        HouseRules(groups=record.groups, windows=record.windows, dry_days=record.dry_days, conditions=record.conditions)
    )


def rotas(record: FarmRecord, mine: Iterable[str]) -> Json:
    """A farm's rotas, households and the zones of each; `mine` are those that the reader speaks for."""
    return {
        "rotas": [
            rules.rota_body(rota) | {"swaps": [*map(agreement, rota.swaps)], "loans": [*map(agreement, rota.loans)]}
            for rota in record.rotas
        ],
        "households": [
            {"id": one.id, "name": one.name, "zones": _zones_of(record, one.id), "left_at": iso(one.left_at)}
            for one in record.households
        ],
        "mine": list(mine),
    }  # fmt: skip


def household(record: FarmRecord, one: HouseholdRecord, has_turns: Iterable[Source]) -> Json:
    """A household as its manager keeps it; `has_turns` are the sources at which it has some, in force or to begin."""
    return {
        "id": one.id, "name": one.name, "people": list(one.people), "zones": _zones_of(record, one.id),
        "has_turns": [source.id for source in has_turns],
    }  # fmt: skip


def _zones_of(record: FarmRecord, household_id: str) -> list[str]:
    return [zone.id for zone in record.zones if zone.household_id == household_id]


def agreement(made: Swap | Loan) -> Json:
    """A swap or a loan, with who has agreed."""
    kind = "swap" if isinstance(made, Swap) else "loan"
    return {"kind": kind, **asdict(made), "in_force": made.in_force}


def turn(rota: Rota, one: Turn, now: datetime) -> Json:
    """A turn of a rota; `end` None while nobody knows, `now` whether the water is this household's at this moment."""
    return {
        "anchor": _anchor(rota), "round": one.round, "household_id": one.household_id, "amount": one.amount,
        "start": iso(one.start), "end": iso(one.end), "spans": [[iso(start), iso(end)] for start, end in one.spans],
        "now": one.covers(now),
    }  # fmt: skip


def round_account(rota: Rota, one: RoundAccount) -> Json:
    """What a round of a rota was for each household, in litres; `measured` says how its received water is known."""
    return {
        "anchor": _anchor(rota), "round": one.round.number, "start": iso(one.round.start), "end": iso(one.end),
        "households": [
            {
                "household_id": each.household_id, "measured": _measured(each),
                **{f"{name}_l": getattr(each, f"{name}_ml") / 1000 for name in _ACCOUNT},
            } for each in one.households.values()
        ],
    }  # fmt: skip


def _anchor(rota: Rota) -> str:
    """The name of a rota of a source: whole, as the rota itself has it."""
    return rota.anchor.astimezone(UTC).isoformat().replace("+00:00", "Z")


_ACCOUNT = (
    "entitled", "lent", "borrowed", "received", "metered", "estimated", "outside", "offered", "owed", "not_taken",
    "beyond",
)  # fmt: skip


def _measured(account: WaterAccount) -> str:
    """By a meter, by valve-minutes x learned flow, by both, or nothing was taken."""
    by = {"metered": account.metered_ml > 0, "estimated": account.estimated_ml > 0}
    return "both" if all(by.values()) else next((name for name, is_so in by.items() if is_so), "none")


def forecast(value: Forecast | None) -> Json | None:
    """A forecast, or none."""
    return None if value is None else {
        "issued_at": iso(value.issued_at), "rain": [{"hours": one.hours, "mm": one.mm} for one in value.rain],
    }  # fmt: skip


def hold(value: Hold | None) -> Json | None:
    """A hold, or none."""
    return None if value is None else {
        "until": iso(value.until), "reason": value.reason, "emergency": value.emergency,
        "pause": value.pause,
    }  # fmt: skip


def run(record: RunRecord, progress: RunProgress | None = None, turn_at: datetime | None = None) -> Json:
    """A run; `progress` is what its board said of it last, which counts while it is under way.

    `turn_at` is when one that waits may expect to begin.
    """
    live = progress if progress is not None and record.state in UNDER_WAY else None
    litres = live.litres if live is not None and live.litres is not None else record.litres
    reason = None
    if record.reason_code is not None and record.state not in UNDER_WAY:
        reason = {"code": record.reason_code, "params": record.reason_params}
    return {
        "id": record.id, "zone_id": record.zone_id, "state": record.state.value, "dose": dose_body(record.dose),
        "max_s": round(record.max_s), "actor": record.actor,
        "origin": "person" if record.origin == "person" else "program",
        "program_id": record.program_id, "asked_at": iso(record.asked_at), "expires_at": iso(record.expires_at),
        "opened_at": iso(record.opened_at or (live.opened_at if live else None)),
        "closes_at": iso(record.closes_at or (live.closes_at if live else None)),
        "ended_at": iso(record.ended_at), "at": iso(record.at),
        "litres": None if litres is None else round(litres, 1),
        "flow_l_min": None if live is None or live.flow_l_min is None else round(live.flow_l_min, 1),
        "has_meter": record.has_meter, "stopping": record.stop_by is not None and record.state in UNDER_WAY,
        "reason": reason, "turn_at": iso(turn_at),
    }  # fmt: skip


def node(
    node_id: str,
    name: str,
    zones: tuple[Zone, ...],
    report: NodeReport | None,
    resets: Mapping[str, ResetRecord],
    *,
    gateway_online: bool,
) -> Json:
    """A board as the gateway reports it; what nobody has reported is unknown, not closed."""
    state = None if report is None else report.state
    own = {zone.channel: zone.id for zone in zones if zone.node_id == node_id}
    reported = {} if state is None else {valve.channel: valve for valve in state.valves}
    valves = [
        {
            "channel": channel,
            "zone_id": own.get(channel),
            "state": reported[channel].position.value if channel in reported else "unknown",
            "quarantine": reason(reported[channel].quarantine) if channel in reported else None,
            "reset": reset(resets[channel]) if channel in resets else None,
        }
        for channel in sorted(own.keys() | reported.keys())
    ]
    return {
        "id": node_id, "name": name, "online": bool(report and report.online and gateway_online),
        "last_heard": iso(report.last_heard) if report else None, "software": state.software if state else None,
        "battery_v": state.battery_v if state else None, "plan": state.plan.value if state else "none",
        "timetable_version": state.timetable_version if state else None,
        "valid_until": iso(state.valid_until) if state else None,
        "clock_trusted": state.clock_trusted if state else False,
        "outbox_events": state.outbox_events if state else 0, "outbox_readings": state.outbox_readings if state else 0,
        "valves": valves,
    }  # fmt: skip


def reason(value: Reason | None) -> Json | None:
    """A stable code and its numbers, or none."""
    return None if value is None else {"code": value.code, "params": dict(value.params)}


def reset(record: ResetRecord) -> Json:
    """Who asked to unlock a valve, and why it was refused if it was."""
    return {"by": record.by, "at": iso(record.at), "refused": reason(record.refused)}


def alert(record: AlertRecord) -> Json:
    """An alert."""
    return {
        "id": record.id, "kind": record.kind, "severity": record.severity, "zone_id": record.zone_id,
        "node_id": record.node_id, "channel": record.channel, "raised_at": iso(record.raised_at),
        "acknowledged_at": iso(record.acknowledged_at), "cleared_at": iso(record.cleared_at), "params": record.params,
    }  # fmt: skip


def program(record: ProgramRecord) -> Json:
    """A program."""
    return {
        "id": record.id, "name": record.name, "enabled": record.planned.enabled, **rules.body(record.planned),
        "version": record.version, "updated_at": iso(record.updated_at), "updated_by": record.updated_by,
    }  # fmt: skip


def entry(value: Entry, zone: Zone | None) -> Json:
    """A start in the timetable."""
    litres = None if zone is None else expected_litres(value.dose, zone)
    return {
        "id": value.id, "zone_id": value.zone_id, "program_id": value.program_id, "due": iso(value.due),
        "start": iso(value.start), "duration_s": duration_s(value, zone), "dose": dose_body(value.dose),
        "litres": None if litres is None else round(litres, 1), "rule": value.rule.value, "params": value.params,
        "awaits": None if value.awaits is None else value.awaits.value,
    }  # fmt: skip


def hand_part(value: HandPart, zone: Zone, turn_at: datetime | None) -> Json:
    """A part of a program that would be run by hand; `turn_at` is when it may expect to begin."""
    litres = expected_litres(value.dose, zone)
    return {
        "zone_id": zone.id, "dose": dose_body(value.dose), "duration_s": asked_s(value.dose, zone),
        "litres": None if litres is None else round(litres, 1), "soak_s": value.soak_s, "turn_at": iso(turn_at),
    }  # fmt: skip


def duration_s(value: Entry, zone: Zone | None) -> int:
    """How long an entry should water; its lease may be longer where a meter ends it."""
    return value.max_s if zone is None else min(value.max_s, asked_s(value.dose, zone))


def skip(value: Skip) -> Json:
    """A due watering that will not be."""
    return {
        "id": value.id, "zone_id": value.zone_id, "program_id": value.program_id, "due": iso(value.due),
        "rule": value.rule.value, "params": value.params,
    }  # fmt: skip


def timetable(value: Timetable, zones: tuple[Zone, ...], until: datetime) -> Json:
    """A timetable as far as `until`."""
    by_id = {zone.id: zone for zone in zones}
    return {
        "version": value.version, "compiled_at": iso(value.compiled_at), "valid_until": iso(value.valid_until),
        "tz": value.tz,
        "entries": [entry(one, by_id.get(one.zone_id)) for one in value.entries if one.start < until],
        "skipped": [skip(one) for one in value.skipped if one.due < until],
    }  # fmt: skip


def decision(record: DecisionRecord) -> Json:
    """What became of a due watering."""
    return {
        "id": record.id, "zone_id": record.zone_id, "program_id": record.program_id, "due": iso(record.due),
        "result": record.result, "rule": record.rule, "params": record.params, "at": iso(record.at),
        "run_id": record.run_id,
    }  # fmt: skip
