"""The configuration files of the demo's processes, written anew at every start."""

import json
from datetime import datetime
from pathlib import Path
from typing import Any

from contract.settings import load_toml
from edge.config import SoilPart
from firmware_sim.demo.places import Places
from firmware_sim.layout import (
    BATTERY_ADC,
    PULSES_PER_LITRE,
    RAIN_GPIO,
    THERMOMETER_ADC,
    Wired,
    field_settings,
    has_weather,
    wire,
)
from firmware_sim.settings import FieldSettings, ProbePart
from irrigation.model import Farm
from server.farms import FarmFile

EXAMPLES = Path(__file__).parents[2] / "configs"

ORDER_LIFE_S = 90.0
"""An order to water that no board has answered by then is void everywhere."""


def farm_file() -> Path:
    """The farm that the demo shows."""
    return EXAMPLES / "farm.toml"


def read_farm(path: Path, since: datetime) -> Farm:
    """Return a farm file as the planner knows it, its programs made at `since`."""
    file = load_toml(path, FarmFile)
    programs = tuple(program.program(program.id, since) for program in file.programs)
    return file.farm(programs)


def write_all(
    places: Places,
    farm: Farm,
    *,
    speed: float,
    http: tuple[str, int],
    mqtt: dict[str, Any],
    order_life_s: float = ORDER_LIFE_S,
) -> None:
    """Write the files of field, boards, gateway and server."""
    settings = field_settings(farm, socket=places.field_socket, state=places.field_state, speed=speed)
    write_toml(places.config("field"), settings.model_dump(mode="json", exclude_none=True))
    report_every_s = load_toml(farm_file(), FarmFile).report_every_s
    for node_id, wired in wire(farm).items():
        board = _board(places, farm, node_id, wired) | {"report_every_s": report_every_s, "mqtt": mqtt}
        if speed > 1:  # then soil changes as many times faster than any soil does
            usual = SoilPart()
            board["soil"] = {"rise_pct_h": usual.rise_pct_h * speed, "fall_pct_h": usual.fall_pct_h * speed}
        write_toml(places.config(node_id), board)
    write_toml(places.config("gateway"), {"farm_id": farm.id, "data_dir": str(places.data / "gateway"), "mqtt": mqtt})
    host, port = http
    write_toml(
        places.config("server"),
        {
            "order_life_s": order_life_s,
            "http": {"host": host, "port": port},
            "broker": mqtt,
            "ledger": {"url": f"sqlite:///{places.server / 'ledger.db'}"},
            "series": {"kind": "sqlite", "path": str(places.server / "series.db")},
        },
    )


def read_field(places: Places) -> FieldSettings:
    """Return the field's settings as they were written."""
    return load_toml(places.config("field"), FieldSettings)


def _board(places: Places, farm: Farm, node_id: str, wired: tuple[Wired, ...]) -> dict[str, Any]:
    probe = ProbePart(adc=0, zone="any")
    points = sorted([[probe.wet_v / 3.3, probe.wet_pct], [probe.dry_v / 3.3, probe.dry_pct]])
    board: dict[str, Any] = {
        "farm_id": farm.id,
        "node_id": node_id,
        "state_dir": str(places.data / node_id),
        "gpio": {"factory": "sim"},
        "valve": [
            {"channel": one.zone.channel, "pin": one.valve_gpio, "max_open_s": one.zone.max_run_s}
            | ({"meter": {"pin": one.meter_gpio, "pulses_per_litre": PULSES_PER_LITRE}} if one.meter_gpio else {})
            for one in wired
        ],
        "probe": [{"sensor": sensor, "adc": adc, "points": points} for one in wired for sensor, adc, _ in one.probes],
        "battery": {"adc": BATTERY_ADC, "divider": 5.0},
    }
    if has_weather(farm, node_id):
        board |= {"thermometer": {"adc": THERMOMETER_ADC}, "rain_gauge": {"pin": RAIN_GPIO, "mm_per_tip": 0.2}}
    return board


def write_toml(path: Path, table: dict[str, Any]) -> None:
    """Write a table of plain values, lists and tables as TOML: every value of it is written as JSON is, inline."""
    path.write_text("".join(f"{key} = {_inline(value)}\n" for key, value in table.items()), encoding="utf-8")


def _inline(value: Any) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key} = {_inline(inner)}" for key, inner in value.items()) + " }"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_inline(inner) for inner in value) + "]"
    return json.dumps(value)
