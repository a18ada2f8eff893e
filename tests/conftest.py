"""Fixtures of all tiers: a real Postgres, one database for each test from a migrated template, and services."""

import asyncio
import fcntl
import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Coroutine, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import asyncpg
import httpx
import pytest
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings

from faas.bootstrap import open_service
from faas.compile.languages import Compiler
from faas.compile.languages.wasm import WasmCompiler
from faas.compile.languages.wat import WatCompiler
from faas.compile.worker import CompilationWorker
from faas.database.migrations import migrate
from faas.database.pool import Pool, open_pool
from faas.database.postgres.server import EmbeddedPostgres
from faas.engines import EngineCatalogue, EngineStore
from faas.queue import messages
from faas.queue.consumer import Consumer
from faas.queue.listener import Listener
from faas.runtime import Precompiler, Runtime
from faas.settings import Settings
from tests.helpers.databases import DatabaseFactory
from tests.helpers.folders import make_data_folder
from tests.helpers.guests import SMALL_LIMITS
from tests.helpers.support import Platform, core_wat, free_port, replaced_database

TEMPLATE = f"faas_template_{uuid4().hex}"  # parallel test processes may share a server
TESTS = Path(__file__).parent
CONTAINER_IMAGE = "ghcr.io/pgmq/pg18-pgmq:latest"

# Here, because hypothesis loads the profile of --hypothesis-profile before it calls pytest_configure.
hypothesis_settings.register_profile(
    "search", deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture]
)
hypothesis_settings.register_profile("faas", hypothesis_settings.get_profile("search"), derandomize=True)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options that choose the Postgres of the tests."""
    group = parser.getgroup("faas")
    group.addoption(
        "--database",
        choices=["embedded", "url", "testcontainers"],
        default="embedded",
        help="the Postgres of the tests: the embedded one (default), a running one, or a container",
    )
    group.addoption("--database-url", help="with --database=url: a Postgres whose role may create databases")
    group.addoption("--torture-seconds", default="12", help="least duration of the torture test")
    group.addoption("--torture-kills", default="0", help="least number of kills of the torture test")
    group.addoption("--deploys", default="20", help="deploys of the tests of deploys under load; 200 is the full size")
    group.addoption("--calls-per-second", default="100", help="calls of these tests; 500 is the full size")
    group.addoption("--torture-seed", help="seed of the torture test, as an earlier run printed it")
    group.addoption("--database-image", default=CONTAINER_IMAGE, help="with --database=testcontainers: its image")
    group.addoption(
        "--database-network",
        choices=["bridge", "host"],
        default="bridge",
        help="with --database=testcontainers: the container's network; host where Docker has no bridge",
    )


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give each test the marker of its tier: the name of the folder of tests/ that it is in."""
    for item in items:
        item.add_marker(item.path.relative_to(TESTS).parts[0])


