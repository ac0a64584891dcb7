"""The server's sentences in three languages: one JSON file each, with equal keys (a test)."""

import json
from functools import cache
from importlib.resources import files

LANGUAGES = ("vi", "en", "fr")


@cache
def words(language: str) -> dict[str, str]:
    """All sentences of a language."""
    text = (files("server.words") / f"{language}.json").read_text(encoding="utf-8")
    loaded: dict[str, str] = json.loads(text)
    return loaded


def say(language: str, key: str, params: dict[str, float | str]) -> str:
    """A sentence with its numbers; a parameter that is itself a key is said too. Without a sentence, the key."""
    own = words(language)
    shown = {name: own.get(str(value)) or _shown(value) for name, value in params.items()}
    return own.get(key, key).format_map(_Gaps(shown))


def choose(accept_language: str) -> str:
    """The language that a browser likes best of ours; Vietnamese when it names none."""
    ranked: list[tuple[float, int, str]] = []
    for place, part in enumerate(accept_language[:200].split(",")):
        tag, _, weight = part.strip().partition(";q=")
        language = tag.lower().split("-")[0]
        try:
            quality = float(weight) if weight else 1.0
        except ValueError:
            quality = 0.0
        if language in LANGUAGES and quality > 0:
            ranked.append((-quality, place, language))
    return min(ranked)[2] if ranked else "vi"


def _shown(value: float | str) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


class _Gaps(dict[str, str]):
    def __missing__(self, key: str) -> str:
        return "?"
