"""The server's composition root: which parts there are, and the tasks that run."""

import asyncio
import contextlib
import logging
import signal
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

import uvicorn
from argon2 import PasswordHasher
from fastapi import FastAPI
from sqlalchemy import make_url

from contract.link import Incoming, Link, LinkSettings
from contract.topics import gateways_up_filter
from server.accounts import Doorkeeper
from server.api.pages import Bundle
from server.api.site import site
from server.gateways import Gateways, Sends
from server.history import History
from server.households import Households
from server.ingest import Ingest
from server.ledger.database import Ledger
from server.live import Live
from server.metrics import Metrics
from server.planning import Planning
from server.queueing import Queueing
from server.resets import Resets
from server.series.port import Series
from server.series.sqlite import SqliteSeries
from server.services import Services
from server.settings import LedgerSettings, ServerSettings, SqliteSeriesSettings, read_secret
from server.turns import Turns
from server.watering import Watering

log = logging.getLogger(__name__)

WEB = Path(__file__).parent / "web" / "dist"
_GRACE_S = 2


class RunsAndSends(Sends, Protocol):
    """A link."""

    async def run(self) -> None:
        """Keep the connection up."""
        ...


class MakeLink(Protocol):
    """How a link is made; `contract.link.Link` is one."""

    def __call__(
        self,
        settings: LinkSettings,
        *,
        client_id: str,
        subscriptions: Sequence[str],
        on_message: Callable[[Incoming], Awaitable[None]],
        on_connect: Callable[[], Awaitable[None]],
    ) -> RunsAndSends:
        """Make one that calls those."""
        ...


@dataclass(frozen=True, slots=True)
class App:
    """A server, not yet running. `ingest` works at once; `site` too, for whoever calls it in process."""

    settings: ServerSettings
    services: Services
    link: RunsAndSends
    site: FastAPI

    @property
    def ingest(self) -> Ingest:
        """What stores batches, for whoever seeds history."""
        return self.services.ingest

    async def run(self, ready: Callable[[int], None] = lambda _port: None) -> None:
        """Serve until SIGTERM or SIGINT; `ready` is told the port."""
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)
        try:
            await self.serve(stop, ready)
        finally:
            for number in (signal.SIGTERM, signal.SIGINT):
                loop.remove_signal_handler(number)

    async def serve(self, stop: asyncio.Event, ready: Callable[[int], None] = lambda _port: None) -> None:
        """Serve until `stop` is set."""
        made = self.services
        await made.live.warm(made.series)
        web = _Web(self._web_config())
        async with asyncio.TaskGroup() as tasks:
            own = [
                tasks.create_task(work, name=f"server {name}")
                for name, work in (
                    ("link", self.link.run()),
                    ("acks", made.gateways.send_acks()),
                    ("last words", made.gateways.keep_said()),
                    ("live", made.live.run()),
                    ("orders", made.watering.run()),
                    ("stops", made.watering.resend()),
                    ("series", made.series.run()),
                )
            ]
            serving = tasks.create_task(web.serve(), name="server http")
            tasks.create_task(web.announce(ready, serving), name="server announce")
            stopping = asyncio.ensure_future(stop.wait())
            await asyncio.wait((stopping, serving), return_when=asyncio.FIRST_COMPLETED)
            stopping.cancel()
            made.live.close()
            web.should_exit = True
            await asyncio.wait((serving,))
            for task in own:
                task.cancel()
        made.gateways.write_said()

    def close(self) -> None:
        """Give files and connections back."""
        self.services.series.close()
        self.services.ledger.close()

    def _web_config(self) -> uvicorn.Config:
        http = self.settings.http
        return uvicorn.Config(
            self.site, host=http.host, port=http.port, log_config=None, access_log=False, server_header=False,
            lifespan="off", loop="none", ws="none", timeout_graceful_shutdown=_GRACE_S,
            proxy_headers=http.behind_proxy, forwarded_allow_ips="127.0.0.1,::1",
        )  # fmt: skip


class _Web(uvicorn.Server):
    """uvicorn inside our TaskGroup: signals are ours."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals alone."""
        yield

    async def announce(self, ready: Callable[[int], None], serving: "asyncio.Task[None]") -> None:
        """Say the port once it listens."""
        while not self.started and not serving.done():  # noqa: ASYNC110 - uvicorn has no event for it
            await asyncio.sleep(0.01)
        if self.started:
            port: int = self.servers[0].sockets[0].getsockname()[1]
            log.info("serving host=%s port=%d", self.config.host, port)
            ready(port)


def bootstrap(
    settings: ServerSettings,
    *,
    make_link: MakeLink = Link,
    now: Callable[[], datetime] | None = None,
    at_s: Callable[[], float] = time.monotonic,
    hasher: PasswordHasher | None = None,
    web: Path = WEB,
) -> App:
    """Make a server: ledger migrated, farms in memory, nothing running. Raise ConfigError or Unavailable."""
    clock = now or (lambda: datetime.now(UTC))
    ledger = open_ledger(settings.ledger)
    series = open_series(settings, clock)
    live = Live(clock)
    live.build(ledger, series)
    ingest = Ingest(ledger, series, live)
    gateways = Gateways(ledger, live, ingest, clock)
    watering = Watering(
        ledger, live, gateways, clock, order_life_s=settings.order_life_s, offline_after_s=settings.offline_after_s
    )
    turns = Turns(ledger, gateways, clock)
    services = Services(
        now=clock, ledger=ledger, series=series, live=live, ingest=ingest, gateways=gateways, watering=watering,
        queueing=Queueing(ledger, live, gateways, watering, clock),
        resets=Resets(ledger, live, gateways, clock),
        planning=Planning(ledger, gateways, clock), turns=turns,
        households=Households(ledger, gateways, turns, clock),
        history=History(ledger, series, clock),
        doorkeeper=Doorkeeper(ledger, clock, at_s, hasher), metrics=Metrics(),
        secure_cookie=settings.http.secure_cookie,
    )  # fmt: skip
    link = make_link(
        settings.broker, client_id=settings.client_id, subscriptions=[gateways_up_filter()],
        on_message=gateways.on_message, on_connect=gateways.on_connect,
    )  # fmt: skip
    gateways.use(link)
    return App(settings, services, link, site(services, Bundle(web)))


def open_ledger(settings: LedgerSettings) -> Ledger:
    """The ledger, with its schema up to date."""
    url = settings.url
    if settings.password_file is not None:
        secret = read_secret(settings.password_file, "ledger.password_file")
        url = make_url(url).set(password=secret).render_as_string(hide_password=False)
    ledger = Ledger(url)
    ledger.migrate()
    return ledger


def open_series(settings: ServerSettings, now: Callable[[], datetime]) -> Series:
    """The series that the settings name."""
    chosen = settings.series
    if isinstance(chosen, SqliteSeriesSettings):
        return SqliteSeries(chosen.path, now, raw_days=chosen.raw_days, minute_days=chosen.minute_days)
    from server.series.influx import InfluxSeries  # its client is half of the server's start-up

    return InfluxSeries(chosen, read_secret(chosen.token_file, "series.token_file"))