class LastAndAlone:
    """Runs the tests that are marked `alone` after all others, and none at the same time in another test process."""

    def __init__(self, run: str) -> None:
        self._path = Path(tempfile.gettempdir()) / f"faas-tests-{run}.lock"
        self._lock = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)

    @pytest.hookimpl(trylast=True)  # after they were shuffled
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Put these tests at the end, in the same order in all test processes."""
        items.sort(key=lambda item: item.get_closest_marker("alone") is not None)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        """Wait for the tests of other processes before a test that is to run alone, and for such a test otherwise."""
        fcntl.flock(self._lock, fcntl.LOCK_EX if item.get_closest_marker("alone") else fcntl.LOCK_SH)
        try:
            return (yield)
        finally:
            fcntl.flock(self._lock, fcntl.LOCK_UN)

    def pytest_unconfigure(self) -> None:
        """Delete the lock."""
        self._path.unlink(missing_ok=True)


@pytest.fixture(scope="session")
def server_url(request: pytest.FixtureRequest) -> Iterator[str]:
    """The Postgres of this test process, chosen by --database."""
    start = {"embedded": _embedded, "url": _given, "testcontainers": _contained}[request.config.getoption("database")]
    with start(request.config) as url:
        _run(_make_template(url))
        yield url
        _run(_drop_template(url))


@contextmanager
def _embedded(_: pytest.Config) -> Iterator[str]:
    folder = make_data_folder("faas-tests-")
    folder.chmod(0o755)
    server = EmbeddedPostgres(folder)
    loop = asyncio.new_event_loop()
    try:
        loop.run_until_complete(server.start())
        try:
            yield server.url
        finally:  # a template that fails must fail the tests: the executor waits for the server
            loop.run_until_complete(server.stop())
    finally:
        loop.run_until_complete(loop.shutdown_default_executor())
        loop.close()
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _given(config: pytest.Config) -> Iterator[str]:
    url = config.getoption("database_url")
    if not url:
        pytest.exit("--database=url needs --database-url=postgresql://… with a role that may create databases", 4)
    yield url


@contextmanager
def _contained(config: pytest.Config) -> Iterator[str]:
    from testcontainers.community.postgres import PostgresContainer

    image, shares_network = config.getoption("database_image"), config.getoption("database_network") == "host"
    password = uuid4().hex
    try:
        container = PostgresContainer(image, username="postgres", password=password, dbname="postgres")
        if shares_network:  # the port is a port of the host, and parallel test processes need different ones
            port = free_port()
            container = container.with_kwargs(network_mode="host").with_env("PGPORT", str(port))
            container.ports.clear()
        container.start()
    except Exception as error:  # noqa: BLE001 - without Docker any exception may occur; one line reports it
        reason = " ".join(str(error).split())[:200]
        pytest.exit(f"--database=testcontainers needs a Docker engine that has or can pull {image}: {reason}", 4)
    try:
        if shares_network:
            yield f"postgresql://postgres:{password}@127.0.0.1:{port}/postgres"
        else:
            yield container.get_connection_url(driver=None)
    finally:
        container.stop()


def _run(work: Coroutine[Any, Any, None]) -> None:
    with asyncio.Runner() as runner:
        runner.run(work)


async def _drop_template(url: str) -> None:
    admin = await asyncpg.connect(replaced_database(url, "postgres"))
    await admin.execute(f"DROP DATABASE IF EXISTS {TEMPLATE} WITH (FORCE)")
    await admin.close()


async def _make_template(url: str) -> None:
    admin = await asyncpg.connect(replaced_database(url, "postgres"))
    await admin.execute(f"CREATE DATABASE {TEMPLATE}")
    await admin.close()
    connection = await asyncpg.connect(replaced_database(url, TEMPLATE))
    try:
        await migrate(connection)
    finally:
        await connection.close()


@pytest.fixture(scope="session")
async def databases(server_url: str) -> AsyncIterator[DatabaseFactory]:
    """Makes the databases of the tests."""
    async with DatabaseFactory(replaced_database(server_url, "postgres"), TEMPLATE) as factory:
        yield factory


@pytest.fixture
async def database_url(databases: DatabaseFactory) -> AsyncIterator[str]:
    """A migrated database for one test."""
    async with databases.database() as url:
        yield url


@pytest.fixture(scope="module")
async def module_database_url(databases: DatabaseFactory) -> AsyncIterator[str]:
    """A migrated database for the tests of one module."""
    async with databases.database() as url:
        yield url


@pytest.fixture
async def empty_database(server_url: str) -> AsyncIterator[str]:
    """An empty database for one test."""
    name = f"test_{uuid4().hex}"
    admin = await asyncpg.connect(replaced_database(server_url, "postgres"))
    await admin.execute(f"CREATE DATABASE {name}")
    yield replaced_database(server_url, name)
    await admin.execute(f"DROP DATABASE {name} WITH (FORCE)")
    await admin.close()


@pytest.fixture
async def pool(database_url: str) -> AsyncIterator[Pool]:
    """A connection pool on the database of the test."""
    async with open_pool(database_url, 8) as opened:
        yield opened


@pytest.fixture(scope="session")
async def runtime() -> AsyncIterator[Runtime]:
    """A runtime with SMALL_LIMITS."""
    # Precompiling yields to everything else: on a busy machine a Go program of 4 MB takes minutes.
    precompiler = Precompiler(stack=SMALL_LIMITS.stack, timeout=600, memory=2 << 30, workers=2)
    async with Runtime(SMALL_LIMITS, precompiler, threads=16, cached_modules=64) as opened:
        yield opened


@pytest.fixture
def settings(database_url: str, tmp_path: Path) -> Settings:
    """Settings of the role api on the database of the test."""
    return _settings_of_the_api(database_url, tmp_path)


@pytest.fixture
async def bare_platform(settings: Settings) -> AsyncIterator[Platform]:
    """A service of the role api in this process, called through ASGI. There is no compiler."""
    async with _serving(settings) as served:
        yield served


@pytest.fixture
async def platform(bare_platform: Platform, settings: Settings) -> AsyncIterator[Platform]:
    """The same with a consumer of compilation jobs for wat and wasm, as another process would be."""
    async with _compiling(bare_platform, settings):
        yield bare_platform


@pytest.fixture(scope="session")
async def _refusing(databases: DatabaseFactory, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Platform]:
    async with databases.database() as url:
        settings = _settings_of_the_api(url, tmp_path_factory.mktemp("refusing"))
        async with _serving(settings) as served, _compiling(served, settings):
            for name in ("echo", "other"):
                await served.deploy(name, core_wat())
            yield served


@pytest.fixture
async def refusing(_refusing: Platform) -> AsyncIterator[Platform]:
    """A service that the tests of a process share because it refuses what they ask. It has the functions echo and other.

    Opening one takes half a second of a processor. The test fails where it leaves something.
    """
    yield _refusing
    tables = ("functions", "revisions", "executions", "secrets", "tokens", "pgmq.q_compilation_jobs")
    left = {table: await _refusing.pool.fetchval(f"SELECT count(*) FROM {table}") for table in tables}
    assert left == {**dict.fromkeys(tables, 0), "functions": 2, "revisions": 2}


def _settings_of_the_api(url: str, data_dir: Path) -> Settings:
    return Settings(database_url=url, data_dir=data_dir, role="api", time_limit=1.0, poll_interval=60, database_pool=8)


@asynccontextmanager
async def _serving(settings: Settings) -> AsyncIterator[Platform]:
    async with AsyncExitStack() as stack:
        service = await stack.enter_async_context(open_service(settings))
        pool = await stack.enter_async_context(open_pool(service.database_url, 4))
        transport = httpx.ASGITransport(service.application)  # type: ignore[arg-type]
        http = await stack.enter_async_context(httpx.AsyncClient(transport=transport, base_url="http://localhost"))
        yield Platform(http, pool, service.runtime)


@asynccontextmanager
async def _compiling(served: Platform, settings: Settings) -> AsyncIterator[None]:
    assert settings.database_url
    listener = Listener(settings.database_url, [messages.COMPILATION_JOBS])
    compilers: dict[str, Compiler] = {"wat": WatCompiler(served.runtime), "wasm": WasmCompiler(served.runtime)}
    engines = EngineStore(served.pool, EngineCatalogue())
    handler = CompilationWorker(served.pool, served.runtime, engines, compilers, settings.compile_output_limit)
    consumer = Consumer(
        served.pool,
        messages.COMPILATION_JOBS,
        handler,
        listener.event(messages.COMPILATION_JOBS),
        concurrency=2,
        visibility_timeout=15,
        poll_interval=60,
    )
    tasks = [asyncio.create_task(listener.run()), asyncio.create_task(consumer.run())]
    yield
    consumer.cancel()
    tasks[0].cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def pytest_sessionstart(session: pytest.Session) -> None:
    """Report a missing Docker once, in one line. The worker processes of pytest-xdist cannot exit with a message."""
    if session.config.getoption("database") == "testcontainers" and not hasattr(session.config, "workerinput"):
        import docker  # type: ignore[import-untyped]

        try:
            docker.from_env(timeout=10).ping()
        except docker.errors.DockerException as error:
            reason = " ".join(str(error).split())[:200]
            pytest.exit(f"--database=testcontainers needs a Docker engine that answers: {reason}", 4)


def pytest_configure(config: pytest.Config) -> None:
    """Remove the developer's FAAS_… variables, and the deadlines of property tests, which a busy machine exceeds.

    Property tests have the same examples in each run, whose verdict is no chance; `--hypothesis-profile=search` has
    others each time. Where there are several test processes, some tests run alone.
    """
    if run := os.environ.get("PYTEST_XDIST_TESTRUNUID"):
        config.pluginmanager.register(LastAndAlone(run))
    for name in [name for name in os.environ if name.startswith("FAAS_")]:
        del os.environ[name]
    hypothesis_settings.load_profile(config.getoption("--hypothesis-profile") or "faas")
