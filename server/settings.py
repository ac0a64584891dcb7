"""The server's configuration: one file, read once. Paths in it are relative to the file."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from contract.errors import ConfigError
from contract.link import LinkSettings
from contract.settings import load_toml

EXAMPLE_SECRET = "change-me"  # noqa: S105 - this is the one that is refused


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class HttpSettings(_Section):
    """Where the app and the API are."""

    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65_535)] = 8080
    """0 = any free port, which the log names."""
    secure_cookie: bool = False
    """True behind HTTPS: the session's cookie then travels encrypted only."""
    behind_proxy: bool = False
    """True where a proxy on this machine sets X-Forwarded-For; the back-off then counts the phones' own addresses."""


class LedgerSettings(_Section):
    """Where accounts, farms, runs and decisions are."""

    url: str = "sqlite:///ledger.db"
    """SQLAlchemy's: sqlite:///PATH, or postgresql+psycopg://USER@HOST/NAME."""
    password_file: Path | None = None
    """PostgreSQL's password; never in the URL."""


class SqliteSeriesSettings(_Section):
    """Readings in a SQLite file."""

    kind: Literal["sqlite"] = "sqlite"
    path: Path = Path("series.db")
    raw_days: Annotated[float, Field(gt=0, le=36_500)] = 90
    minute_days: Annotated[float, Field(gt=0, le=36_500)] = 730


class InfluxSettings(_Section):
    """Readings in InfluxDB, by way of a queue of our own."""

    kind: Literal["influx"]
    url: Annotated[str, Field(pattern=r"^https?://[^\s]+$")]
    org: str = "tuoi"
    bucket: str = "tuoi"
    """The database of the same name in 1.8."""
    token_file: Path
    queue: Path = Path("series-queue.db")


class ServerSettings(_Section):
    """The whole file."""

    http: HttpSettings = HttpSettings()
    broker: LinkSettings = LinkSettings()
    ledger: LedgerSettings = LedgerSettings()
    series: Annotated[SqliteSeriesSettings | InfluxSettings, Field(discriminator="kind")] = SqliteSeriesSettings()
    client_id: Annotated[str, Field(min_length=1, max_length=64)] = "server"
    order_life_s: Annotated[float, Field(ge=5, le=300)] = 90
    """An order to water that nobody has answered by then is void everywhere."""
    offline_after_s: Annotated[float, Field(ge=5, le=86_400)] = 120
    """Silence of a board or gateway that raises an alert."""


def load_settings(path: Path) -> ServerSettings:
    """Read the file; raise ConfigError with a sentence that names the file and the field."""
    settings = load_toml(path, ServerSettings)
    here = path.parent.resolve()
    url = settings.ledger.url
    if url.startswith("sqlite:///") and not url.startswith("sqlite:////"):
        url = f"sqlite:///{here / url.removeprefix('sqlite:///')}"
    series = settings.series
    changes = {name: here / getattr(series, name) for name in ("path", "queue", "token_file") if hasattr(series, name)}
    files = ("password_file", "ca_file", "cert_file", "key_file")
    broker = {name: here / getattr(settings.broker, name) for name in files if getattr(settings.broker, name)}
    ledger: dict[str, object] = {"url": url}
    if settings.ledger.password_file is not None:
        ledger["password_file"] = here / settings.ledger.password_file
    return settings.model_copy(update={
        "ledger": settings.ledger.model_copy(update=ledger),
        "series": series.model_copy(update=changes),
        "broker": settings.broker.model_copy(update=broker),
    })  # fmt: skip


def read_secret(path: Path, what: str) -> str:
    """The secret in a file; raise ConfigError when there is none, or it is the example's."""
    try:
        secret = path.read_text(encoding="utf-8").strip()
    except OSError as exc:
        raise ConfigError(f"{what}: {path} cannot be read: {exc.strerror}") from None
    if not secret:
        raise ConfigError(f"{what}: {path} is empty")
    if secret.lower().startswith(EXAMPLE_SECRET):
        raise ConfigError(f"{what}: {path} still holds the example's secret; put one of your own there")
    return secret
