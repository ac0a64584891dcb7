"""What the bench commands say, in the technician's language: one file of sentences for each."""

import json
import os
from collections.abc import Mapping
from pathlib import Path

LANGUAGES = ("vi", "en", "fr")
OURS = "vi"  # the first users'; the same as the server's


def choose(asked: str | None, environ: Mapping[str, str] = os.environ) -> str:
    """Return the language asked for, or that of the terminal (LC_ALL, LC_MESSAGES, LANG) if we have it, or ours."""
    if asked:
        return asked
    spoken = next((environ[name] for name in ("LC_ALL", "LC_MESSAGES", "LANG") if environ.get(name)), "")
    return spoken[:2] if spoken[:2] in LANGUAGES else OURS


class Words:
    """The sentences of one language. Each has the same keys and the same {names} in all of them."""

    def __init__(self, language: str) -> None:
        file = Path(__file__).parent / "words" / f"{language}.json"
        self._sentences: dict[str, str] = json.loads(file.read_text(encoding="utf-8"))

    def say(self, key: str, /, **params: object) -> str:
        """Return the sentence with its values; raise KeyError for one that is not there."""
        return self._sentences[key].format(**{name: _shown(value) for name, value in params.items()})

    def has(self, key: str) -> bool:
        """Whether there is such a sentence."""
        return key in self._sentences


def _shown(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
