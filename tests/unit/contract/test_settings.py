"""A configuration file is read once, and its faults are said in one sentence."""

from datetime import date, time
from pathlib import Path

import pytest
from pydantic import BaseModel, ConfigDict

from contract.errors import ConfigError
from contract.link import LinkSettings
from contract.settings import load_toml
from irrigation.model import Farm


class Pump(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    name: str
    flow_l_min: float
    starts: tuple[time, ...] = ()
    since: date | None = None
    link: LinkSettings = LinkSettings()


def load(tmp_path: Path, text: str | bytes) -> Pump:
    path = tmp_path / "pump.toml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return load_toml(path, Pump)


def test_a_strict_model_takes_what_toml_has(tmp_path: Path) -> None:
    pump = load(
        tmp_path,
        'name = "Bơm"\nflow_l_min = 30\nstarts = [05:30:00, 17:00:00]\nsince = 2026-11-01\n[link]\nport = 1884',
    )
    assert pump == Pump(
        name="Bơm",
        flow_l_min=30.0,
        starts=(time(5, 30), time(17)),
        since=date(2026, 11, 1),
        link=LinkSettings(port=1884),
    )


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ('name = "a"', "flow_l_min: Field required"),
        ('name = "a"\nflow_l_min = 1\ncolour = "red"', "colour: Extra inputs are not permitted (got 'red')"),
        ('name = "a"\nflow_l_min = 1\n[link]\nprot = 1', "link.prot: Extra inputs are not permitted (got 1)"),
        ('name = "a"\nflow_l_min = "30"', "flow_l_min: Input should be a valid number (got '30')"),
        ('name = "a"\nflow_l_min = nan', "flow_l_min: a finite number is needed (got nan)"),
        ('name = "a"\nflow_l_min = inf', "flow_l_min: a finite number is needed (got inf)"),
        ('name = "a"\nflow_l_min = 1\nstarts = [nan]', "starts.0: a finite number is needed (got nan)"),
        ('name = "a"\nflow_l_min = 1\nstarts = [{a = nan}]', "starts.0.a: a finite number is needed (got nan)"),
        ('name = "a"\nname = "b"', "is not TOML"),
        (b"name = '\xff'", "is not UTF-8 text: byte 8 is 0xff"),
        ('name = "a"\nflow_l_min = 1\n[link]\nport = 70000', "link.port: Input should be less than or equal to 65535"),
        ('name = "a"\nflow_l_min = 1\n[link]\ncert_file = "a"', "link: cert_file and key_file go together"),
    ],
)
def test_a_fault_names_the_file_the_field_and_what_stands_there(
    tmp_path: Path, text: str | bytes, sentence: str
) -> None:
    with pytest.raises(ConfigError) as fault:
        load(tmp_path, text)
    assert str(fault.value).startswith(f"{tmp_path / 'pump.toml'}: ")
    assert sentence in str(fault.value)


def test_a_missing_file_is_a_configuration_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"none\.toml: cannot be read: No such file"):
        load_toml(tmp_path / "none.toml", Pump)


def test_a_farm_is_loaded_by_the_same_words_as_on_the_wire(tmp_path: Path) -> None:
    path = tmp_path / "farm.toml"
    path.write_text(
        'id = "mai"\nname = "Mai Sơn"\ntz = "Asia/Ho_Chi_Minh"\nlat = 21.2\nlon = 104.1\nzones = []\n'
        '[[sources]]\nid = "tank"\nname = "Bể"\ncapacity_l_min = 30\n'
    )
    assert load_toml(path, Farm).source("tank").capacity_l_min == 30
    path.write_text(path.read_text() + "depth_m = 2\n")
    with pytest.raises(ConfigError, match=r"sources\.0\.depth_m"):
        load_toml(path, Farm)


def test_half_a_tls_configuration_is_refused() -> None:
    with pytest.raises(ValueError, match="go together"):
        LinkSettings(ca_file=Path("ca"), cert_file=Path("cert"))
    with pytest.raises(ValueError, match="needs ca_file"):
        LinkSettings(cert_file=Path("cert"), key_file=Path("key"))
    with pytest.raises(ValueError, match="needs username"):
        LinkSettings(password_file=Path("password"))
