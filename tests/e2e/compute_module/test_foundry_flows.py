"""The flow charts of the compute module, each as the exact sequence of calls that Foundry receives."""

import asyncio
import re
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import httpx
import pytest

from faas.compute_module.errors import FailedFast, FoundryRequestFailed, InvalidTable
from tests.helpers.compute_module import virtual_time
from tests.helpers.compute_module.foundry_world import IN, OUT, Intercept, World, answering

READ_INPUT = [f"GET /api/v2/datasets/{IN}/branches/master", f"GET /api/v2/datasets/{IN}/readTable"]
READ_OUTPUT = [f"GET /api/v2/datasets/{OUT}/branches/master", f"GET /api/v2/datasets/{OUT}/readTable"]
RECORDS = f"GET /stream-proxy/api/streams/{OUT}/branches/master/records"
PUBLISH = f"POST /stream-proxy/api/streams/{OUT}/branches/master/jsonRecord"
CREATE = f"POST /api/v2/datasets/{OUT}/transactions"
LIST = f"GET /api/v2/datasets/{OUT}/transactions"


def upload() -> str:
    return f"POST /api/v2/datasets/{OUT}/files/enriched.csv/upload"


def commit(number: int = 1) -> str:
    return f"POST /api/v2/datasets/{OUT}/transactions/ri.foundry.main.transaction.txn-{number:06d}/commit"


@pytest.fixture
def dataset(tmp_path: Path) -> World:
    world = World(tmp_path)
    world.emails("a@x.io", "b@x.io")
    return world


@pytest.fixture
def stream(tmp_path: Path) -> World:
    world = World(tmp_path, stream=True)
    world.emails("a@x.io", "b@x.io")
    return world


# --- Output mode resolution -------------------------------------------------------------------------------------------


def test_output_mode_auto_probe_2xx_is_stream(stream: World) -> None:
    assert virtual_time.run(stream.run("auto"))[2] == RECORDS
    assert len(stream.records()) == 2


def test_output_mode_auto_probe_404_is_dataset(dataset: World) -> None:
    assert virtual_time.run(dataset.run("auto"))[2] == RECORDS
    assert len(dataset.output()) == 2


@pytest.mark.parametrize("status", [400, 401, 403, 409, 302])
def test_output_mode_auto_probe_other_status_fails_the_run(dataset: World, status: int) -> None:
    with pytest.raises(FoundryRequestFailed, match=f"probe for stream {OUT}: {status}"):
        virtual_time.run(dataset.run("auto", answering("GET", "/records", httpx.Response(status))))
    assert dataset.calls == READ_INPUT
    assert dataset.enricher.asked == []


def test_output_mode_dataset_does_not_probe(dataset: World) -> None:
    assert virtual_time.run(dataset.run("dataset")) == [*READ_INPUT, *READ_OUTPUT, CREATE, upload(), commit()]


def test_output_mode_stream_does_not_probe(stream: World) -> None:
    assert virtual_time.run(stream.run("stream")) == [*READ_INPUT, RECORDS, PUBLISH, PUBLISH]


# --- Foundry run, stream output, incremental --------------------------------------------------------------------------


def test_stream_run_probes_reads_the_cache_and_publishes_each_pending_address(stream: World) -> None:
    assert virtual_time.run(stream.run()) == [*READ_INPUT, RECORDS, RECORDS, PUBLISH, PUBLISH]
    record = stream.records()[0]
    assert record["email"] == "a@x.io"
    assert record["company"] == "Company of a@x.io"
    assert record["linkedin_url"] is None
    assert record["error"] is None
    assert record["written_at"].endswith("Z")
    assert record["run_id"] == stream.records()[1]["run_id"]
    assert list(record)[:2] == ["email", "linkedin_url"]
    assert len(record) == 13


