"""Fixtures that every test may use, and the rules that every test keeps.

    free_port        a port nobody listens on
    processes        start programs; they are ended and reaped after the test
    mosquitto        a real broker of this test alone: .port .log .kill() .stop() .start() .restart()
    shared_mosquitto the same, one for the whole session: use your own farm id, do not stop it
    start_mosquitto  makes brokers with extra configuration lines
    influx           a real InfluxDB: .url .token .org .bucket (new for each test) .query() .stop() .start()
    postgres_url     the address of an empty database in a real PostgreSQL
    chromium         the path of a real browser

Unit tests reach no network unless marked; a test fails when it leaves an asyncio task behind; with CI set, a session in
which anything was skipped fails.
"""

import os
import shutil
import signal
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.fixtures import network, tasks
from tests.fixtures.influx import Influx
from tests.fixtures.mosquitto import Mosquitto
from tests.fixtures.postgres import Postgres
from tests.fixtures.processes import Processes
from tests.fixtures.processes import free_port as find_free_port

_UNIT = Path(__file__).parent / "unit"
_PI = Path(__file__).parent / "pi"
LONG_S = 300  # a test that is given so long

tasks.watch()
# How long an example takes is no property of the code: a machine that does other things too is slow.
settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True)
settings.load_profile("any machine")
# What a shell starts in the background ignores Ctrl-C, and so would every program that a test starts and interrupts.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# --- what tests may use ---------------------------------------------------------------------------------------------


@pytest.fixture
def free_port() -> int:
    """A TCP port of 127.0.0.1 that nobody listens on now."""
    return find_free_port()


@pytest.fixture
def processes() -> Iterator[Processes]:
    """Start programs with `.start(*argv)`; they are ended and reaped after the test."""
    started = Processes()
    yield started
    started.reap()


@pytest.fixture
def start_mosquitto(tmp_path: Path) -> Iterator[Callable[..., Mosquitto]]:
    """Make a broker: `start_mosquitto(extra="max_packet_size 2000")`."""
    brokers: list[Mosquitto] = []
    number = count()

    def start(*, extra: str = "", anonymous: bool = True) -> Mosquitto:
        broker = Mosquitto(tmp_path / f"mosquitto-{next(number)}", extra=extra, anonymous=anonymous)
        brokers.append(broker)
        return broker

    yield start
    for broker in brokers:
        broker.close()


@pytest.fixture
def mosquitto(start_mosquitto: Callable[..., Mosquitto]) -> Mosquitto:
    """A broker of this test alone: it may be killed."""
    return start_mosquitto()


@pytest.fixture(scope="session")
def shared_mosquitto(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mosquitto]:
    """One broker for the whole session: for tests that only speak through it, each in a farm of its own."""
    broker = Mosquitto(tmp_path_factory.mktemp("mosquitto"))
    yield broker
    broker.close()


@pytest.fixture(scope="session")
def _influx_of_the_session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Influx]:
    engine = Influx(tmp_path_factory.mktemp("influx"))
    yield engine
    engine.stop()


_buckets = count(1)


@pytest.fixture
def influx(_influx_of_the_session: Influx) -> Iterator[Influx]:
    """A real InfluxDB with an empty bucket of this test's own."""
    engine = _influx_of_the_session
    engine.start()
    engine.bucket = f"test-{next(_buckets)}"
    engine.create(engine.bucket)
    yield engine
    engine.start()  # a test may have taken it away


@pytest.fixture(scope="session")
def _postgres_of_the_session() -> Iterator[Postgres]:
    cluster = Postgres()
    yield cluster
    cluster.end()


@pytest.fixture
def postgres_url(_postgres_of_the_session: Postgres) -> str:
    """An empty database of this test's own, as SQLAlchemy's address."""
    return _postgres_of_the_session.database()


@pytest.fixture(scope="session")
def chromium() -> str:
    """The path of a Chromium that Playwright can drive."""
    found = shutil.which("chromium") or shutil.which("chromium-browser")
    assert found is not None, "chromium is not installed; `make test` installs it"
    return found


# --- what is collected ----------------------------------------------------------------------------------------------


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave the emulated board to `make test-pi`, which names its folder; None = as pytest has it."""
    named = any(Path(arg.partition("::")[0]).resolve().is_relative_to(_PI) for arg in config.args)
    return True if collection_path == _PI and not named else None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the laws that take minutes: begun last, one of them would run on when all else is done."""
    items.sort(key=lambda item: not any(mark.args[0] >= LONG_S for mark in item.iter_markers("timeout")))


# --- what tests must keep -------------------------------------------------------------------------------------------


@pytest.fixture(autouse=True)
def _no_network(request: pytest.FixtureRequest) -> Iterator[None]:
    if not request.path.is_relative_to(_UNIT) or any(map(request.node.get_closest_marker, ("uses_broker", "real"))):
        yield
        return
    with pytest.MonkeyPatch.context() as patch:
        network.block(patch)
        yield


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_teardown(item: pytest.Item) -> Iterator[None]:
    try:
        yield
    finally:
        left = tasks.left_behind()
    if left:
        pytest.fail(f"{item.name} left tasks behind:\n  " + "\n  ".join(left), pytrace=False)


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    skipped = len(reporter.stats.get("skipped", [])) if reporter is not None else 0
    if reporter is not None and skipped and os.environ.get("CI"):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
        reporter.write_line(
            f"CI runs with nothing missing, but {skipped} tests were skipped: this session fails", red=True
        )
