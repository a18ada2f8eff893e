"""`faas pipeline` and `faas mock-foundry` as commands: processes, messages, exit codes, signals."""

import csv
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
import structlog

from faas.cli import main
from faas.compute_module.foundry.http_client import RETRY_PAUSES_SECONDS
from tests.helpers.compute_module.fake_gemini import FakeGemini, person
from tests.helpers.compute_module.foundry_world import IN, OUT
from tests.helpers.compute_module.served import served

TOKEN = "s3cret-bearer-token"
FAAS = [sys.executable, "-m", "faas"]


def faas(*arguments: str, environ: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*FAAS, *arguments], env=clean(environ), capture_output=True, text=True, timeout=60, check=False
    )


Here = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def faas_here(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Here]:
    """Run `faas` in this process, half a second faster than in a new one; for commands that end by themselves."""

    def run(*arguments: str, environ: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
        for name in set(os.environ) - {"PATH"}:
            monkeypatch.delenv(name)
        for name, value in (environ or {}).items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr(sys, "argv", ["faas", *arguments])
        capsys.readouterr()
        with pytest.raises(SystemExit) as end:
            main()
        output, errors = capsys.readouterr()
        return subprocess.CompletedProcess(arguments, int(end.value.code or 0), output, errors)

    yield run
    structlog.reset_defaults()


def clean(environ: dict[str, str] | None) -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "LANG": "C.UTF-8", **(environ or {})}


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    """A Foundry environment without the URL."""
    (tmp_path / "token").write_text(TOKEN)
    (tmp_path / "aliases").write_text(json.dumps({"input": {"rid": IN, "branch": None}, "output": {"rid": OUT}}))
    return {"BUILD2_TOKEN": str(tmp_path / "token"), "RESOURCE_ALIAS_MAP": str(tmp_path / "aliases")}


@contextmanager
def started(*arguments: str, environ: dict[str, str] | None = None) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [*FAAS, *arguments], env=clean(environ), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


@contextmanager
def mock_foundry(folder: Path, *arguments: str) -> Iterator[tuple[str, list[str]]]:
    """Start `faas mock-foundry`; yields its URL and the lines that it printed."""
    (folder / "inputs").mkdir(exist_ok=True)
    (folder / "inputs" / f"{IN}.csv").write_text("id,email\n1,a@x.io\n2,\n3,b@x.io\n")
    options = ["--addr", "127.0.0.1:0", "--input-dir", str(folder / "inputs"), "--upload-dir", str(folder / "uploads")]
    with started("mock-foundry", *options, *arguments) as process:
        assert process.stdout
        lines = [process.stdout.readline().rstrip()]
        while not lines[-1].startswith(("no streams", f"  {OUT}")):
            lines.append(process.stdout.readline().rstrip())
            assert lines[-1], process.stderr and process.stderr.read()
        yield lines[0].removeprefix("mock Foundry on "), lines
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0


def one_red_line(result: subprocess.CompletedProcess[str], code: int) -> str:
    """Return the last line of standard error, after a check of the exit code and for tracebacks and the token."""
    assert result.returncode == code, result.stderr
    assert "Traceback" not in result.stderr
    assert TOKEN not in result.stderr + result.stdout
    last = result.stderr.strip().splitlines()[-1]
    assert last.startswith("faas: ")
    return last


# --- local ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", [["pipeline"], ["pipeline", "local"], ["pipeline", "foundry"], ["mock-foundry"]])
def test_help_needs_no_environment(faas_here: Here, command: list[str]) -> None:
    result = faas_here(*command, "--help")
    assert result.returncode == 0
    assert result.stdout.startswith("Usage: faas ")


