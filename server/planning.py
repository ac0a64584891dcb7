"""Programs, holds and skips as people change them, and the timetable that comes of them."""

import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from sqlalchemy import Connection

from irrigation.dose import parts
from irrigation.model import Farm, Forecast, Hold, Program, Timetable
from irrigation.planner import compile_timetable
from server.errors import Refused
from server.gateways import Gateways
from server.ledger import farms
from server.ledger.database import Ledger
from server.records import Account, FarmRecord, HouseRules, ProgramRecord, Role, slug_of
from server.rules import ProgramRules
from server.shapes import planned
from server.view import FarmView
from server.watering import check_dose

_SKIPS_KEPT = timedelta(days=2)
_SEARCH_DAYS = 60  # how far ahead a program's next watering is looked for
LONGEST_HOLD = timedelta(days=180)
LONGEST_PAUSE = timedelta(hours=2)
OLDEST_FORECAST = timedelta(days=7)
CLOCKS_DIFFER = timedelta(minutes=5)
MAX_PROGRAMS = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A program as a person writes it, before it is anybody's."""

    rules: ProgramRules
    id: str | None = None
    version: int | None = None


class Planning:
    """What people decide ahead. Every change raises the farm's version and goes to its gateway."""

    def __init__(self, ledger: Ledger, gateways: Gateways, now: Callable[[], datetime]) -> None:
        self._ledger = ledger
        self._gateways = gateways
        self._now = now

    async def create(self, account: Account, view: FarmView, draft: Draft) -> ProgramRecord:
        """Add a program."""
        _may_edit(account)
        _check(view.farm, draft, "")
        if len(view.farm.programs) >= MAX_PROGRAMS:
            raise Refused("too-many-programs", max=float(MAX_PROGRAMS))
        now = self._now()
        with self._ledger.begin() as tx:
            record = _record(draft, _new_id(tx, draft.rules.name), view.farm.id, 1, account.name, now)
            farms.put_program(tx, record)
            farm = farms.commit(tx, self._now(), account.name, view.farm.id, "program-create", record.id)
        await self._gateways.changed(farm)
        return record

    async def edit(self, account: Account, view: FarmView, program: ProgramRecord, draft: Draft) -> ProgramRecord:
        """Change the version of a program that the person has seen."""
        _may_edit(account)
        _check(view.farm, draft, "")
        now = self._now()
        with self._ledger.begin() as tx:
            if draft.version != _current(tx, program).version:
                raise Refused("edited-meanwhile", field="version", by=program.updated_by)
            record = _record(draft, program.id, view.farm.id, program.version + 1, account.name, now, program.planned)
            farms.put_program(tx, record)
            farm = farms.commit(tx, self._now(), account.name, view.farm.id, "program-edit", record.id)
        await self._gateways.changed(farm)
        return record

    async def delete(self, account: Account, view: FarmView, program: ProgramRecord) -> None:
        """Take a program away."""
        _may_edit(account)
        with self._ledger.begin() as tx:
            farms.delete_program(tx, program.id)
            farm = farms.commit(tx, self._now(), account.name, view.farm.id, "program-delete", program.id)
        await self._gateways.changed(farm)

    async def skip_next(self, account: Account, view: FarmView, program: ProgramRecord) -> tuple[str, datetime]:
        """Skip the next watering of a program, in all its zones; return its id and when it would have begun."""
        _may_edit(account)
        now = self._now()
        alone = replace(planned(view.farm), programs=(program.planned,))
        table = compile_timetable(alone, view.plan_state(now), now, days=_SEARCH_DAYS, version=0)
        coming = sorted(
            (entry for entry in table.entries if entry.due > now), key=lambda entry: (entry.due, entry.start)
        )
        if not coming:
            raise Refused("nothing-to-skip")
        next_due = {entry.id: entry.due for entry in coming if entry.due == coming[0].due}
        with self._ledger.begin() as tx:
            farms.add_skips(tx, view.farm.id, account.name, next_due, now - _SKIPS_KEPT)
            farm = farms.commit(tx, self._now(), account.name, view.farm.id, "skip-next", program.id)
        await self._gateways.changed(farm)
        return coming[0].id, coming[0].start

    async def hold(self, account: Account, view: FarmView, hold: Hold | None) -> None:
        """Keep programs from starting until then, or let them start again."""
        now = self._now()
        if hold is not None and not now < hold.until <= now + LONGEST_HOLD:
            raise Refused("hold-out-of-range", field="until", max_days=float(LONGEST_HOLD.days))
        if hold is not None and hold.pause:
            _may_pause(view.farm.hold, hold, now)
        with self._ledger.begin() as tx:
            farms.set_hold(tx, view.farm.id, hold)
            farm = farms.commit(
                tx, self._now(), account.name, view.farm.id, "release" if hold is None else "hold", view.farm.id
            )
        await self._gateways.changed(farm)

    async def forecast(self, account: Account, view: FarmView, forecast: Forecast | None) -> None:
        """Take a forecast in place of the last one, or go by none; for technicians and managers."""
        if account.role is Role.FARMER:
            raise Refused("not-allowed")
        now = self._now()
        if forecast is not None and not now - OLDEST_FORECAST <= forecast.issued_at <= now + CLOCKS_DIFFER:
            raise Refused("bad-field", field="issued_at", why="why.issued")
        with self._ledger.begin() as tx:
            farms.set_forecast(tx, view.farm.id, forecast)
            farm = farms.commit(tx, self._now(), account.name, view.farm.id, "forecast", view.farm.id)
        await self._gateways.changed(farm)

    async def set_rules(self, account: Account, view: FarmView, house: HouseRules) -> None:
        """Set what binds every program: groups, allowed hours, days without water."""
        _may_edit(account)
        try:
            replace(
                planned(view.farm), groups=house.groups, windows=house.windows, dry_days=house.dry_days,
                conditions=house.conditions,
            )  # fmt: skip
        except ValueError as exc:
            field = "conditions" if str(exc).startswith("farm.conditions") else "groups"
            raise Refused("bad-field", field=field, why=str(exc)) from None
        with self._ledger.begin() as tx:
            farms.set_rules(tx, view.farm.id, house)
            farm = farms.commit(tx, self._now(), account.name, view.farm.id, "rules", view.farm.id)
        await self._gateways.changed(farm)

    def preview(self, view: FarmView, drafts: Sequence[Draft], days: int) -> Timetable:
        """What would run with these programs, by the function that the gateway plans with."""
        now = self._now()
        programs = {program.id: program.planned for program in view.farm.programs}
        for place, draft in enumerate(drafts):
            _check(view.farm, draft, f"programs.{place}.")
            key = draft.id or f"new-{place + 1}"
            programs[key] = _record(draft, key, view.farm.id, 0, "preview", now, programs.get(key)).planned
        try:
            farm: Farm = replace(planned(view.farm), programs=tuple(programs[key] for key in sorted(programs)))
        except ValueError as exc:
            raise Refused("bad-field", field="programs", why=str(exc)) from None
        version = 0 if view.plan is None else view.plan.version
        return compile_timetable(farm, view.plan_state(now), now, days=days, version=version)

    def timetable(self, view: FarmView) -> Timetable:
        """What the gateway compiled; version 0 and empty when it has said nothing yet."""
        now = self._now()
        empty = Timetable(version=0, compiled_at=now, valid_until=now, tz=view.farm.tz, entries=())
        return view.plan or empty