def test_stream_run_publishes_only_new_and_failed_addresses(stream: World) -> None:
    stream.emails("a@x.io", "b@x.io", "a@x.io", "")
    stream.enricher.failing = {"b@x.io"}
    virtual_time.run(stream.run())
    assert [(record["email"], record["status"]) for record in stream.records()] == [
        ("a@x.io", "ok"),
        ("b@x.io", "error"),
    ]
    assert stream.progress.summary().startswith("rows=4 unique=2 cached=0 ok=1 error=2 ")

    stream.enricher.failing = set()
    stream.emails("b@x.io", "a@x.io", "c@x.io")
    assert virtual_time.run(stream.run()) == [*READ_INPUT, RECORDS, RECORDS, PUBLISH, PUBLISH]
    assert stream.enricher.asked == ["b@x.io", "c@x.io"]

    assert virtual_time.run(stream.run()) == [*READ_INPUT, RECORDS, RECORDS]
    assert stream.progress.summary().startswith("rows=3 unique=3 cached=3 ok=0 error=0 ")
    assert stream.progress.written == "nothing"


def test_stream_run_fails_with_a_failed_publish_and_shows_the_count(stream: World) -> None:
    stream.emails("a@x.io", "b@x.io", "c@x.io")
    seen = 0

    def refuse_the_second(request: httpx.Request) -> httpx.Response | None:
        nonlocal seen
        seen += request.url.path.endswith("/jsonRecord")
        return httpx.Response(400, json={"errorName": "Full"}) if seen == 2 else None

    with pytest.raises(FoundryRequestFailed, match=f"publish to {OUT}: 400 errorName=Full"):
        virtual_time.run(stream.run("auto", refuse_the_second, workers=1))
    assert stream.calls == [*READ_INPUT, RECORDS, RECORDS, PUBLISH]
    assert stream.progress.written == f"1 records to stream {OUT}"


def test_stream_run_publishes_one_record_at_a_time(stream: World) -> None:
    stream.emails(*[f"{number}@x.io" for number in range(20)])
    under_way, most = 0, 0

    class Slow(httpx.AsyncBaseTransport):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            nonlocal under_way, most
            under_way += 1
            most = max(most, under_way)
            await asyncio.sleep(1)
            under_way -= 1
            return await httpx.ASGITransport(app=stream.mock).handle_async_request(request)

    virtual_time.run(stream.run(transport=Slow()))
    assert len(stream.records()) == 20
    assert most == 1


def test_stream_run_escapes_the_branch_once(tmp_path: Path) -> None:
    world = World(tmp_path, stream=True, branch="feature/x y")
    world.emails("a@x.io")
    assert virtual_time.run(world.run())[-1] == f"POST /stream-proxy/api/streams/{OUT}/branches/feature/x y/jsonRecord"
    assert list(world.mock.streams.records[OUT]) == ["feature/x y"]


# --- Foundry run, dataset output, transaction flow --------------------------------------------------------------------


def test_dataset_run_first_one_is_exactly_eight_calls(dataset: World) -> None:
    assert virtual_time.run(dataset.run()) == [*READ_INPUT, RECORDS, *READ_OUTPUT, CREATE, upload(), commit()]
    assert [row["email"] for row in dataset.output()] == ["a@x.io", "b@x.io"]
    assert dataset.progress.written == (
        "2 rows as enriched.csv in transaction ri.foundry.main.transaction.txn-000001, committed"
    )


def test_dataset_run_reads_the_table_of_the_branchs_transaction(dataset: World) -> None:
    queries = []

    def note(request: httpx.Request) -> None:
        queries.append(request.url.query.decode())

    virtual_time.run(dataset.run("dataset", note))
    pinned = "startTransactionRid=ri.foundry.main.transaction.mock&endTransactionRid=ri.foundry.main.transaction.mock"
    assert queries == [
        "",
        f"format=CSV&branchName=master&{pinned}",
        "",
        f"format=CSV&branchName=master&{pinned}",
        "branchName=master",
        "transactionRid=ri.foundry.main.transaction.txn-000001",
        "",
    ]


def test_dataset_run_branch_without_a_transaction_reads_without_one(dataset: World) -> None:
    queries = []

    def note(request: httpx.Request) -> httpx.Response | None:
        queries.append(request.url.query.decode())
        return httpx.Response(200, json={"transactionRid": " "}) if "/branches/" in request.url.path else None

    virtual_time.run(dataset.run("dataset", note))
    assert queries[1] == "format=CSV&branchName=master"