def test_pipeline_local_prints_its_counts_and_output(tmp_path: Path) -> None:
    (tmp_path / "in.csv").write_text("email\na@x.io\nb@x.io\na@x.io\n")
    result = faas(
        "pipeline", "local", "--input", str(tmp_path / "in.csv"), "--output", str(tmp_path / "out.csv"),
        "--enricher", "static",
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    assert re.fullmatch(
        r"rows=3 unique=2 cached=0 ok=2 error=0 seconds=\d+\.\d\nwritten: 3 rows to .*out\.csv\n", result.stdout
    )
    assert len((tmp_path / "out.csv").read_text().splitlines()) == 4


@pytest.mark.parametrize(
    ("arguments", "environ", "code", "message"),
    [
        (["--enricher", "static", "--workers", "none"], {}, 2, "--workers='none': a whole number"),
        (["--enricher", "static"], {"REQUEST_TIMEOUT": "soon"}, 2, "REQUEST_TIMEOUT='soon': a duration such as"),
        (["--enricher", "static", "--input", "/none.csv"], {}, 2, "--input /none.csv: No such file"),
        (["--enricher", "static", "--output", "/none/out.csv"], {}, 2, "--output /none/out.csv: No such file"),
        ([], {}, 2, "--enricher gemini needs a model: set GEMINI_MODEL"),
        ([], {"GEMINI_MODEL": "m"}, 2, "--enricher gemini needs a key: set GEMINI_API_KEY"),
        ([], {"GEMINI_MODEL": "m", "GEMINI_API_KEY": "/none/key"}, 2, "names a file that does not exist"),
        (["--enricher", "function"], {}, 2, "--enricher function needs --function NAME"),
        (["--enricher", "function", "--function", "f"], {"HTTP_PROXY": "foo://h:1"}, 2, "HTTP_PROXY, HTTPS_PROXY,"),
        (["--enricher", "function", "--function", "f"], {"ALL_PROXY": "http://h:x"}, 2, "HTTP_PROXY, HTTPS_PROXY,"),
        (
            ["--enricher", "static", "--fail-fast"],
            {},
            1,
            "stopped at the first error, as --fail-fast asks: empty email",
        ),
    ],
)
def test_pipeline_local_failure_is_one_line_with_its_exit_code(
    faas_here: Here, tmp_path: Path, arguments: list[str], environ: dict[str, str], code: int, message: str
) -> None:
    (tmp_path / "in.csv").write_text("id,email\n1,a@x.io\n2,\n")
    files = ["--input", str(tmp_path / "in.csv"), "--output", str(tmp_path / "out.csv")]
    assert message in one_red_line(faas_here("pipeline", "local", *files, *arguments, environ=environ), code)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "in.csv: empty"),
        (b"id,mail\n1,x\n", "in.csv: no column is named email; the columns are: id, mail"),
        (b"id,email\n1\n", "in.csv: line 2 has 1 fields where the header has 2"),
        (b'email\n"x\n', "in.csv: line 2 is not CSV"),
    ],
)
def test_pipeline_local_invalid_table_is_exit_1(faas_here: Here, tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "in.csv").write_bytes(content)
    files = ["--input", str(tmp_path / "in.csv"), "--output", str(tmp_path / "out.csv")]
    line = one_red_line(faas_here("pipeline", "local", *files, "--enricher", "static"), 1)
    assert message in line
    assert line.endswith("(written: nothing)")


def test_pipeline_wrong_options_are_exit_2(faas_here: Here) -> None:
    assert faas_here("pipeline", "local").returncode == 2
    assert faas_here("pipeline", "local", "--enricher", "other").returncode == 2
    assert faas_here("pipeline", "foundry", "--output-write-mode", "other").returncode == 2
    assert faas_here("pipeline", "foundry", "--output-filename", "../x").returncode == 2


def test_pipeline_local_with_gemini_over_a_real_port(faas_here: Here, tmp_path: Path) -> None:
    (tmp_path / "in.csv").write_text("email\na@x.io\nb@x.io\n")
    fake = FakeGemini(person())
    with served(fake) as address:
        result = faas_here(
            "pipeline", "local", "--input", str(tmp_path / "in.csv"), "--output", str(tmp_path / "out.jsonl"),
            environ={"GEMINI_API_KEY": "hush-key-1234", "GEMINI_MODEL": "m", "GEMINI_BASE_URL": f"http://{address}"},
        )  # fmt: skip
    assert result.returncode == 0, result.stderr
    assert [json.loads(line)["company"] for line in (tmp_path / "out.jsonl").read_text().splitlines()] == ["Acme"] * 2
    assert {request.headers["x-goog-api-key"] for request in fake.received} == {"hush-key-1234"}


# --- signals ----------------------------------------------------------------------------------------------------------


class Silent:
    """A fake Gemini that answers the first `count` calls only; `reached` is set by the next call."""

    def __init__(self, count: int) -> None:
        self.left = count
        self.reached = threading.Event()
        self.answering = FakeGemini(person())
        self.silent = FakeGemini(None)

    async def __call__(self, scope: object, receive: object, send: object) -> None:
        self.left -= 1
        if self.left < 0:
            self.reached.set()
        await (self.answering if self.left >= 0 else self.silent)(scope, receive, send)  # type: ignore[arg-type]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signal_ends_a_local_run_with_a_partial_output(tmp_path: Path, number: signal.Signals) -> None:
    (tmp_path / "in.csv").write_text("email\n" + "".join(f"{count}@x.io\n" for count in range(50)))
    files = ["--input", str(tmp_path / "in.csv"), "--output", str(tmp_path / "out.csv"), "--workers", "1"]
    fake = Silent(3)
    with served(fake) as address:
        place = {"GEMINI_API_KEY": "k", "GEMINI_MODEL": "m", "GEMINI_BASE_URL": f"http://{address}"}
        with started("pipeline", "local", *files, environ=place) as process:
            assert fake.reached.wait(30)
            process.send_signal(number)
            _, errors = process.communicate(timeout=30)
            assert process.returncode == 1
    assert errors.strip() == (
        f"faas: stopped by {number.name} (3 of 50 addresses were done; "
        f"written: 3 finished rows to {tmp_path / 'out.csv'}.partial)"
    )
    assert len((tmp_path / "out.csv.partial").read_text().splitlines()) == 4
    assert not (tmp_path / "out.csv").exists()


