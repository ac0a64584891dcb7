"""The systemd units: they start what exists, systemd finds no fault in them, and nothing that they need not do is allowed."""

import shutil
import subprocess
from pathlib import Path

import pytest

import tuoi

CONFIGS = Path(__file__).parents[3] / "configs"
UNITS = sorted(CONFIGS.glob("*.service"))
PROGRAM = "/opt/tuoi/.venv/bin/tuoi"
GUARD = "/opt/tuoi/.venv/bin/python -OO -m edge.guard"  # as edge.cli starts it

HARDENED = {
    "AmbientCapabilities": "",
    "CapabilityBoundingSet": "",
    "LimitCORE": "0",
    "LockPersonality": "yes",
    "MemoryDenyWriteExecute": "yes",
    "NoNewPrivileges": "yes",
    "PrivateMounts": "yes",
    "PrivateTmp": "yes",
    "ProtectClock": "yes",
    "ProtectControlGroups": "yes",
    "ProtectHome": "yes",
    "ProtectHostname": "yes",
    "ProtectKernelLogs": "yes",
    "ProtectKernelModules": "yes",
    "ProtectKernelTunables": "yes",
    "ProtectProc": "invisible",
    "ProtectSystem": "strict",
    "RemoveIPC": "yes",
    "RestrictNamespaces": "yes",
    "RestrictRealtime": "yes",
    "RestrictSUIDSGID": "yes",
    "SystemCallArchitectures": "native",
    "UMask": "0077",
}
"""What every unit has; the rest differs."""

EXPOSURE = {"tuoi-guard": 0.8, "tuoi-agent": 1.6, "tuoi-gateway": 1.2, "tuoi-server": 1.2}
"""The most that `systemd-analyze security` may find, of 10: pins for two of them, the network for three."""

DEVICES = {
    "tuoi-guard": {"char-gpiochip"},
    "tuoi-agent": {"char-gpiochip", "char-spi", "char-i2c", "char-ttyAMA", "char-ttyS", "char-ttyUSB", "char-ttyACM"},
}