def test_dataset_run_is_incremental_over_several_runs(dataset: World) -> None:
    dataset.enricher.failing = {"b@x.io"}
    dataset.emails("a@x.io", "b@x.io", "", "a@x.io")
    virtual_time.run(dataset.run())
    assert dataset.enricher.asked == ["a@x.io", "b@x.io"]
    assert [(row["email"], row["status"], row["error"]) for row in dataset.output()] == [
        ("a@x.io", "ok", ""),
        ("b@x.io", "error", "not found"),
        ("", "error", "empty email"),
        ("a@x.io", "ok", ""),
    ]
    assert dataset.progress.summary().startswith("rows=4 unique=2 cached=0 ok=1 error=2 ")

    # The error row is retried, a new row is enriched, a removed one disappears, and the order is the input's.
    dataset.enricher.failing = set()
    dataset.emails("c@x.io", "b@x.io")
    virtual_time.run(dataset.run())
    assert dataset.enricher.asked == ["c@x.io", "b@x.io"]
    assert [row["email"] for row in dataset.output()] == ["c@x.io", "b@x.io"]

    # The file is uploaded even when nothing is pending; an address that returns is enriched again.
    calls = virtual_time.run(dataset.run())
    assert dataset.enricher.asked == []
    assert calls == [*READ_INPUT, RECORDS, *READ_OUTPUT, CREATE, upload(), commit(3)]
    dataset.emails("a@x.io")
    virtual_time.run(dataset.run())
    assert dataset.enricher.asked == ["a@x.io"]


def test_dataset_run_copies_cached_rows_unchanged(dataset: World) -> None:
    header = "email,linkedin_url,company,title,description,confidence,status,error,model,sources,web_search_queries"
    earlier = dataset.folder / "inputs" / f"{OUT}.csv"
    earlier.write_text(
        f'{header}\na@x.io,old,error row,,,,error,x,m,,\n" a@x.io ",u,"C, Inc.",t,d,high,OK,,old-model,"[""s""]",q\n'
        "a@x.io,newer error row,,,,,error,x,m,,\ngone@x.io,,,,,,ok,,m,,\n"
    )
    virtual_time.run(dataset.run("dataset"))
    assert dataset.enricher.asked == ["b@x.io"]
    assert list(dataset.output()[0].values()) == [
        " a@x.io ", "u", "C, Inc.", "t", "d", "high", "OK", "", "old-model", '["s"]', "q",
    ]  # fmt: skip


def test_dataset_run_last_ok_row_of_an_address_wins(dataset: World) -> None:
    header = "email,linkedin_url,company,title,description,confidence,status,error,model,sources,web_search_queries"
    earlier = dataset.folder / "inputs" / f"{OUT}.csv"
    earlier.write_text(f"{header}\na@x.io,,first,,,,ok,,,,\na@x.io,,second,,,,ok,,,,\n")
    virtual_time.run(dataset.run("dataset"))
    assert dataset.output()[0]["company"] == "second"


def test_dataset_run_html_instead_of_a_table_fails_the_run(dataset: World) -> None:
    page = httpx.Response(200, html="<html><body>Sign in</body></html>")
    with pytest.raises(FoundryRequestFailed, match=f"read table of {IN}: the answer is a web page, not CSV"):
        virtual_time.run(dataset.run("auto", answering("GET", "/readTable", page)))


@pytest.mark.parametrize("body", [b"", b"email\n", b"<html>", b'email,status\n"a'])
def test_dataset_run_malformed_earlier_output_fails_the_run(dataset: World, body: bytes) -> None:
    answer = httpx.Response(200, content=body)
    with pytest.raises(InvalidTable, match=f"earlier output {OUT}"):
        virtual_time.run(dataset.run("dataset", answering("GET", f"{OUT}/readTable", answer)))
    assert dataset.enricher.asked == []
    assert CREATE not in dataset.calls


@pytest.mark.parametrize(
    ("path_end", "written"),
    [
        ("/transactions", "nothing"),
        ("/upload", "nothing yet in transaction ri.foundry.main.transaction.txn-000001, which is open"),
        (
            "/commit",
            "2 rows as enriched.csv in transaction ri.foundry.main.transaction.txn-000001, not committed",
        ),
    ],
)
def test_dataset_run_failed_write_shows_what_was_written(dataset: World, path_end: str, written: str) -> None:
    with pytest.raises(FoundryRequestFailed, match="403"):
        virtual_time.run(dataset.run("auto", answering("POST", path_end, httpx.Response(403))))
    assert dataset.progress.written == written


