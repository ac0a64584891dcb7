"""`tuoi replay`: a scenario's days in seconds, its runs and decisions as a table, and what was expected beside them."""

import argparse
import json
import sys
import tomllib
from datetime import datetime
from difflib import unified_diff
from pathlib import Path
from zoneinfo import ZoneInfo

from pydantic import ValidationError

from contract.errors import ContractError
from firmware_sim.replay.run import Happened, replayed
from firmware_sim.replay.scenario import Scenario
from irrigation.model import Decision, Result, Rule
from irrigation.run import RunState
from server.words import LANGUAGES
from server.words.sentences import of_decision, sentence

ABOUT = """\
Runs days of a farm in seconds: the gateway's own planning and the boards' own rules, in virtual time. Nothing is
opened, no network is used. A scenario is a TOML file with the farm, what happens to it and what is expected.

  begin = 2026-11-23T00:00:00        # farm-local, as all times in it
  end = 2026-11-25T00:00:00
  expect = '''
  2026-11-23 05:00 tea 20 min
  2026-11-23 05:20 plum 10 min interrupted
  skip 2026-11-24 05:00 tea hold
  '''
  farm_file = "farm.toml"            # beside this file; what stands under [farm] goes before it
  [farm]                             # as the gateway takes it: sources, zones, programs
  [[events]]
  at = 2026-11-23T05:25:00
  do = "board-down"
  node = "board-1"

what happens (`do`, and what it needs):
  gateway-down, gateway-up, release; board-down, board-up, line-down, line-up (node); clock (who, minutes);
  hold (hours, reason); skip (program, zone); edit (program, set); delete (program); water (zone, minutes);
  stop, fault, mend (zone); reading (node, sensor, quantity, value, unit);
  raw (node, sensor, value: of a probe under [[probes]]); meter-back (zone, litres: of a meter under [[meters]])"""
EXAMPLE = """\
example:
  tuoi replay tests/scenarios/night.toml
  tuoi replay tests/scenarios/night.toml --language vi
  tuoi replay --from-ledger /etc/tuoi/server.toml --farm mai --from 2026-11-23T00:00 --to 2026-11-24T00:00

exit code: 0 what was expected happened (or nothing was expected), 1 something else did, 2 the file is at fault"""


def main(argv: list[str]) -> int:
    """Run `tuoi replay`; return the exit code."""
    parser = argparse.ArgumentParser(
        prog="tuoi replay", description=ABOUT, epilog=EXAMPLE, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("scenario", type=Path, nargs="?", metavar="SCENARIO.toml")
    parser.add_argument("--from-ledger", type=Path, metavar="SERVER.toml", help="a past time of a farm in its place")
    parser.add_argument("--farm", metavar="ID", help="with --from-ledger: which farm")
    parser.add_argument("--from", dest="begin", type=datetime.fromisoformat, metavar="TIME", help="farm-local")
    parser.add_argument("--to", dest="end", type=datetime.fromisoformat, metavar="TIME", help="farm-local")
    parser.add_argument("--language", choices=LANGUAGES, default="en", help="of the sentences (en)")
    parser.add_argument("--quiet", action="store_true", help="only tell what differs from what was expected")
    args = parser.parse_args(argv)
    try:
        scenario = _asked(args)
    except (OSError, ValueError, ContractError) as exc:
        print(f"tuoi replay: {args.from_ledger or args.scenario or 'nothing to replay'}: {exc}", file=sys.stderr)
        return 2
    with replayed(scenario) as happened:
        if not args.quiet:
            print(table(scenario, happened, args.language))
        differs = difference(scenario, happened)
    print(differs or "as expected" if scenario.expect is not None else "nothing was expected")
    return 1 if differs else 0


def _asked(args: argparse.Namespace) -> Scenario:
    if args.from_ledger is None:
        if args.scenario is None:
            raise ValueError("name a SCENARIO.toml, or --from-ledger SERVER.toml with --farm, --from and --to")
        return load(args.scenario)
    if args.farm is None or args.begin is None or args.end is None:
        raise ValueError("--from-ledger needs --farm, --from and --to")
    from firmware_sim.replay.past import past  # only here: it needs the server's database library

    return past(args.from_ledger, args.farm, args.begin, args.end)


def load(path: Path) -> Scenario:
    """Read a scenario; raise ValueError that names the field at fault."""
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
        if (shared := document.pop("farm_file", None)) is not None:
            common = tomllib.loads((path.parent / shared).read_text(encoding="utf-8"))
            document["farm"] = common | document.get("farm", {})
        return Scenario.model_validate_json(json.dumps(document, default=lambda moment: moment.isoformat()))
    except ValidationError as exc:
        first = exc.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise ValueError(f"{where}: {first['msg']}") from None


def lines(scenario: Scenario, happened: Happened) -> list[str]:
    """Return a line for each run and for each decision that is none, in the order of time."""
    tz = ZoneInfo(scenario.farm.tz)
    metered = {meter.zone for meter in scenario.meters}
    found = []
    for run in happened.runs:
        opened = (run.opened_at or run.at).astimezone(tz)
        how = "" if run.state is RunState.DONE else f" {run.state.value}"
        minutes = round((run.open_s or 0.0) / 60, 1)
        if run.zone_id in metered:
            how = f" {run.litres or 0.0:g} L{how}" + (f" {run.reason.code}" if run.reason else "")
        found.append((opened, f"{opened:%Y-%m-%d %H:%M} {run.zone_id} {minutes:g} min{how}"))
    for one in happened.decisions:
        if one.result in {Result.SKIPPED, Result.REFUSED}:
            due = one.due.astimezone(tz)
            found.append((due, f"skip {due:%Y-%m-%d %H:%M} {one.zone_id} {one.rule.value}"))
    return [line for _, line in sorted(found)]


def table(scenario: Scenario, happened: Happened, language: str) -> str:
    """Return the runs and decisions, and a sentence for each decision that is not simply as programmed."""
    tz = ZoneInfo(scenario.farm.tz)
    names = {zone.id: zone.name for zone in scenario.farm.zones}

    def told(one: Decision) -> str:
        return sentence(language, of_decision(one, names.get(one.zone_id, one.zone_id)), tz)

    notable = sorted((one for one in happened.decisions if one.rule is not Rule.AS_PROGRAMMED), key=lambda one: one.due)
    return "\n".join([*lines(scenario, happened), "", *map(told, notable)])


def difference(scenario: Scenario, happened: Happened) -> str:
    """Return what differs from what was expected, as a diff; empty when nothing does or nothing was expected."""
    if scenario.expect is None:
        return ""
    wanted = [line.strip() for line in scenario.expect.strip().splitlines() if line.strip()]
    got = lines(scenario, happened)
    return "\n".join(unified_diff(sorted(wanted), sorted(got), "expected", "happened", lineterm="", n=0))
