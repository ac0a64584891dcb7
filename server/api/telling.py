"""Sentences beside the codes, in the language that the caller's browser asks for."""

from typing import Annotated
from zoneinfo import ZoneInfo

from fastapi import Depends, Header

from irrigation.model import Entry, Skip, Timetable
from server import shapes
from server.records import DecisionRecord
from server.shapes import Json
from server.view import FarmView
from server.words import choose
from server.words.sentences import Told, ahead, next_start, sentence


async def language(accept_language: Annotated[str, Header()] = "") -> str:
    """The language of the answer."""
    return choose(accept_language)


Language = Annotated[str, Depends(language)]


def timetable(shown: Json, table: Timetable, view: FarmView, spoken: str) -> Json:
    """The timetable as it is shown, each start and skip with its sentence ahead."""
    names, tz = _names(view), ZoneInfo(view.farm.tz)
    coming: list[Entry | Skip] = [*table.entries, *table.skipped]
    said = {one.id: sentence(spoken, ahead(one, names.get(one.zone_id, one.zone_id)), tz) for one in coming}
    for one in (*shown["entries"], *shown["skipped"]):
        one["sentence"] = said[one["id"]]
    return shown


def decision(record: DecisionRecord, view: FarmView, spoken: str) -> Json:
    """A decision with its sentence, and when the program next waters that zone."""
    entries = view.plan.entries if view.plan else ()
    next_at = next_start(entries, record.program_id, record.zone_id, record.due)
    told = Told(
        how=record.result,
        rule=record.rule,
        zone=_names(view).get(record.zone_id, record.zone_id),
        due=record.due,
        params=record.params,
        next_at=next_at if record.result in {"skipped", "refused"} else None,
    )
    said = sentence(spoken, told, ZoneInfo(view.farm.tz))
    return shapes.decision(record) | {"next_at": shapes.iso(next_at), "sentence": said}


def _names(view: FarmView) -> dict[str, str]:
    return {zone.id: zone.name for zone in view.farm.zones}
