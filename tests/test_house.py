"""The house itself: what is there is documented, what is documented is there, and every example works."""

import contextlib
import io
import re
import subprocess
import tomllib
import typing
from pathlib import Path

import pytest
from pydantic import BaseModel

import tuoi

ROOT = Path(__file__).parents[1]
PACKAGES = ("contract", "edge", "firmware_sim", "gateway", "irrigation", "server")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def tracked() -> list[Path]:
    """Every file of the project that still exists: what git knows, and what it would take in."""
    command = ["git", "-C", str(ROOT), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, capture_output=True, check=True).stdout.decode()
    return sorted({ROOT / name for name in listed.split("\0") if name and (ROOT / name).is_file()})


def text_of(path: Path) -> str:
    """The file's text; what is no text has none."""
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return ""


DOCS = {path.relative_to(ROOT).as_posix(): text_of(path) for path in tracked() if path.suffix == ".md"}
OPERATIONS = DOCS["docs/operations.md"]

# --- commands -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", tuoi.COMMANDS)
def test_every_command_of_the_front_door_is_in_operations(command: str) -> None:
    assert f"tuoi {command}" in OPERATIONS


@pytest.mark.parametrize("command", ["run", "test", "check", "fix", "bench"])
def test_every_make_command_is_in_the_readme(command: str) -> None:
    assert f"make {command}" in DOCS["README.md"]
    assert re.search(rf"^{command}:", (ROOT / "Makefile").read_text(), re.MULTILINE)


def options_of(*command: str) -> set[str]:
    """The options that a command says it has."""
    told = io.StringIO()
    with contextlib.redirect_stdout(told), pytest.raises(SystemExit) as ended:
        tuoi.main([*command, "--help"])
    assert ended.value.code in (0, None)
    return set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", told.getvalue())) - {"--help"}


@pytest.mark.parametrize(
    "command",
    [
        "demo",
        "edge guard",
        "edge agent",
        "edge check",
        "edge calibrate",
        "gateway",
        "server",
        "server load-farm",
        "server add-account",
        "field",
    ],
)
def test_every_command_teaches_and_its_options_are_in_operations(command: str) -> None:
    options = options_of(*command.split())
    assert options, f"{command} --help names no option"
    missing = {option for option in options if not re.search(rf"{option}(?![\w-])", OPERATIONS)}
    assert not missing, f"docs/operations.md does not tell of {missing} of tuoi {command}"


# --- routes ---------------------------------------------------------------------------------------------------------


def test_every_route_of_the_api_is_in_its_page(tmp_path: Path) -> None:
    page = re.sub(r"\{[a-z_]+\}", "{}", DOCS["docs/api.md"])
    missing = []
    for path in routes_of(tmp_path):
        known = re.sub(r"\{[a-z_]+\}", "{}", path)
        if known.removeprefix("/api/v1") not in page:
            missing.append(path)
    assert not missing, f"docs/api.md does not tell of {missing}"


def routes_of(folder: Path) -> list[str]:
    """The paths that a server started with its example configuration offers."""
    from server.app import bootstrap
    from server.settings import load_settings

    copy = folder / "server.toml"
    copy.write_text((ROOT / "configs/server.toml").read_text())
    (folder / "data").mkdir()
    app = bootstrap(load_settings(copy))
    try:
        return sorted(app.site.openapi()["paths"])
    finally:
        app.close()


# --- configs --------------------------------------------------------------------------------------------------------


def examples() -> dict[str, tuple[type[BaseModel], BaseModel]]:
    """Each example of a process's configuration: its model, and what the process itself makes of the file."""
    from contract.settings import load_toml
    from edge.config import BoardSettings, load_board
    from firmware_sim.settings import FieldSettings
    from gateway.settings import Settings as GatewaySettings
    from server.settings import ServerSettings, load_settings

    configs = ROOT / "configs"
    return {
        "board.toml": (BoardSettings, load_board(configs / "board.toml")),
        "gateway.toml": (GatewaySettings, load_toml(configs / "gateway.toml", GatewaySettings)),
        "server.toml": (ServerSettings, load_settings(configs / "server.toml")),
        "field.toml": (FieldSettings, load_toml(configs / "field.toml", FieldSettings)),
    }


def fields_of(model: object) -> set[str]:
    """The names of a model's fields, and of those of the models in it."""
    names: set[str] = set()
    if isinstance(model, type) and issubclass(model, BaseModel):
        for name, field in model.model_fields.items():
            names |= {name} | fields_of(field.annotation)
    for part in typing.get_args(model):
        names |= fields_of(part)
    return names


