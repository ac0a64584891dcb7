"""What became, or will become, of a due watering as a sentence that a farmer can read: values in, words out.

The app shows these sentences as they are. The words for reasons and conditions, which it says itself too, are its own
files (`server/web/src/words`): there is one sentence for each.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from importlib.resources import files
from zoneinfo import ZoneInfo

from irrigation.model import Decision, Entry, Rule, Skip
from server.words import say, words

Params = Mapping[str, float | str]
WILL_RUN, WILL_SKIP = "will-run", "will-skip"
_MOMENTS = {
    "vi": "{at:%d/%m} lúc {at:%H:%M}",
    "en": "{at:%d/%m} at {at:%H:%M}",
    "fr": "le {at:%d/%m} à {at:%H:%M}",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What a sentence is about: `how` is a result, or WILL_RUN and WILL_SKIP ahead; `start` when it runs or ran."""

    how: str
    rule: str
    zone: str
    due: datetime
    start: datetime | None = None
    params: Params = field(default_factory=dict)
    next_at: datetime | None = None
    awaits: str | None = None  # the condition whose value is still to come, and without which it does not run


@cache
def app_words(language: str) -> dict[str, str]:
    """Every word of the app in a language."""
    folder = files("server") / "web" / "src" / "words"
    texts = ((folder / f"{language}{part}.json").read_text(encoding="utf-8") for part in ("", ".screens"))
    return {key: words for text in texts for key, words in json.loads(text).items()}


def sentence(language: str, told: Told, tz: ZoneInfo) -> str:
    """Return it in `vi`, `en` or `fr`, with the times of the farm."""
    shown: dict[str, float | str] = {
        "zone": told.zone,
        "due": moment(language, told.due, tz),
        "start": moment(language, told.start or told.due, tz),
        "why": why(language, told.rule, told.params),
    }
    said = say(language, f"told.{told.how}", shown)
    if told.awaits is not None:
        said += " " + say(language, "told.awaits", {"what": _kind(language, told.awaits)})
    if told.next_at is None:
        return said
    return f"{said} {say(language, 'told.next', {'next': moment(language, told.next_at, tz)})}"


def why(language: str, rule: str, params: Params) -> str:
    """Return the words for a rule with its numbers, and those for the reason that a board gave."""
    rules = words(language)
    shown = {name: _number(language, value) for name, value in params.items()}
    shown |= {"of": _kind(language, shown["of"])} if "of" in shown else {}
    said = rules.get(f"rule.{rule}", rules["rule.other"]).format_map(_Gaps(shown | {"code": rule}))
    reason = app_words(language).get(f"reason.{params['reason']}") if "reason" in params else None
    return said if reason is None else f"{said} {reason.format_map(_Gaps(shown))}."


def moment(language: str, at: datetime, tz: ZoneInfo) -> str:
    """Return day and time on the farm."""
    return _MOMENTS[language].format(at=at.astimezone(tz))


def of_decision(decision: Decision, zone: str, next_at: datetime | None = None) -> Told:
    """Return what is to be told of a decision; `zone` is the zone's name."""
    return Told(
        how=decision.result,
        rule=decision.rule,
        zone=zone,
        due=decision.due,
        params=decision.params,
        next_at=next_at,
    )


def ahead(one: Entry | Skip, zone: str, next_at: datetime | None = None) -> Told:
    """Return what is to be told of something that is still to come."""
    start = one.start if isinstance(one, Entry) else None
    how = WILL_SKIP if start is None else WILL_RUN
    awaits = one.awaits if isinstance(one, Entry) else None
    return Told(
        how=how, rule=one.rule, zone=zone, due=one.due, start=start, params=one.params, next_at=next_at, awaits=awaits
    )


def next_start(entries: Iterable[Entry], program_id: str, zone_id: str, after: datetime) -> datetime | None:
    """Return when the program next waters that zone, of what is due later than `after`."""
    mine = (one for one in entries if (one.program_id, one.zone_id) == (program_id, zone_id))
    return min((one.start for one in mine if one.due > after and one.rule is not Rule.MADE_UP), default=None)


def _kind(language: str, kind: str) -> str:
    """Return the name of a condition."""
    return app_words(language).get(f"kind.{kind}", kind)


def _number(language: str, value: float | str) -> str:
    if isinstance(value, str):
        return value
    text = f"{round(value, 1):g}"
    return text if language == "en" else text.replace(".", ",")


class _Gaps(dict[str, str]):
    def __missing__(self, key: str) -> str:
        return "…"