class DroppingTransport(httpx.AsyncBaseTransport):
    """Passes calls to the mock Foundry, but drops or replaces the first response to a POST whose path ends with `path_end`."""

    def __init__(self, world: World, path_end: str, instead: httpx.Response | None) -> None:
        self._inner = httpx.ASGITransport(app=world.mock)
        self._path_end = path_end
        self._instead = instead
        self._dropped = False

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        response = await self._inner.handle_async_request(request)
        if self._dropped or request.method != "POST" or not request.url.path.endswith(self._path_end):
            return response
        self._dropped = True
        if self._instead is None:
            raise httpx.ReadError("reset by peer")
        return self._instead


@pytest.mark.parametrize("instead", [None, httpx.Response(504)])
def test_commit_without_a_response_is_a_commit(dataset: World, instead: httpx.Response | None) -> None:
    calls = virtual_time.run(dataset.run("dataset", transport=DroppingTransport(dataset, "/commit", instead)))
    assert calls[-2:] == [commit(), commit()]
    assert dataset.progress.written.endswith(", committed")
    assert len(dataset.output()) == 2


class DatedTransport(DroppingTransport):
    """Adds a `Date` header: `seconds` after the newest transaction was created."""

    def __init__(self, world: World, seconds: float) -> None:
        super().__init__(world, "/transactions", None)
        self._datasets = world.mock.datasets
        self._seconds = seconds

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        response = await super().handle_async_request(request)
        for transaction in self._datasets.transactions(OUT, 1, None)[0]:
            moment = datetime.fromisoformat(transaction.created).astimezone(UTC) + timedelta(seconds=self._seconds)
            response.headers["Date"] = format_datetime(moment, usegmt=True)
        return response


def test_transaction_created_without_a_response_is_ours(dataset: World) -> None:
    calls = virtual_time.run(dataset.run("dataset", transport=DatedTransport(dataset, 0)))
    assert calls[-5:] == [CREATE, CREATE, LIST, upload(), commit()]
    assert dataset.progress.written.endswith(", committed")


def test_transaction_older_than_a_create_without_a_response_is_foundrys(dataset: World) -> None:
    dataset.mock.datasets.create(OUT, "master", "SNAPSHOT")
    calls = virtual_time.run(dataset.run("dataset", transport=DatedTransport(dataset, 5)))
    assert calls[-4:] == [CREATE, CREATE, LIST, upload()]


def test_transaction_of_unknown_age_is_foundrys(dataset: World) -> None:
    calls = virtual_time.run(dataset.run("dataset", transport=DroppingTransport(dataset, "/transactions", None)))
    assert calls[-4:] == [CREATE, CREATE, LIST, upload()]


def not_open(status: str | None) -> httpx.Response:
    parameters = {"transactionStatus": status} if status else {}
    body = {"errorName": "TransactionNotOpen", "errorCode": "INVALID_ARGUMENT", "parameters": parameters}
    return httpx.Response(400, json=body)


@pytest.mark.parametrize(
    "answers",
    [
        [not_open(None)],
        [not_open("COMMITTED")],
        [httpx.Response(429), not_open("COMMITTED")],
        [httpx.Response(503), not_open("ABORTED")],
    ],
)
def test_transaction_closed_by_another_client_fails_the_run(dataset: World, answers: list[httpx.Response]) -> None:
    with pytest.raises(FoundryRequestFailed, match="400 errorName=TransactionNotOpen"):
        virtual_time.run(dataset.run("dataset", answering("POST", "/commit", *answers)))
    assert dataset.progress.written.endswith(", not committed")


def test_fail_fast_creates_no_transaction(dataset: World) -> None:
    dataset.enricher.failing = {"a@x.io"}
    with pytest.raises(FailedFast, match="not found"):
        virtual_time.run(dataset.run(fail_fast=True, workers=1))
    assert dataset.calls == [*READ_INPUT, RECORDS, *READ_OUTPUT]
    assert dataset.enricher.asked == ["a@x.io"]
    assert dataset.progress.written == "nothing"


