"""`tuoi edge calibrate`: a probe learns its own soil in two to eight points, and board.toml learns it from it."""

import argparse
import json
import os
import sys
import tempfile
import time
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from edge.bench.language import LANGUAGES, Words, choose

if TYPE_CHECKING:
    from edge.config import BoardSettings
    from edge.control.fit import Shot

NAME = "calibrate"
HELP = "teaches a probe its own soil and writes that into board.toml"
ABOUT = """\
Teaches a soil probe what its own soil is like. Without --point it guides you: dry soil first, then soaked soil, then
more if you like. At each it takes a number of readings, shows how far they are apart, and refuses what is not steady.

The points go into board.toml in one step: your comments and everything else stay, the old file is kept beside it, and
nothing is written that the agent would not load. The agent may go on running, unless the probe is on a serial port; it
takes the new points when told to (systemctl reload tuoi-agent). Nothing here opens a valve."""
EXAMPLE = """\
example:
  sudo tuoi edge calibrate --config /etc/tuoi/board.toml --sensor soil-1

from a script, one call for each soil that the probe is put into, then the file:
  sudo tuoi edge calibrate --config /etc/tuoi/board.toml --sensor soil-1 --point 0
  sudo tuoi edge calibrate --config /etc/tuoi/board.toml --sensor soil-1 --point 45
  sudo tuoi edge calibrate --config /etc/tuoi/board.toml --sensor soil-1 --write
Points are remembered for 12 hours after the last; the same percentage again takes its place.

how to know the percentage: dry soil from an oven or the sun holds about 0 to 5; soaked and drained soil what its kind
holds: sand 35, loam 45, clay 50. Better: weigh a known volume wet and dry; 1 g of water in 1 cm3 is 100 %.

exit code: 0 written or taken, 1 refused (not steady, not monotone, no answer), 2 wrong usage or file"""

EVERY_S = 0.2
SOAKED_PCT = 45.0
REMEMBERED = timedelta(hours=12)


def add_options(parser: argparse.ArgumentParser) -> None:
    """Declare what the command takes."""
    parser.add_argument("--sensor", required=True, metavar="NAME", help="the probe's name in board.toml, as soil-1")
    parser.add_argument(
        "--point", type=float, metavar="PCT",
        help="take the readings now, in soil that holds PCT volumetric percent of water, and remember them",
    )  # fmt: skip
    parser.add_argument("--write", action="store_true", help="put the points that are remembered into board.toml")
    parser.add_argument("--samples", type=int, default=15, metavar="N", help="readings for a point, 3 to 500 (15)")
    parser.add_argument("--language", choices=LANGUAGES, help="without it that of the terminal, or Vietnamese")


def main(args: argparse.Namespace) -> int:
    """Run the command; return its exit code."""
    from contract.errors import ConfigError
    from edge.config import load_board
    from edge.errors import Unfit
    from edge.hardware.errors import HardwareError

    words = Words(choose(args.language))
    os.environ.setdefault("LG_WD", tempfile.gettempdir())  # where lgpio puts its pipe
    try:
        if not 3 <= args.samples <= 500:
            raise ConfigError(f"--samples must be between 3 and 500, not {args.samples}")
        bench = Bench(args.config, load_board(args.config), args.sensor, args.samples, words)
        if args.point is None and not args.write:
            return bench.guide()
        if args.point is not None:
            bench.remember(bench.take(args.point))
        if args.write:
            bench.write([*bench.remembered()])
            bench.forget()
    except Unfit as exc:
        print(words.say(f"calibrate.{exc.code}", **exc.params), file=sys.stderr)
        return 1
    except HardwareError as exc:
        print(words.say("calibrate.no-answer", why=exc), file=sys.stderr)
        return 1
    except ConfigError as exc:
        print(f"tuoi edge calibrate: {exc}", file=sys.stderr)
        return 2
    except (KeyboardInterrupt, EOFError):
        print("\n" + words.say("calibrate.stopped"), file=sys.stderr)
        return 1
    return 0


