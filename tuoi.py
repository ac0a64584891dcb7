"""The front door: `tuoi COMMAND ...`. Imports a part of the house only when its command is called."""

import importlib
import sys
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version


@dataclass(frozen=True, slots=True)
class Command:
    """One word after `tuoi`: the package whose `cli.main` it calls, what stands before the arguments, its extra."""

    package: str
    prefix: tuple[str, ...]
    extra: str
    what: str


COMMANDS: dict[str, Command] = {
    "demo": Command("firmware_sim", ("demo",), "demo", "a whole farm on this machine, to try it out"),
    "edge": Command("edge", (), "edge", "one board in the field: its guard and agent, `check` and `calibrate`"),
    "gateway": Command("gateway", (), "gateway", "one farm: plans the water, hears the boards"),
    "server": Command("server", (), "server", "the cooperative: accounts, history and the phone app"),
    "replay": Command("firmware_sim", ("replay",), "gateway", "days of a farm in seconds, from a scenario's file"),
    "field": Command("firmware_sim", ("field",), "demo", "a simulated field: soil, pipes, weather"),
}

HELP = """\
Tưới: irrigation for a farm or a cooperative, from the soil to the phone.

  tuoi demo                                the whole farm on this machine; start here

On a board in the field (two processes, one board):
  tuoi edge guard --config board.toml      holds the valves, closes them at their deadline whatever happens
  tuoi edge agent --config board.toml      reads the probes, waters by its timetable, tells the gateway
  tuoi edge check --config board.toml      looks at all that is wired and around it, and says what to do
  tuoi edge calibrate --config board.toml --sensor PROBE
                                           teaches a probe its own soil

On the farm:
  tuoi gateway --config gateway.toml       plans the water for the whole farm, passes on orders

At the cooperative:
  tuoi server --config server.toml         history, accounts, alerts and the phone app
  tuoi server load-farm --config server.toml FARM.toml
                                           brings a farm's sources, zones and programs in
  tuoi server add-account --config server.toml NAME --role farmer --farm FARM
                                           lets a person sign in

For trying out and for development:
  tuoi replay SCENARIO.toml                days of a farm in seconds: what would run, and why not
  tuoi field --config field.toml           a simulated field that the unchanged edge runs on

  tuoi COMMAND --help                      tells all options of a command
  tuoi --version                           tells which Tưới this is

docs/operations.md goes through the installation of each of them, step by step."""


def main(argv: list[str] | None = None) -> int:
    """Run one command; return its exit code: 2 for wrong usage or configuration, with one sentence on stderr."""
    args = sys.argv[1:] if argv is None else argv
    if not args or args[0] in {"-h", "--help", "help"}:
        print(HELP)
        return 0
    if args[0] in {"-V", "--version"}:
        print(f"tuoi {_version()}")
        return 0
    command = COMMANDS.get(args[0])
    if command is None:
        return _complain(f"there is no command {args[0]!r}; the commands are {', '.join(COMMANDS)} (tuoi --help tells)")
    try:
        part = importlib.import_module(f"{command.package}.cli")
        return int(part.main([*command.prefix, *args[1:]]) or 0)
    except ModuleNotFoundError as exc:
        missing = (exc.name or "").partition(".")[0]
        if missing in {each.package for each in COMMANDS.values()} | {"contract", "irrigation", ""}:
            raise  # our own house is incomplete: that is a defect, and its traceback is wanted
        wanted = f"pip install 'tuoi[{command.extra}]'"
        return _complain(f"`tuoi {args[0]}` needs {missing}, which is not installed here; install it with: {wanted}")
    except KeyboardInterrupt:
        return 130


def _version() -> str:
    try:
        return version("tuoi")
    except PackageNotFoundError:
        return "(not installed: run from its source tree)"


def _complain(sentence: str) -> int:
    print(f"tuoi: {sentence}", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main())