def test_fail_fast_stops_at_a_blank_address(dataset: World) -> None:
    dataset.emails("a@x.io", "", "b@x.io")
    with pytest.raises(FailedFast, match="empty email"):
        virtual_time.run(dataset.run(fail_fast=True))
    assert dataset.enricher.asked == []


# --- Dataset output with a pre-existing OPEN transaction --------------------------------------------------------------


def test_open_transaction_is_used_and_not_committed(dataset: World) -> None:
    transaction = dataset.mock.datasets.create(OUT, "master", "SNAPSHOT")
    assert virtual_time.run(dataset.run()) == [*READ_INPUT, RECORDS, *READ_OUTPUT, CREATE, LIST, upload()]
    assert list(transaction.files) == ["enriched.csv"]
    assert transaction.closed is None
    assert dataset.progress.written == (
        f"2 rows as enriched.csv in transaction {transaction.rid}, not committed: Foundry opened it and commits it"
    )


def conflict(name: str = "OpenTransactionAlreadyExists", code: str = "CONFLICT") -> httpx.Response:
    return httpx.Response(409, json={"errorName": name, "errorCode": code, "parameters": {"secret": "x"}})


@pytest.mark.parametrize(
    "answer",
    [conflict(code="OTHER"), conflict(name="Other"), httpx.Response(409, json={"errorCode": "CONFLICT"})],
)
def test_open_transaction_conflict_is_reported_by_name_or_code(dataset: World, answer: httpx.Response) -> None:
    transaction = dataset.mock.datasets.create(OUT, "master", "SNAPSHOT")
    virtual_time.run(dataset.run("dataset", answering("POST", "/transactions", answer)))
    assert list(transaction.files) == ["enriched.csv"]


def test_open_transaction_another_409_fails_the_run(dataset: World) -> None:
    with pytest.raises(FoundryRequestFailed, match=r"create transaction on .*: 409 errorName=Other errorCode=OTHER"):
        virtual_time.run(dataset.run("dataset", answering("POST", "/transactions", conflict("Other", "OTHER"))))


def listing(*entries: dict[str, str], token: str | None = None) -> httpx.Response:
    return httpx.Response(200, json={"data": list(entries)} | ({"nextPageToken": token} if token else {}))


def entry(rid: str, created: str, status: str = "OPEN", **more: str) -> dict[str, str]:
    return {"rid": rid, "transactionType": "SNAPSHOT", "status": status, "createdTime": created, **more}


def first_upload(seen: list[httpx.Request], inner: Intercept) -> Intercept:
    def intercept(request: httpx.Request) -> httpx.Response | None:
        seen.append(request)
        if request.url.path.endswith("/upload"):
            return httpx.Response(200, json={})
        if request.method == "POST" and request.url.path.endswith("/transactions"):
            return conflict()
        return inner(request)

    return intercept


def test_open_transaction_is_the_newest_of_our_branch(dataset: World) -> None:
    seen: list[httpx.Request] = []
    pages = answering(
        "GET",
        "/transactions",
        listing(entry("ri.1", "2026-01-09T00:00:00Z", "COMMITTED"), token="2"),
        listing(
            entry("ri.2", "2026-01-03T00:00:00Z"),
            entry("ri.3", "2026-01-05T00:00:00.5+02:00"),
            entry("ri.4", "2026-01-08T00:00:00Z", branchName="other"),
            entry("ri.5", "not a time"),
        ),
    )
    virtual_time.run(dataset.run("dataset", first_upload(seen, pages)))
    assert seen[-1].url.query == b"transactionRid=ri.3"
    assert [request.url.query for request in seen if request.method == "GET"][-2:] == [
        b"preview=true&pageSize=100",
        b"preview=true&pageSize=100&pageToken=2",
    ]


def test_open_transaction_not_listed_fails_after_five_pages(dataset: World) -> None:
    seen: list[httpx.Request] = []
    endless = answering("GET", "/transactions", *[listing(token="more")] * 9)
    with pytest.raises(FoundryRequestFailed, match="there is said to be an open transaction, but none is listed"):
        virtual_time.run(dataset.run("dataset", first_upload(seen, endless)))
    assert sum(request.url.path.endswith("/transactions") and request.method == "GET" for request in seen) == 5


