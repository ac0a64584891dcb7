"""`tuoi server`: serve, set up a farm, add a person."""

import argparse
import asyncio
import getpass
import sys
from datetime import UTC, datetime
from pathlib import Path

from contract.errors import ConfigError
from contract.logs import start_log
from contract.service import notify, watched
from server.accounts import LANGUAGES, add_account
from server.app import App, bootstrap, open_ledger
from server.errors import Unavailable
from server.farms import load_farm
from server.records import Role
from server.settings import ServerSettings, load_settings

_EPILOG = """\
first steps:
  tuoi server load-farm   --config server.toml farm.toml
  tuoi server add-account --config server.toml mai --role farmer --farm mai
  tuoi server             --config server.toml
configs/server.toml and configs/farm.toml are examples with every setting explained.
"""


def main(argv: list[str]) -> int:
    """Run the command; 2 = bad usage or configuration, said in one sentence on stderr."""
    asked = _parse(argv)
    start_log()
    try:
        settings = load_settings(asked.config)
        if asked.act == "load-farm":
            return _load_farm(settings, asked)
        if asked.act == "add-account":
            return _add_account(settings, asked)
        return _serve(settings)
    except ConfigError as exc:
        print(f"tuoi server: {exc}", file=sys.stderr)
        return 2
    except Unavailable as exc:
        print(f"tuoi server: {exc}", file=sys.stderr)
        return 1


def _parse(argv: list[str]) -> argparse.Namespace:
    acts = ("load-farm", "add-account")
    act = argv[0] if argv and argv[0] in acts else "serve"
    rest = argv if act == "serve" else argv[1:]
    if act == "serve":
        parser = argparse.ArgumentParser(
            prog="tuoi server", epilog=_EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter,
            description="Serve the cooperative's app and API; load-farm and add-account have a --help of their own.",
        )  # fmt: skip
    elif act == "load-farm":
        parser = argparse.ArgumentParser(
            prog="tuoi server load-farm",
            description="Add a farm, or set up its sources, zones and boards anew. Its people's programs are kept. "
            "A server that is running sees it after a restart.",
        )
        parser.add_argument("farm", type=Path, metavar="FARM.toml", help="the farm's file; configs/farm.toml is one")
    else:
        parser = argparse.ArgumentParser(
            prog="tuoi server add-account",
            description="Add a person, or change one; a change signs them out everywhere.",
        )
        parser.add_argument("name", metavar="NAME", help="what they sign in with: a-z, 0-9, dot, underscore, hyphen")
        parser.add_argument("--role", required=True, choices=[role.value for role in Role])
        parser.add_argument(
            "--farm", action="append", default=[], metavar="ID",
            help="a farm that they see; may be repeated. Without it technicians and managers see all farms",
        )  # fmt: skip
        parser.add_argument("--display-name", default="", metavar="TEXT", help="as others see it; NAME without it")
        parser.add_argument("--language", default="vi", choices=LANGUAGES)
        parser.add_argument("--password-file", type=Path, metavar="FILE", help="without it the password is asked for")
    parser.add_argument("--config", type=Path, required=True, metavar="SERVER.toml")
    asked = parser.parse_args(rest)
    asked.act = act
    return asked


def _serve(settings: ServerSettings) -> int:
    app = bootstrap(settings)
    try:
        asyncio.run(_run(app))
    finally:
        app.close()
    return 0


async def _run(app: App) -> None:
    async with watched():
        await app.run(lambda _port: notify("READY=1"))


def _load_farm(settings: ServerSettings, asked: argparse.Namespace) -> int:
    ledger = open_ledger(settings.ledger)
    try:
        farm_id = load_farm(ledger, asked.farm, datetime.now(UTC))
    finally:
        ledger.close()
    print(f"farm {farm_id} is set up")
    return 0


def _add_account(settings: ServerSettings, asked: argparse.Namespace) -> int:
    password = _password(asked.password_file)
    ledger = open_ledger(settings.ledger)
    try:
        account = add_account(
            ledger, name=asked.name, password=password, role=Role(asked.role), farm_ids=asked.farm,
            now=datetime.now(UTC), display_name=asked.display_name, language=asked.language,
        )  # fmt: skip
    finally:
        ledger.close()
    print(f"{account.role} {account.name} may sign in")
    return 0


def _password(file: Path | None) -> str:
    if file is not None:
        try:
            return file.read_text(encoding="utf-8").strip()
        except OSError as exc:
            raise ConfigError(f"--password-file {file} cannot be read: {exc.strerror}") from None
    first = getpass.getpass("password: ")
    if first != getpass.getpass("again: "):
        raise ConfigError("the two passwords differ")
    return first
