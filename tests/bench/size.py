"""What a phone loads before it shows the first screen."""

import gzip
import re
from pathlib import Path

DIST = Path(__file__).parents[2] / "server" / "web" / "dist"


def first_load_kb() -> float:
    """The page, and the scripts and styles that it names, each with gzip -9, in kB (1,000 bytes)."""
    page = (DIST / "index.html").read_text(encoding="utf-8")
    named = re.findall(r'(?:src|href)="/?([^"]+\.(?:js|css))"', page)
    if not named:
        raise FileNotFoundError(f"{DIST / 'index.html'} names no script: build the app first (make web)")
    files = [DIST / "index.html", *(DIST / name for name in named)]
    return sum(len(gzip.compress(file.read_bytes(), 9)) for file in files) / 1000