def test_every_process_takes_its_example_and_every_setting_is_told_of() -> None:
    for name, (model, loaded) in examples().items():
        assert isinstance(loaded, model)
        told = text_of(ROOT / "configs" / name) + OPERATIONS
        missing = {field for field in fields_of(model) if not re.search(rf"\b{field}\b", told)}
        assert not missing, f"neither configs/{name} nor docs/operations.md tells of {missing}"


def test_every_driver_has_an_example_and_its_settings_are_told_of() -> None:
    from edge.config import load_board
    from edge.hardware.drivers.driver import OURS, find

    example = ROOT / "configs" / "board-probes.toml"
    shown = {type(probe) for probe in load_board(example).probes}
    told = text_of(example) + OPERATIONS
    for name in OURS:
        assert find(name) in shown, f"configs/board-probes.toml has no {name}"
        assert f"`{name}`" in OPERATIONS
        missing = {field for field in fields_of(find(name)) if not re.search(rf"\b{field}\b", told)}
        assert not missing, f"neither configs/board-probes.toml nor docs/operations.md tells of {missing} of {name}"


def test_the_examples_agree_on_who_is_who() -> None:
    loaded = {name: each for name, (_, each) in examples().items()}
    assert getattr(loaded["board.toml"], "farm_id") == getattr(loaded["gateway.toml"], "farm_id")  # noqa: B009


# --- what is written about the house --------------------------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(DOCS))
def test_every_link_between_pages_leads_somewhere(name: str) -> None:
    prose = re.sub(r"```.*?```", "", DOCS[name], flags=re.DOTALL)
    for target in re.findall(r"\]\(([^)#\s]+)", prose):
        if not re.match(r"[a-z]+:", target):
            assert ((ROOT / name).parent / target).exists(), f"{name} links to {target}"


def test_decisions_are_numbered_once_and_say_context_decision_and_consequences() -> None:
    pages = sorted(path.name for path in (ROOT / "docs/decisions").glob("*.md"))
    numbers = [name[:4] for name in pages]
    assert len(set(numbers)) == len(numbers), numbers
    for name in pages:
        assert re.fullmatch(r"\d{4}-[a-z0-9-]+\.md", name), name
        page = DOCS[f"docs/decisions/{name}"]
        for heading in ("Context", "Decision", "Consequences"):
            assert re.search(rf"^#+ {heading}\b", page, re.MULTILINE), f"{name} has no heading {heading}"


def test_the_changelog_begins_with_the_version_of_the_distribution() -> None:
    newest = re.search(r"^## (\S+)", DOCS["CHANGELOG.md"], re.MULTILINE)
    assert newest is not None
    assert newest[1] == PROJECT["version"]


@pytest.mark.parametrize("package", PACKAGES)
def test_every_part_of_the_house_is_in_its_picture(package: str) -> None:
    assert f"{package}/" in DOCS["README.md"]
    assert f"{package}/" in DOCS["docs/architecture.md"]


def test_every_test_that_the_safety_page_names_exists() -> None:
    named = re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", DOCS["docs/safety.md"])
    assert len(named) > 40
    missing = [
        f"{path}::{name}"
        for path, name in named
        if not (ROOT / path).is_file()
        or (name and not re.search(rf"^(async )?def {name}\(", text_of(ROOT / path), re.MULTILINE))
    ]
    assert not missing, missing


def test_every_row_of_the_fault_matrix_names_its_tests_or_says_that_there_are_none() -> None:
    rows = re.split(r"^\*\*(?=\d+\. )", DOCS["docs/safety.md"], flags=re.MULTILINE)[1:]
    assert [int(row.partition(".")[0]) for row in rows] == list(range(1, 27))
    for row in rows:
        assert re.search(r"^- `tests/", row, re.MULTILINE) or re.search("not (built|named) yet", row, re.IGNORECASE), (
            row
        )


# --- code -----------------------------------------------------------------------------------------------------------

LONG: dict[str, str] = {
    "contract/link.py": "one connection: its callbacks share one state, and split, the order of events would be lost",
    "contract/messages.py": "the whole vocabulary of the wire, to be read in one piece; it holds no behaviour",
    "edge/app.py": "the composition root of a board: everything that its tasks share, in one place",
    "edge/waterings.py": "the runs of a board: what opens, closes and measures them takes turns on one state",
    "gateway/app.py": "the composition root of a gateway: what each message and each moment sets going, in one place",
    "irrigation/planner.py": "what is placed and why: each rule asks the same places, taken in one order",
    "irrigation/model.py": "the vocabulary of watering, to be read in one piece",
}
"""Modules above 400 lines, and why each of them is still one noun."""