def test_signal_ends_a_run_that_reads_a_pipe(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "in.csv")
    files = ["--input", str(tmp_path / "in.csv"), "--output", str(tmp_path / "out.csv")]
    with (
        started("pipeline", "local", *files, "--enricher", "static") as process,
        (tmp_path / "in.csv").open("w"),  # returns when the run has opened the pipe
    ):
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=30)
    assert process.returncode == 1
    assert errors.strip() == "faas: stopped by SIGTERM (written: nothing)"


def test_signal_ends_a_stream_run_and_shows_the_published_count(tmp_path: Path, environ: dict[str, str]) -> None:
    fake = Silent(1)
    with mock_foundry(tmp_path, "--stream-rids", OUT, "--token", TOKEN) as (url, _), served(fake) as address:
        place = {"GEMINI_API_KEY": "k", "GEMINI_MODEL": "m", "GEMINI_BASE_URL": f"http://{address}", "FOUNDRY_URL": url}
        with started("pipeline", "foundry", "--workers", "1", environ=environ | place) as process:
            assert fake.reached.wait(30)
            process.send_signal(signal.SIGTERM)
            _, errors = process.communicate(timeout=30)
            assert process.returncode == 1
        assert errors.strip().splitlines()[-1] == (
            f"faas: stopped by SIGTERM (1 of 2 addresses were done; written: 1 records to stream {OUT})"
        )
        assert len(httpx.get(f"{url}/__debug/streams").json()[OUT]["master"]) == 1


# --- Foundry ----------------------------------------------------------------------------------------------------------


def test_mock_foundry_prints_its_url_and_contents(tmp_path: Path) -> None:
    with mock_foundry(tmp_path, "--stream-rids", f"ri.other,{OUT}") as (url, lines):
        assert re.fullmatch(r"http://127\.0\.0\.1:\d+", url)
        assert lines[1:] == [
            f"inputs in {tmp_path / 'inputs'}:",
            f"  {IN}  {(tmp_path / 'inputs' / f'{IN}.csv').stat().st_size} bytes",
            f"uploads go to {tmp_path / 'uploads'}",
            "streams:",
            "  ri.other",
            f"  {OUT}",
        ]
        assert httpx.get(f"{url}/__debug/health").text == "ok"


def test_mock_foundry_logs_its_own_failure_without_the_token(tmp_path: Path) -> None:
    folder = tmp_path / "uploads" / OUT
    folder.mkdir(parents=True)
    (folder / "_committed").write_text("a file in place of a folder")
    options = ["--addr", "127.0.0.1:0", "--upload-dir", str(tmp_path / "uploads"), "--token", TOKEN]
    with started("mock-foundry", *options) as process:
        assert process.stdout
        url = process.stdout.readline().strip().removeprefix("mock Foundry on ")
        with httpx.Client(headers={"Authorization": f"Bearer {TOKEN}"}, base_url=f"{url}/api/v2/datasets/{OUT}") as api:
            rid = api.post("/transactions").json()["rid"]
            api.post(f"/files/x/upload?transactionRid={rid}", content=b"x").raise_for_status()
            assert api.post(f"/transactions/{rid}/commit").json()["errorName"] == "Internal"
        process.send_signal(signal.SIGTERM)
        output, errors = process.communicate(timeout=20)
    assert "mock_foundry.request_failed" in errors
    assert "FileExistsError" in errors
    assert TOKEN not in output + errors