class Bench:
    """One probe of one board, and the file that holds its points."""

    def __init__(self, path: Path, board: "BoardSettings", sensor: str, samples: int, words: Words) -> None:
        from contract.errors import ConfigError
        from edge.bench.probes import open_probe, taken_by_agent
        from edge.bench.running import running

        known = {probe.sensor: probe for probe in board.probe}
        if sensor not in known:
            raise ConfigError(f"{path} has no probe {sensor!r}; it has {', '.join(known) or 'none'}")
        if taken_by_agent(known[sensor], running(board.guard_socket)):
            raise ConfigError(f"the agent speaks on {known[sensor].bus}: sudo systemctl stop tuoi-agent, then again")
        self._path = path
        self._text = path.read_text(encoding="utf-8")
        self._sensor = sensor
        self._before = known[sensor].points or ()
        self._samples = samples
        self._say = words.say
        self._memory = board.state_dir / f"calibration-{sensor}.json"
        self._raw = open_probe(board, sensor)

    # --- with a person ---

    def guide(self) -> int:
        """Lead through the points by questions; return the exit code."""
        from edge.control.fit import MOST_POINTS, curve
        from edge.errors import Unfit

        say = self._say
        print(say("calibrate.begin", sensor=self._sensor, points=_shown(self._before)))
        shots = [self._ask("calibrate.dry", 0.0), self._ask("calibrate.soaked", SOAKED_PCT)]
        while len(shots) < MOST_POINTS:
            answer = input(say("calibrate.more") + " ").strip()
            if not answer:
                break
            try:
                shots.append(self._ask_for(_number(answer, 0.0)))
            except Unfit as exc:
                print(say(f"calibrate.{exc.code}", **exc.params))
        print(say("calibrate.result", points=_shown(curve(shots, is_share=self._raw.is_share))))
        if input(say("calibrate.write", path=self._path) + " ").strip().lower()[:1] in {"n", "k"}:  # no, non, không
            print(say("calibrate.stopped"))
            return 1
        self.write(shots)
        return 0

    def _ask(self, question: str, usual: float) -> "Shot":
        from edge.errors import Unfit

        while True:
            try:
                return self._ask_for(_number(input(f"\n{self._say(question)} [{usual:g}] "), usual))
            except Unfit as exc:
                print(self._say(f"calibrate.{exc.code}", **exc.params))

    def _ask_for(self, pct: float) -> "Shot":
        from edge.errors import Unfit
        from edge.hardware.errors import HardwareError

        while True:
            input(self._say("calibrate.ready", pct=pct) + " ")
            try:
                return self.take(pct)
            except Unfit as exc:
                print(self._say(f"calibrate.{exc.code}", **exc.params))
            except HardwareError as exc:
                print(self._say("calibrate.no-answer", why=exc))
            print(self._say("calibrate.again"))

    # --- the steps ---

    def take(self, pct: float) -> "Shot":
        """Read the probe often enough and return the point; raise Unfit or HardwareError."""
        from edge.control.fit import shoot

        raws: list[float] = []
        for count in range(self._samples):
            if count:
                time.sleep(EVERY_S)
            raws.append(self._raw.read())
        shot = shoot(pct, raws, is_share=self._raw.is_share)
        print(self._say("calibrate.taken", pct=pct, raw=shot.raw, spread=shot.spread, count=shot.count))
        return shot

    def write(self, shots: "list[Shot]") -> None:
        """Put the points into board.toml; raise Unfit or ConfigError with the file as it was."""
        from edge.bench.board_file import replace, with_points
        from edge.config import load_board
        from edge.control.fit import curve

        points = curve(shots, is_share=self._raw.is_share)
        changed = with_points(self._text, self._sensor, points)
        kept = replace(self._path, self._text, changed, load_board, datetime.now(UTC))
        print(self._say("calibrate.written", path=self._path, kept=kept, points=_shown(points)))

    # --- between two calls ---

    def remembered(self) -> "list[Shot]":
        """Return the points taken by earlier calls and not too long ago."""
        from edge.control.fit import Shot

        try:
            kept = json.loads(self._memory.read_text(encoding="utf-8"))
            if datetime.now(UTC) - datetime.fromisoformat(kept["at"]) > REMEMBERED:
                return []  # of another day, perhaps of another probe
            return [Shot(**shot) for shot in kept["shots"]]
        except (OSError, ValueError, TypeError, KeyError):
            return []  # nothing there, or not ours: as if nothing had been taken

    def remember(self, shot: "Shot") -> None:
        """Keep a point for the next call; raise ConfigError."""
        from contract.errors import ConfigError

        shots = [one for one in self.remembered() if one.pct != shot.pct] + [shot]
        kept = {"at": datetime.now(UTC).isoformat(), "shots": [asdict(one) for one in shots]}
        try:
            self._memory.parent.mkdir(parents=True, exist_ok=True)
            self._memory.write_text(json.dumps(kept), encoding="utf-8")
        except OSError as exc:
            raise ConfigError(f"{self._memory}: cannot be written: {exc.strerror}") from exc
        print(self._say("calibrate.remembered", count=len(shots), points=_listed(shots)))

    def forget(self) -> None:
        """Drop what was remembered: it stands in the file now."""
        self._memory.unlink(missing_ok=True)


def _number(answer: str, usual: float) -> float:
    from edge.errors import Unfit

    text = answer.strip().rstrip("%").replace(",", ".")
    try:
        pct = float(text) if text else usual
    except ValueError:
        raise Unfit("not-a-percentage", pct=answer) from None
    if not 0 <= pct <= 100:
        raise Unfit("not-a-percentage", pct=answer)
    return pct


def _shown(points: "tuple[tuple[float, float], ...]") -> str:
    return ", ".join(f"{raw:.4g} = {pct:g} %" for raw, pct in points) or "-"


def _listed(shots: "list[Shot]") -> str:
    return _shown(tuple((shot.raw, shot.pct) for shot in sorted(shots, key=lambda shot: shot.pct)))
