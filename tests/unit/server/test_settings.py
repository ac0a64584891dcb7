"""The server's configuration, its commands, and its words."""

import re
from pathlib import Path

import pytest

from contract.errors import ConfigError
from server.api.problems import STATUS
from server.cli import main
from server.settings import SqliteSeriesSettings, load_settings, read_secret
from server.words import LANGUAGES, choose, say, words

EXAMPLE = Path(__file__).parents[3] / "configs" / "server.toml"


def test_the_example_loads_and_says_what_is_usual_anyway(tmp_path: Path) -> None:
    settings = load_settings(EXAMPLE)
    assert settings.ledger.url == f"sqlite:///{EXAMPLE.parent / 'data' / 'ledger.db'}"
    assert isinstance(settings.series, SqliteSeriesSettings)
    assert settings.series.path == EXAMPLE.parent / "data" / "series.db"
    (tmp_path / "empty.toml").write_text("")
    empty = load_settings(tmp_path / "empty.toml")
    assert (settings.http, settings.broker, settings.order_life_s) == (empty.http, empty.broker, empty.order_life_s)


def test_the_examples_commented_out_influx_loads_too(tmp_path: Path) -> None:
    head, influx = EXAMPLE.read_text().split("# [series]  ")
    uncommented = "[series]  " + re.sub(r"(?m)^# ", "", influx)
    file = tmp_path / "server.toml"
    file.write_text(head.split("[series]")[0] + uncommented)
    settings = load_settings(file)
    assert settings.series.kind == "influx"
    assert settings.series.token_file == tmp_path / "secrets" / "influx-token"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[http]\nport = 70000", "http.port"),
        ('[http]\nport = "8080"\nhots = "x"', "http.hots"),
        ("order_life_s = nan", "order_life_s"),
        ("order_life_s = 301", "order_life_s"),
        ('[series]\nkind = "csv"', "series"),
        ('[series]\nkind = "influx"\nurl = "ftp://x"\ntoken_file = "t"', "series.influx.url"),
        ('[broker]\npassword = "secret"', "broker.password"),
        ("colour = 1", "colour"),
        ("[http", "not TOML"),
    ],
)
def test_a_bad_setting_is_refused_with_one_sentence_and_code_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, says: str
) -> None:
    file = tmp_path / "server.toml"
    file.write_text(text)
    assert main(["--config", str(file)]) == 2
    said = capsys.readouterr().err.strip()
    assert says in said
    assert str(file) in said
    assert len(said.splitlines()) == 1


def test_a_secret_must_be_there_and_not_the_examples(tmp_path: Path) -> None:
    file = tmp_path / "token"
    for text, says in ((None, "cannot be read"), ("", "is empty"), ("change-me\n", "example's secret")):
        if text is not None:
            file.write_text(text)
        with pytest.raises(ConfigError, match=says):
            read_secret(file, "series.token_file")
    file.write_text("  mine  \n")
    assert read_secret(file, "series.token_file") == "mine"


def test_a_farm_and_a_person_are_added_by_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = tmp_path / "server.toml"
    config.write_text("")
    password = tmp_path / "password"
    password.write_text("mat-khau-du-dai\n")
    person = ["add-account", "--config", str(config), "mai", "--role", "farmer", "--password-file", str(password)]
    assert main([*person, "--farm", "mai"]) == 2
    assert "there is no farm 'mai'" in capsys.readouterr().err
    assert main(["load-farm", "--config", str(config), str(EXAMPLE.parent / "farm.toml")]) == 0
    assert main([*person, "--farm", "mai"]) == 0
    assert capsys.readouterr().out.splitlines() == ["farm mai is set up", "farmer mai may sign in"]
    password.write_text("short")
    assert main([*person, "--farm", "mai"]) == 2
    password.unlink()
    assert main([*person, "--farm", "mai"]) == 2


@pytest.mark.parametrize("act", [[], ["load-farm"], ["add-account"]])
def test_help_teaches(act: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main([*act, "--help"])
    assert end.value.code == 0
    assert "--config" in capsys.readouterr().out


def test_all_languages_have_the_same_words_with_the_same_numbers_in_them() -> None:
    for language in LANGUAGES:
        assert words(language).keys() == words("vi").keys()
        for key, text in words(language).items():
            assert set(re.findall(r"\{(\w+)\}", text)) == set(re.findall(r"\{(\w+)\}", words("vi")[key])), key
            assert text.strip()


def test_every_problem_has_a_title_and_a_sentence() -> None:
    known = {key.removesuffix(".title") for key in words("vi") if not key.startswith(("why.", "told.", "rule."))}
    assert known == set(STATUS)


def test_a_sentence_shows_its_numbers_as_people_write_them() -> None:
    assert "60 phút" in say("vi", "dose-above-cap", {"max_minutes": 60.0})
    assert say("en", "nothing-of-that-name", {}) == "nothing-of-that-name"
    assert say("en", "bad-field", {"field": "x", "why": "why.missing"}) == "x: it is missing."


@pytest.mark.parametrize(
    ("header", "language"),
    [("", "vi"), ("en", "en"), ("fr-FR,fr;q=0.9,en;q=0.8", "fr"), ("de, en;q=0.1, fr;q=0.2", "fr"), ("en;q=x", "vi"),
     ("en;q=0", "vi"), ("*" * 500, "vi")],
)  # fmt: skip
def test_the_language_is_the_one_that_the_browser_likes_best(header: str, language: str) -> None:
    assert choose(header) == language