def test_no_module_has_become_a_landfill() -> None:
    found = {}
    for path in tracked():
        name = path.relative_to(ROOT).as_posix()
        if path.suffix == ".py" and name.partition("/")[0] in PACKAGES and name not in LONG:
            lines = text_of(path).count("\n")
            if lines > 400:
                found[name] = lines
    assert not found, f"above 400 lines: split them, or give the reason in LONG: {found}"


def test_every_module_says_what_it_is() -> None:
    for path in tracked():
        if path.suffix == ".py" and path.relative_to(ROOT).parts[0] in PACKAGES:
            text = text_of(path)
            assert not text or re.match(r'(#!.*\n)?r?"""\S', text), f"{path.relative_to(ROOT)} has no docstring"


def test_no_file_tells_of_the_machine_it_was_written_on_or_of_a_registry() -> None:
    # Put together here, so that this file does not name them either.
    names = [
        "/wo" + "rk/",
        "/ro" + "ot/",
        "py" + "env",
        "py" + "pi.org",
        "python" + "hosted",
        "npm" + "js.org",
        "deb.debian" + ".org",
    ]
    found = [f"{path.relative_to(ROOT)}: {name}" for path in tracked() for name in names if name in text_of(path)]
    assert not found, found


@pytest.mark.parametrize("lock", sorted((ROOT / "requirements").glob("*.lock")), ids=lambda lock: lock.stem)
def test_a_lock_has_versions_and_hashes_and_no_addresses(lock: Path) -> None:
    text = lock.read_text()
    assert "://" not in text
    entries = re.split(r"\n(?=\S)", text.strip())
    for entry in entries:
        assert re.match(r"[a-z0-9-]+(\[[a-z0-9,-]+\])?==\S+", entry), entry[:100]
        assert "--hash=sha256:" in entry, entry[:100]


@pytest.mark.parametrize(
    ("lock", "extras"), [("dev", ["dev", "demo", "server", "gateway"]), ("demo", ["demo"]), ("edge", ["edge"])]
)
def test_a_lock_holds_all_that_its_extra_asks_for(lock: str, extras: list[str]) -> None:
    locked = set(
        re.findall(r"^([a-z0-9-]+)(?:\[\S+\])?==", (ROOT / f"requirements/{lock}.lock").read_text(), re.MULTILINE)
    )
    wanted = list(PROJECT["dependencies"])
    for extra in extras:
        wanted += PROJECT["optional-dependencies"][extra]
    names = {match[0].lower() for need in wanted if (match := re.match(r"[A-Za-z0-9-]+", need)) and match[0] != "tuoi"}
    assert names <= locked, f"run scripts/lock.sh: {names - locked}"


def test_the_locks_agree_with_one_another() -> None:
    seen: dict[str, str] = {}
    for lock in sorted((ROOT / "requirements").glob("*.lock")):
        for name, version in re.findall(r"^([a-z0-9-]+)==(\S+)", lock.read_text(), re.MULTILINE):
            assert seen.setdefault(name, version) == version, f"{name} in {lock.name}"


# --- words ----------------------------------------------------------------------------------------------------------

_OWN_REASONS = re.compile(r"""Reason\(\s*code=\(?["']([a-z-]+)["']""")
_OF_GUARD = re.compile(r"""Refused\(\s*["']([a-z-]+)["']""")


def reason_codes() -> set[str]:
    """Every reason that a board, a gateway or the server can give, as the source has it; the guard's with its prefix."""
    codes = set()
    for package in ("edge", "gateway", "server"):
        for path in (ROOT / package).rglob("*.py"):
            codes |= set(_OWN_REASONS.findall(text_of(path)))
    for path in (ROOT / "edge" / "guard").glob("*.py"):
        codes |= {f"guard-{code}" for code in _OF_GUARD.findall(text_of(path))}
    return codes


@pytest.mark.parametrize("language", ["vi", "en", "fr"])
def test_every_reason_has_words(language: str) -> None:
    words = (ROOT / "server/web/src/words" / f"{language}.json").read_text(encoding="utf-8")
    codes = reason_codes()
    assert {"source-busy", "guard-locked"} <= codes  # the search finds what is there
    assert {code for code in codes if f'"reason.{code}"' not in words} == set()
