"""The farm's settings in force and the timetable compiled from them, with each board's part of both."""

import logging
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

from contract.clock import Clock
from contract.messages import DecisionEvent, FarmConfig, NodeConfig
from contract.outbox import Outbox
from gateway.boards import Boards
from gateway.errors import ConfigRefused
from gateway.holdings import Holdings
from gateway.journal import Journal
from gateway.learned import Learned
from gateway.planning import decisions, handover, parts, queueing
from gateway.planning.admission import LATE_START
from gateway.planning.commitment import (
    AWAY_AHEAD,
    SETTLE,
    Behind,
    Step,
    behind,
    committed,
    plan_state,
    with_fixed,
    with_past,
    without_zone,
)
from gateway.planning.dispatch import Held
from gateway.planning.runs import Run, set_later
from gateway.rests import Rests
from gateway.weather import Weather
from irrigation.base_plan import handed_over_at_rest
from irrigation.calendar import next_local
from irrigation.carried import carried_after
from irrigation.condition import LEAD
from irrigation.model import Entry, Farm, Knowledge, Queued, QueuePlace, Skip, Timetable
from irrigation.source import gives_again
from irrigation.verdict import final_from, has_conditions, next_judgement, turned, with_left_out

log = logging.getLogger(__name__)

Compile = Callable[..., Timetable]
LOOK_BACK = timedelta(days=7)
"""The planner asks of nothing that was due longer ago whether it is settled."""
LATELY = timedelta(days=1)
"""Ends of runs are told to the planner for so long."""
QUEUE = "queue"
DAILY = time(0, 5)
"""Farm-local time at which the horizon moves on by a day."""