def analyze(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    tool = shutil.which("systemd-analyze")
    assert tool is not None, "systemd-analyze is not installed; `make test` installs it"
    return subprocess.run([tool, *arguments], check=False, capture_output=True, text=True, timeout=30)


def exposure(unit: Path) -> float:
    """What systemd itself says, of 10, without a running system."""
    found = analyze("security", "--offline=true", "--no-pager", unit)
    line = next(line for line in found.stdout.splitlines() if "Overall exposure level" in line)
    return float(line.partition(":")[2].split()[0])  # and then a face, in the characters of the locale


def read(unit: Path) -> dict[str, dict[str, list[str]]]:
    """The unit's sections; a setting may stand more than once."""
    sections: dict[str, dict[str, list[str]]] = {}
    here: dict[str, list[str]] = {}
    for line in unit.read_text().splitlines():
        if line.startswith("["):
            here = sections.setdefault(line.strip("[]"), {})
        elif line and not line.startswith("#"):
            name, equals, value = line.partition("=")
            assert equals, f"{unit.name}: {line}"
            here.setdefault(name, []).append(value)
    return sections


def service(unit: Path) -> dict[str, list[str]]:
    return read(unit)["Service"]


@pytest.fixture(params=UNITS, ids=lambda unit: unit.stem)
def unit(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A copy of the unit that starts a program which this machine has."""
    program = tmp_path / "tuoi"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    original: Path = request.param
    copy = tmp_path / original.name
    copy.write_text(
        original.read_text().replace(PROGRAM, str(program)).replace(GUARD.split(maxsplit=1)[0], str(program))
    )
    return copy


def test_there_is_a_unit_for_each_process_and_a_bound_for_each_unit() -> None:
    assert {unit.stem for unit in UNITS} == set(EXPOSURE)


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.stem)
def test_a_unit_starts_a_command_that_exists_and_comes_back_for_ever(unit: Path) -> None:
    settings = service(unit)
    for command in settings["ExecStart"] + settings.get("ExecStopPost", []):
        *program, config_file = command.split()
        config = Path(config_file)
        if unit.stem == "tuoi-guard":
            assert " ".join(program) in {GUARD, f"{GUARD} --all-off"}
        else:
            assert (program[0], program[-1]) == (PROGRAM, "--config")
            assert program[1] in tuoi.COMMANDS
        assert (CONFIGS / config.name).exists(), f"no example for {config.name}"
    assert settings["Restart"] == ["always"]
    assert read(unit)["Unit"]["StartLimitIntervalSec"] == ["0"]
    assert settings["User"] == ["tuoi"]


def test_systemd_itself_finds_no_fault(unit: Path) -> None:
    found = analyze("verify", unit)
    faults = [line for line in found.stderr.splitlines() if unit.name in line]
    assert not faults, faults


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.stem)
def test_every_process_is_watched_and_its_memory_is_bounded(unit: Path) -> None:
    settings = service(unit)
    assert settings["Type"] == ["notify"]
    assert 5 <= int(settings["WatchdogSec"][0]) <= 60
    assert settings["Environment"][-1] == "PYTHONFAULTHANDLER=1"
    assert settings["MemoryMax"]
    assert settings["StateDirectory"] == ["tuoi"]
    if unit.stem != "tuoi-guard":
        assert settings["MemoryHigh"]


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.stem)
def test_nothing_is_allowed_that_need_not_be(unit: Path) -> None:
    settings = service(unit)
    assert {name: settings.get(name) for name in HARDENED} == {name: [value] for name, value in HARDENED.items()}
    assert settings["SystemCallFilter"] == ["@system-service", "~@privileged @resources"]
    internet = [] if unit.stem == "tuoi-guard" else ["AF_INET", "AF_INET6"]
    assert settings["RestrictAddressFamilies"] == [" ".join(["AF_UNIX", *internet])]
    if unit.stem in DEVICES:
        assert settings["DevicePolicy"] == ["closed"]
        assert {device.split()[0] for device in settings["DeviceAllow"]} == DEVICES[unit.stem]
    else:
        assert settings["PrivateDevices"] == ["yes"]


def test_systemd_finds_little_left_to_attack(unit: Path) -> None:
    assert exposure(unit) <= EXPOSURE[unit.stem]


@pytest.mark.parametrize(
    "taken",
    [
        ("CapabilityBoundingSet",),
        ("SystemCallFilter",),
        ("ProtectSystem", "ProtectHome"),
        ("RestrictNamespaces",),
        ("RestrictAddressFamilies",),
        ("NoNewPrivileges", "ProtectKernelTunables", "ProtectKernelModules", "ProtectClock"),
    ],
    ids="-".join,
)
def test_the_bound_is_passed_when_the_hardening_is_taken_away(unit: Path, taken: tuple[str, ...]) -> None:
    kept = [line for line in unit.read_text().splitlines() if line.partition("=")[0] not in taken]
    unit.write_text("\n".join(kept))
    assert exposure(unit) > EXPOSURE[unit.stem]


def test_the_guard_comes_before_the_agent_and_is_not_stopped_with_it() -> None:
    guard, agent = (read(CONFIGS / f"tuoi-{name}.service")["Unit"] for name in ("guard", "agent"))
    assert guard["Before"] == ["tuoi-agent.service"]
    assert agent["After"] == agent["Wants"] == ["tuoi-guard.service"]
    for ties in ("Requires", "BindsTo", "PartOf", "Requisite", "Upholds", "Conflicts", "StopWhenUnneeded"):
        assert ties not in guard
        assert ties not in agent


def test_whatever_ends_the_guard_the_outputs_are_closed_once_more_and_it_starts_again_quickly() -> None:
    settings = service(CONFIGS / "tuoi-guard.service")
    assert settings["ExecStopPost"] == [f"{GUARD} --all-off /etc/tuoi/board.toml"]
    assert float(settings["RestartSec"][0]) <= 1
    assert settings["PrivateNetwork"] == ["yes"]
    assert settings["MemorySwapMax"] == ["0"]


def test_the_agent_reads_its_configuration_again_on_reload() -> None:
    assert service(CONFIGS / "tuoi-agent.service")["ExecReload"] == ["/bin/kill -HUP $MAINPID"]