def test_mock_foundry_port_in_use_is_exit_2(faas_here: Here, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        result = faas_here("mock-foundry", "--addr", address, "--upload-dir", str(tmp_path))
    assert "Address already in use" in one_red_line(result, 2)


def test_mock_foundry_invalid_host_is_exit_2(faas_here: Here, tmp_path: Path) -> None:
    result = faas_here("mock-foundry", "--addr", "a..b:0", "--upload-dir", str(tmp_path))
    assert "--addr a..b:0: not the name of a host" in one_red_line(result, 2)


def test_pipeline_foundry_second_run_uses_the_cache(tmp_path: Path, environ: dict[str, str]) -> None:
    with mock_foundry(tmp_path, "--token", TOKEN) as (url, _):
        place = environ | {"FOUNDRY_URL": url}
        first = faas("pipeline", "foundry", "--enricher", "static", environ=place)
        assert first.returncode == 0, first.stderr
        assert first.stdout.startswith("rows=3 unique=2 cached=0 ok=2 error=1 ")
        assert "written: 3 rows as enriched.csv in transaction ri.foundry.main.transaction.txn-000001" in first.stdout
        second = faas("pipeline", "foundry", "--enricher", "static", environ=place)
        assert second.stdout.startswith("rows=3 unique=2 cached=2 ok=0 error=1 ")
        table = httpx.get(f"{url}/api/v2/datasets/{OUT}/readTable", headers={"Authorization": f"Bearer {TOKEN}"}).text
    assert [row["status"] for row in csv.DictReader(table.splitlines())] == ["ok", "error", "ok"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"FOUNDRY_URL": ""}, "FOUNDRY_URL: needed"),
        ({"BUILD2_TOKEN": "/none/token"}, "BUILD2_TOKEN: the file that it names does not exist"),
        ({"RESOURCE_ALIAS_MAP": "/none/map"}, "RESOURCE_ALIAS_MAP='/none/map': No such file"),
        ({"DEFAULT_CA_PATH": "/dev/null"}, "DEFAULT_CA_PATH='/dev/null': it holds no certificate"),
        ({"GET_JOB_URI": "http://x", "POST_RESULT_URI": "http://x"}, "MODULE_AUTH_TOKEN: needed"),
    ],
)
def test_pipeline_foundry_wrong_environment_is_exit_2(
    faas_here: Here, environ: dict[str, str], change: dict[str, str], message: str
) -> None:
    place = {"FOUNDRY_URL": "http://127.0.0.1:1", **environ, **change}
    assert message in one_red_line(faas_here("pipeline", "foundry", "--enricher", "static", environ=place), 2)


def test_pipeline_foundry_wrong_token_is_exit_1_and_not_shown(
    faas_here: Here, tmp_path: Path, environ: dict[str, str]
) -> None:
    with mock_foundry(tmp_path, "--token", "another") as (url, _):
        result = faas_here("pipeline", "foundry", "--enricher", "static", environ=environ | {"FOUNDRY_URL": url})
    line = one_red_line(result, 1)
    assert f"Foundry: read branch master of {IN}: 401 errorName=Default:Unauthorized errorCode=UNAUTHORIZED" in line


def test_pipeline_foundry_unreachable_server_is_exit_1_after_eight_attempts(
    faas_here: Here, environ: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "faas.compute_module.foundry.http_client.RETRY_PAUSES_SECONDS", (0.01,) * len(RETRY_PAUSES_SECONDS)
    )
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))  # bound but not listening: connections are refused
        url = f"http://127.0.0.1:{unused.getsockname()[1]}"
        result = faas_here("pipeline", "foundry", "--enricher", "static", environ=environ | {"FOUNDRY_URL": url})
    line = one_red_line(result, 1)
    assert f"cannot connect to {url.removeprefix('http://')}" in line
    assert result.stderr.count("foundry_request.retried") == 7


def test_keep_alive_stays_up_after_success_and_answers_jobs(tmp_path: Path, environ: dict[str, str]) -> None:
    import certifi

    answered = threading.Event()

    async def jobs(scope: dict[str, object], receive: object, send: object) -> None:
        body = b'{"computeModuleJobV1": {"jobId": "j1"}}' if scope["method"] == "GET" else b""
        if scope["path"] == "/results/j1":
            answered.set()
        await send({"type": "http.response.start", "status": 200, "headers": []})  # type: ignore[operator]
        await send({"type": "http.response.body", "body": body})  # type: ignore[operator]

    with mock_foundry(tmp_path, "--token", TOKEN) as (url, _), served(jobs) as address:
        place = environ | {
            "FOUNDRY_URL": url,
            "GET_JOB_URI": f"http://localhost:{address.rpartition(':')[2]}/job",
            "POST_RESULT_URI": f"http://{address}/results",
            "MODULE_AUTH_TOKEN": TOKEN,
            "DEFAULT_CA_PATH": certifi.where(),
        }
        with started("pipeline", "foundry", "--enricher", "static", environ=place) as process:
            assert process.stdout
            assert process.stdout.readline().startswith("rows=3 ")
            assert process.stdout.readline().startswith("written: 3 rows")
            answered.clear()
            assert answered.wait(20)
            assert process.poll() is None
            process.send_signal(signal.SIGTERM)
            _, errors = process.communicate(timeout=20)
            assert process.returncode == 0, errors
        (tmp_path / "inputs" / f"{IN}.csv").write_text("nothing\n")
        failed = faas("pipeline", "foundry", "--enricher", "static", environ=place)
        assert "no column is named email" in one_red_line(failed, 1)