class Plan:
    """Settings and timetable in force; what is asked of it by `apply` or `compile` happens wholly or not at all."""

    def __init__(
        self,
        farm_id: str,
        *,
        journal: Journal,
        outbox: Outbox,
        boards: Boards,
        clock: Clock,
        compile_timetable: Compile,
        days: int,
    ) -> None:
        self.farm_id = farm_id
        self._journal = journal
        self._outbox = outbox
        self._boards = boards
        self._clock = clock
        self._compile = compile_timetable
        self._days = days
        self.rests = Rests(journal, outbox)
        self._locked: frozenset[str] = frozenset()
        self._set_ahead = clock.set_ahead()
        self.load()

    def load(self) -> None:
        """Take what the journal has committed."""
        self.config = self._journal.config()
        self.timetable = self._journal.timetable()
        self.configs = self._journal.per_board("configs", NodeConfig)
        self.parts = self._journal.per_board("parts", Timetable)
        self.holdings = Holdings(self._journal)
        self.learned = Learned(self._journal)
        self.weather = Weather(self._journal)
        self._fixed_ids: frozenset[str] = frozenset()
        self._coming: tuple[Entry, ...] = ()
        self._steps = self._journal.fact("clock_steps", tuple[Step, ...]) or ()

    @property
    def farm(self) -> Farm | None:
        """The farm as people want it, None until the server has told."""
        return self.config.farm if self.config else None

    @property
    def config_version(self) -> int:
        """The version of the farm's settings in force, 0 = none."""
        return self.config.version if self.config else 0

    @property
    def timetable_version(self) -> int:
        """The version of the timetable in force, 0 = none."""
        return self.timetable.version if self.timetable else 0

    def nodes(self) -> tuple[str, ...]:
        """Return the boards that may be commanded: those of the farm's zones, and those that once were."""
        needed = parts.nodes(self.farm) if self.farm else ()
        return tuple(sorted({*needed, *self.parts}))

    def held(self, now: datetime) -> tuple[Held, ...]:
        """Return what each board should have and what it said it has."""
        return tuple(
            Held(
                node_id=node_id,
                online=(board := self._boards[node_id]).in_hearing(now),
                config=self.configs.get(node_id),
                timetable=self.parts.get(node_id),
                config_version=board.config_version,
                timetable_version=board.timetable_version,
            )
            for node_id in self.nodes()
        )

    # --- changes ---

    def apply(self, config: FarmConfig, now: datetime) -> bool:
        """Put new settings in force with their timetable; return whether an emergency stop begins with them.

        Raise ConfigRefused, with nothing changed, when they are another farm's or cannot be planned by. While the clock
        is not trusted, the timetable waits.
        """
        farm = config.farm
        if farm.id != self.farm_id:
            raise ConfigRefused(f"settings of farm {farm.id!r} came to the gateway of farm {self.farm_id!r}")
        if config == self.config:
            return False
        self.follow_clock(now)
        self.settle_skips(now)
        stopped_before = self.farm is not None and self.farm.hold is not None and self.farm.hold.emergency
        with self._journal.transaction():
            self._journal.note("farm_config", FarmConfig, config)
            self.weather.latch(farm)
            if self.farm is not None:
                self.learned.changed(self.farm, farm, now)
            if self.timetable is not None:
                self._settle_skips(without_zone(self.timetable, farm), now)
            configs = self._save_configs(config)
            timetable, changed = self._compiled_anew(config, now)
        self.config = config
        self.timetable = timetable
        self.configs |= configs
        self.parts |= changed
        log.info(
            "settings applied version=%d timetable=%d parts=%d", config.version, self.timetable_version, len(changed)
        )
        return farm.hold is not None and farm.hold.emergency and not stopped_before

    def compile(self, now: datetime) -> bool:
        """Compile anew from what has happened; return whether the timetable or a part of it changed."""
        if self.config is None or not self._clock.trusted():
            return False
        self.follow_clock(now)
        self.settle_skips(now)  # first: what was held back at its time is not placed anew when the hold goes
        before = self.timetable
        with self._journal.transaction():
            timetable, changed = self._compiled_anew(self.config, now)
        self.timetable = timetable
        self.parts |= changed
        if changed:
            log.info("timetable compiled version=%d parts=%d", self.timetable_version, len(changed))
        return timetable is not before or bool(changed)

    def settle_skips(self, now: datetime) -> bool:
        """Record the decision of every skip whose time has come; return whether there were any."""
        if self.timetable is None or not any(final_from(skip) <= now for skip in self._pending_skips(now)):
            return False
        with self._journal.transaction():
            self._settle_skips(self.timetable, now)
        return True

    def next_skip(self, now: datetime) -> datetime | None:
        """Return when the next skip is due."""
        return min((final_from(skip) for skip in self._pending_skips(now)), default=None)

    def next_judgement(self, now: datetime) -> datetime | None:
        """Return when a condition's value that has not come counts as missing, so that the plan changes."""
        return next_judgement(self.farm, self.timetable, now) if self.farm and self.timetable else None

    def turned(self, now: datetime) -> bool:
        """Whether a condition says something else than the timetable, by what was measured since."""
        if self.farm is None or self.timetable is None:
            return False
        return turned(self.farm, self.known(self.farm), self.timetable, self._fixed_ids, now)

    def levelled(self, now: datetime) -> bool:
        """Follow the sources' levels; return whether one is low, or is not any more. Inside a transaction."""
        return self.farm is not None and self.learned.levelled(self.farm, self.known(self.farm).observed, now)

    def next_look(self, now: datetime) -> datetime | None:
        """Return the next judgement, or when the end of a source's trouble that lasts must be put off."""
        looks = [self.next_judgement(now)]
        for source in self.farm.sources if self.farm else ():
            trouble = self.learned.trouble(source.id)
            looks.append(None if trouble is None else gives_again(source, trouble, now) - LEAD)
        return min((at for at in looks if at is not None and at > now), default=None)

    def known(self, farm: Farm) -> Knowledge:
        """Return what was learned and measured, as the planner takes it."""
        return self.weather.known(farm, self.learned.known(farm))

    def next_daily(self, now: datetime) -> datetime | None:
        """Return the next farm-local 00:05."""
        return None if self.farm is None else next_local(DAILY, ZoneInfo(self.farm.tz), now)

    def overtaken(self) -> bool:
        """Whether a board holds a version that this journal has not given yet: it was lost, or put back from a copy."""
        return any((self._boards[node_id].timetable_version or 0) > self.timetable_version for node_id in self.nodes())

    def give(self, node_id: str, part: Timetable) -> bool:
        """Note that a part is about to be sent; False, and it must not be, when it is not the newest any more."""
        if part != self.parts.get(node_id):
            return False
        self.holdings.give(node_id, part)
        return True

    def confirm(self, node_id: str) -> bool:
        """Note which part a board says it holds; return whether that is news."""
        return self.holdings.confirm(node_id, self._boards[node_id].timetable_version, self.parts.get(node_id))

    def in_the_way(self, run: Run, now: datetime) -> frozenset[str]:
        """Return the boards that may still begin what has no room beside that run, so that it must not open yet."""
        farm = self.farm
        held = {node_id: handover.held(each, run.ends_by) for node_id, each in self.holdings.all().items()}
        if farm is None or not any(held.values()):
            return frozenset()  # as a rule: nothing is due in its time
        begun = self._journal.settled(now - LOOK_BACK)
        return handover.in_the_way(run, farm, held, begun, self._journal.under_way(), now)

    def unlocked(self, now: datetime) -> bool:
        """Whether water waits for a valve that was locked or out of hearing when the plan was made, and now is not."""
        if self.farm is None or not self._locked:
            return False
        waits = {one.zone_id for one in self.rests.waiting()} | {one.zone_id for one in self.queued()}
        return bool((waits & self._locked) - self._boards.out_of_reach(self.farm.zones, now))

    def queued(self) -> tuple[Queued, ...]:
        """Return what people have queued, in its order."""
        return self._journal.fact(QUEUE, tuple[Queued, ...]) or ()

    def keep_queue(self, waiting: tuple[Queued, ...]) -> None:
        """Have that queue from now on; inside the caller's transaction."""
        self._journal.note(QUEUE, tuple[Queued, ...], waiting)

    def turns(self) -> tuple[QueuePlace, ...]:
        """Return when those of the queue may expect their turns."""
        return (self.timetable.queue if self.timetable else None) or ()

    def fixed(self, now: datetime, away_until: datetime, settle: timedelta = SETTLE) -> tuple[Entry, ...]:
        """Return the entries that boards may carry out whatever is decided now (gateway.planning.commitment).

        With them those that are about to be given, for which others have been asked to make room.
        """
        away = self._boards.away(self.nodes(), now)
        until = max(away_until, now + settle) + handover.TICK
        begun = self._journal.settled(now - LOOK_BACK)
        entries = [entry for each in self.holdings.all().values() for entry in handover.held(each, until).values()]
        found = committed(entries, begun, away, now, away_until, self.late(), settle)
        coming = [entry for entry in self._coming if entry.id not in begun and now < entry.start + SETTLE]
        if self.farm is None or not coming:
            return found
        return tuple(handover.still_fits(coming, found, self._journal.under_way(), self.farm, now))

    def late(self) -> Behind:
        """Return by how much later boards may begin what they hold, for our clock was set ahead meanwhile."""
        return behind({node_id: each[0] for node_id, each in self.holdings.all().items()}, self._steps)

    def follow_clock(self, now: datetime) -> None:
        """Let runs under way keep their seconds when the clock was set ahead."""
        set_ahead = self._clock.set_ahead()
        by, self._set_ahead = set_ahead - self._set_ahead, set_ahead
        if not by:
            return
        lately = tuple(step for step in self._steps if now - step.at < LOOK_BACK)
        self._steps = (*lately, Step(at=now, by=by))
        with self._journal.transaction():
            self._journal.note("clock_steps", tuple[Step, ...], self._steps)
            for run in self._journal.under_way():
                if run.takes_water(now - by):
                    self._journal.save_run(set_later(run, by, now))
        log.warning("clock set ahead by %s now=%s: runs under way keep their seconds", by, now.isoformat())

    # --- how ---

    def _compiled_anew(self, config: FarmConfig, now: datetime) -> tuple[Timetable | None, dict[str, Timetable]]:
        """Return the timetable and the parts that changed, saved; those in force while the clock is not trusted."""
        if not self._clock.trusted():
            return self.timetable, {}
        try:
            timetable, withheld = self._laid_out(config.farm, now)
        except (ValueError, ArithmeticError, LookupError) as exc:
            raise ConfigRefused(f"version {config.version} cannot be planned by: {exc}") from exc
        self._settle_skips(timetable, now)
        return self._save_timetable(config.farm, timetable, withheld, now)

    def _laid_out(self, farm: Farm, now: datetime) -> tuple[Timetable, frozenset[str]]:
        """Return the timetable, and what of it boards are not given before others have let go of what was there.

        What is to begin before they can have is put off, and keeps that place: it would move on with the clock, and
        all that stands behind it, and nobody would ever have let go of the latest.
        """
        timetable, fixed = self._compiled(farm, now)
        withheld = self._withheld(timetable, fixed, farm, now)
        soon = now + handover.HANDOVER
        if handover.begins(timetable, withheld, soon) - {entry.id for entry in fixed}:
            timetable, fixed = self._compiled(farm, now, not_before=soon)
            withheld = self._withheld(timetable, fixed, farm, now)
            coming = handover.begins(timetable, withheld, soon + handover.TICK)
            self._coming = tuple(entry for entry in timetable.entries if entry.id in coming)
        return timetable, withheld

    def _withheld(self, timetable: Timetable, fixed: tuple[Entry, ...], farm: Farm, now: datetime) -> frozenset[str]:
        held, begun = self.holdings.all(), self._journal.settled(now - LOOK_BACK)
        return handover.withheld(timetable, fixed, held, begun, farm, now)

    def _compiled(
        self, farm: Farm, now: datetime, not_before: datetime | None = None
    ) -> tuple[Timetable, tuple[Entry, ...]]:
        """Return the timetable, and what it was laid around."""
        fixed = self.fixed(now, now + AWAY_AHEAD, SETTLE if not_before is None else not_before - now)
        settled = self._journal.settled(now - LOOK_BACK)
        under_way, ended = self._journal.under_way(), self._journal.ended_since(now - LATELY)
        ids = (run.entry_id for run in (*under_way, *ended) if run.entry_id is not None)
        begun = [entry for entry in map(self._journal.entry, ids) if entry is not None]
        self._locked = self._boards.out_of_reach(farm.zones, now)
        self.learned.levelled(farm, self.known(farm).observed, now)
        waiting = queueing.since_known(self.queued(), self._journal.run)
        queue = tuple(one for one in waiting if one.zone_id not in self._locked)
        known = replace(self.known(farm), make_ups=self.rests.to_place(self._locked, now), queue=queue)
        state, stays = plan_state(under_way, fixed, farm, settled, now, self.late(), begun)
        state = with_past(state, ended, (*begun, *stays), carried_after(known, stays))
        state = with_left_out(state, self._journal.decisions_since(now - LATELY), farm.zones, now)
        self._fixed_ids = frozenset(entry.id for entry in stays)
        state = replace(state, not_before=not_before)
        timetable = self._compile(farm, state, now, days=self._days, version=1)
        return with_fixed(handed_over_at_rest(timetable, LATE_START), stays), fixed

    def _save_configs(self, config: FarmConfig) -> dict[str, NodeConfig]:
        changed = {}
        for node_id in {*parts.nodes(config.farm), *self.configs}:
            held = self.configs.get(node_id)
            wanted = parts.node_config(config.farm, node_id, config.version)
            if held is not None and held.model_copy(update={"version": config.version}) == wanted:
                continue
            told = self._boards[node_id].config_version
            version = parts.next_version(config.version - 1, held.version if held else None, told)
            changed[node_id] = wanted.model_copy(update={"version": version})
            self._journal.save_config(node_id, changed[node_id])
        return changed

    def _save_timetable(
        self, farm: Farm, new: Timetable, withheld: frozenset[str], now: datetime
    ) -> tuple[Timetable, dict[str, Timetable]]:
        """Keep the timetable in force where the new one says the same; return it and the parts that changed."""
        told = {node_id: self._boards[node_id].timetable_version or 0 for node_id in {*parts.nodes(farm), *self.parts}}
        new = replace(new, version=parts.next_version(self.timetable_version, *told.values()))
        changed = {}
        for node_id, version in told.items():
            wanted = parts.part(new, node_id, withheld)
            held = self.parts.get(node_id)
            if held is None or version > held.version or not parts.says_the_same(held, wanted, now):
                changed[node_id] = wanted
                self._journal.save_part(node_id, wanted)
        same = self.timetable is not None and parts.says_the_same(self.timetable, new, now)
        if self.timetable is not None and same and not self.overtaken() and not changed:
            new = replace(self.timetable, known=new.known) if has_conditions(farm) else self.timetable
            if new != self.timetable:
                self._journal.note("timetable", Timetable, new)
        else:
            self._journal.note("timetable", Timetable, new)
            known = {entry.id: entry for entry in self.timetable.entries} if self.timetable else {}
            self._journal.save_entries(tuple(entry for entry in new.entries if known.get(entry.id) != entry))
        return new, changed

    def _pending_skips(self, now: datetime) -> list[Skip]:
        if self.timetable is None or not self.timetable.skipped:
            return []
        settled = self._journal.settled(now - LOOK_BACK)
        return [skip for skip in self.timetable.skipped if skip.id not in settled]

    def _settle_skips(self, timetable: Timetable, now: datetime) -> None:
        """Record the decision of each of its skips whose time has come."""
        settled = self._journal.settled(now - LOOK_BACK)
        for decision in decisions.of_skips(timetable.skipped, settled, now):
            self._journal.settle(decision)
            self._outbox.append(DecisionEvent(seq=1, at=now, decision=decision))
        self.learned.carry(skip for skip in timetable.skipped if final_from(skip) <= now and skip.id not in settled)