# --- Stream incremental cache read failures ---------------------------------------------------------------------------


@pytest.mark.parametrize("body", [[], {"records": []}, {"values": []}, {"data": {"items": []}}])
def test_cache_200_in_any_envelope_is_used(stream: World, body: object) -> None:
    answer = httpx.Response(200, json=body)
    assert virtual_time.run(stream.run("stream", answering("GET", "/records", answer))) == [
        *READ_INPUT,
        PUBLISH,
        PUBLISH,
    ]


@pytest.mark.parametrize("wrapper", [None, "record", "value", "data"])
@pytest.mark.parametrize("envelope", [None, "records", "values", "result", "rows"])
def test_cache_records_are_unwrapped(stream: World, envelope: str | None, wrapper: str | None) -> None:
    record: object = {"email": " a@x.io ", "status": "Ok"}
    item = {wrapper: record, "offset": 1} if wrapper else record
    body = {envelope: [item]} if envelope else [item]
    virtual_time.run(stream.run("stream", answering("GET", "/records", httpx.Response(200, json=body))))
    assert stream.enricher.asked == ["b@x.io"]


@pytest.mark.parametrize("status", [403, 404])
def test_cache_403_and_404_go_on_without_a_cache(stream: World, status: int) -> None:
    answer = httpx.Response(status, json={"errorName": "X", "errorCode": "Y"})
    assert virtual_time.run(stream.run("stream", answering("GET", "/records", answer))) == [
        *READ_INPUT,
        PUBLISH,
        PUBLISH,
    ]


@pytest.mark.parametrize("status", [400, 401, 302, 409, 500])
def test_cache_other_errors_fail_the_run(stream: World, status: int) -> None:
    with pytest.raises(FoundryRequestFailed, match=f"read records of {OUT}: {status}"):
        virtual_time.run(stream.run("stream", answering("GET", "/records", *[httpx.Response(status)] * 8)))
    assert stream.calls == READ_INPUT
    assert stream.enricher.asked == []


@pytest.mark.parametrize("status", [403, 404])
@pytest.mark.parametrize("path_end", [f"{OUT}/branches/master", f"{OUT}/readTable"])
def test_cache_dataset_403_and_404_go_on_without_a_cache(dataset: World, path_end: str, status: int) -> None:
    (dataset.folder / "inputs" / f"{OUT}.csv").write_text("not,the,columns\n")
    virtual_time.run(dataset.run("dataset", answering("GET", path_end, httpx.Response(status))))
    assert dataset.enricher.asked == ["a@x.io", "b@x.io"]
    assert dataset.calls[-1] == commit()


@pytest.mark.parametrize("path_end", [f"{OUT}/branches/master", f"{OUT}/readTable"])
def test_cache_dataset_other_errors_fail_the_run(dataset: World, path_end: str) -> None:
    with pytest.raises(FoundryRequestFailed, match="401"):
        virtual_time.run(dataset.run("dataset", answering("GET", path_end, httpx.Response(401))))
    assert CREATE not in dataset.calls


# --- docs/compute-module/reference.md ---------------------------------------------------------------------------------


def test_reference_names_exactly_the_calls_of_the_flows(tmp_path: Path) -> None:
    worlds = {name: World(tmp_path / name, stream=name == "stream") for name in ("dataset", "conflict", "stream")}
    worlds["conflict"].mock.datasets.create(OUT, "master", "SNAPSHOT")
    calls: set[str] = set()
    for world in worlds.values():
        world.emails("a@x.io")
        calls.update(virtual_time.run(world.run()))
    page = (Path(__file__).parents[3] / "docs" / "compute-module" / "reference.md").read_text()
    section = page.partition("\n## Calls to Foundry\n")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| ([A-Z]+) \| `(/\S+)` \|", section, flags=re.MULTILINE)
    patterns = [re.compile(f"{method} {re.sub('{[a-z]+}', '[^/]+', path)}") for method, path in rows]
    assert all(sum(bool(pattern.fullmatch(call)) for pattern in patterns) == 1 for call in calls), calls
    assert all(any(pattern.fullmatch(call) for call in calls) for pattern in patterns), patterns