def _may_pause(held: Hold | None, pause: Hold, now: datetime) -> None:
    """Raise Refused when a pause would be too long, or take the place of a hold that is to outlast it."""
    if pause.until > now + LONGEST_PAUSE:
        raise Refused("pause-out-of-range", field="until", max_minutes=LONGEST_PAUSE / timedelta(minutes=1))
    if held is not None and not held.pause and (held.emergency or held.until > now):
        raise Refused("farm-held-already")


def _may_edit(account: Account) -> None:
    if account.role is Role.TECHNICIAN:
        raise Refused("not-allowed")


def _check(farm: FarmRecord, draft: Draft, prefix: str) -> None:
    zones = {zone.id: zone for zone in farm.zones}
    for place, part in enumerate(draft.rules.zones):
        zone = zones.get(part.zone_id)
        if zone is None:
            raise Refused("unknown-zone", field=f"{prefix}zones.{place}.zone_id", zone=part.zone_id)
        for dose in parts(part.dose, zone, part.cycle or zone.cycle):  # the cap is for each time the valve opens
            check_dose(zone, dose, f"{prefix}zones.{place}.dose")


def _record(
    draft: Draft, id: str, farm_id: str, version: int, by: str, now: datetime, kept: Program | None = None
) -> ProgramRecord:
    try:
        planned = draft.rules.program(id, now, kept)
    except ValueError as exc:
        raise Refused("bad-field", field=str(exc).split()[0].removeprefix("program."), why=str(exc)) from None
    return ProgramRecord(farm_id=farm_id, version=version, updated_at=now, updated_by=by, planned=planned)


def _current(tx: Connection, program: ProgramRecord) -> ProgramRecord:
    farm = farms.get(tx, program.farm_id)
    found = [] if farm is None else [one for one in farm.programs if one.id == program.id]
    if not found:
        raise Refused("not-found")
    return found[0]


def _new_id(tx: Connection, name: str) -> str:
    stem = slug_of(name) or "program"
    if farms.program_owner(tx, stem) is None:
        return stem
    return f"{stem}-{secrets.token_hex(4)}"
