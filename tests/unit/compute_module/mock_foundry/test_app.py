"""The endpoints of the mock Foundry, without a port."""

import asyncio
import hashlib
import re
from collections.abc import AsyncIterator
from datetime import datetime
from pathlib import Path
from uuid import UUID

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from faas.compute_module.mock_foundry.app import MockFoundry

RID = "ri.foundry.main.dataset.d"
STREAM = "ri.foundry.main.dataset.s"
V2 = f"/api/v2/datasets/{RID}"
TXN = "ri.foundry.main.transaction.txn-%06d"


def client_of(app: MockFoundry, **headers: str) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://mock", headers=headers)


@pytest.fixture
def app(tmp_path: Path) -> MockFoundry:
    (tmp_path / "inputs").mkdir()
    (tmp_path / "inputs" / f"{RID}.csv").write_bytes(b"email\na@x.io\n")
    return MockFoundry(inputs=tmp_path / "inputs", uploads=tmp_path / "uploads", stream_rids=[STREAM])


@pytest.fixture
async def mock(app: MockFoundry) -> AsyncIterator[httpx.AsyncClient]:
    async with client_of(app) as client:
        yield client


def assert_error(response: httpx.Response, status: int, name: str, code: str) -> dict[str, str]:
    assert response.status_code == status
    body = response.json()
    assert set(body) == {"errorCode", "errorName", "errorInstanceId", "parameters"}
    assert (body["errorName"], body["errorCode"]) == (name, code)
    assert UUID(body["errorInstanceId"]).version == 4
    parameters: dict[str, str] = body["parameters"]
    return parameters


async def create(mock: httpx.AsyncClient, **options: object) -> str:
    response = await mock.post(V2 + "/transactions", **options)  # type: ignore[arg-type]
    assert response.status_code == 200
    rid: str = response.json()["rid"]
    return rid


async def write(mock: httpx.AsyncClient, content: bytes, branch: str = "master", path: str = "t.csv") -> str:
    rid = await create(mock, params={"branchName": branch})
    uploaded = await mock.post(f"{V2}/files/{path}/upload", params={"transactionRid": rid}, content=content)
    assert uploaded.status_code == 200, uploaded.text
    assert (await mock.post(f"{V2}/transactions/{rid}/commit")).status_code == 200
    return rid


# --- errors, authorization, debug -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path", ["/", "/api", "/api/v2/datasets", "/api/v2/datasets//readTable", "/__debug/none", "/%ff"]
)
async def test_router_unknown_path_is_404_in_foundrys_form(mock: httpx.AsyncClient, path: str) -> None:
    assert_error(await mock.get(path), 404, "NotFound", "NOT_FOUND")


async def test_router_wrong_method_is_405_with_allow(mock: httpx.AsyncClient) -> None:
    response = await mock.delete(V2 + "/transactions")
    assert_error(response, 405, "MethodNotAllowed", "METHOD_NOT_ALLOWED")
    assert response.headers["Allow"] == "GET, POST"


async def test_token_is_required_except_under_debug(tmp_path: Path) -> None:
    app = MockFoundry(uploads=tmp_path, token="right", stream_rids=[STREAM])
    records = f"/stream-proxy/api/streams/{STREAM}/branches/master/records"
    async with client_of(app) as mock:
        for path in (V2 + "/branches/master", records, "/api/nothing/here"):
            assert_error(await mock.get(path), 401, "MissingCredentials", "UNAUTHORIZED")
            for wrong in (b"Bearer wrong", b"right", b"Basic right", b"Bearer rightt", b"Bearer \xc3\xbc"):
                headers = {b"Authorization": wrong}
                assert_error(await mock.get(path, headers=headers), 401, "Default:Unauthorized", "UNAUTHORIZED")
        assert (await mock.get(records, headers={"Authorization": "Bearer right"})).json() == []
        assert (await mock.get("/__debug/health")).text == "ok"


async def test_debug_calls_are_decoded_in_order_without_query_and_debug(mock: httpx.AsyncClient) -> None:
    await mock.get(f"/api/v2/datasets/{RID}/branches/feature%2Fx?q=1")
    await mock.get("/__debug/health")
    await mock.put("/nowhere%20at/all")
    assert (await mock.get("/__debug/calls")).json() == [
        {"Method": "GET", "Path": f"/api/v2/datasets/{RID}/branches/feature/x"},
        {"Method": "PUT", "Path": "/nowhere at/all"},
    ]


async def test_debug_uploads_have_their_digest(mock: httpx.AsyncClient) -> None:
    rid = await create(mock)
    await mock.post(f"{V2}/files/a/b.csv/upload", params={"transactionRid": rid}, content=b"0123456789")
    assert (await mock.get("/__debug/uploads")).json() == [
        {
            "datasetRid": RID,
            "txnId": rid,
            "filePath": "a/b.csv",
            "sizeBytes": 10,
            "sha256Hex": hashlib.sha256(b"0123456789").hexdigest(),
        }
    ]


# --- datasets ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("raw", "name"), [("master", "master"), ("feature%2Fx", "feature/x"), ("%C3%BC%20", "ü ")])
async def test_branch_is_one_segment_of_the_raw_path(mock: httpx.AsyncClient, raw: str, name: str) -> None:
    dummy = {"name": name, "transactionRid": "ri.foundry.main.transaction.mock"}
    assert (await mock.get(f"{V2}/branches/{raw}")).json() == dummy
    rid = await create(mock, params={"branchName": name})
    assert (await mock.get(f"{V2}/branches/{raw}")).json() == {"name": name, "transactionRid": rid}


async def test_read_table_is_the_last_commit_else_the_input_else_404(mock: httpx.AsyncClient) -> None:
    response = await mock.get(V2 + "/readTable?format=CSV")
    assert response.text == "email\na@x.io\n"
    assert response.headers["Content-Type"] == "text/csv"
    await write(mock, b"x\n1\n")
    await write(mock, b"x\n2\n")
    await write(mock, b"x\nother\n", branch="feature/x")
    assert (await mock.get(V2 + "/readTable")).text == "x\n2\n"
    assert (await mock.get(V2 + "/readTable?branchName=feature/x")).text == "x\nother\n"
    assert (await mock.get(V2 + "/readTable?branchName=third")).text == "email\na@x.io\n"
    response = await mock.get("/api/v2/datasets/unknown/readTable?branchName=b")
    parameters = assert_error(response, 404, "SchemaNotFound", "NOT_FOUND")
    assert parameters == {"datasetRid": "unknown", "branchName": "b"}


async def test_read_table_serves_csv_only(mock: httpx.AsyncClient) -> None:
    assert_error(await mock.get(V2 + "/readTable?format=ARROW"), 400, "InvalidParameter", "INVALID_ARGUMENT")


async def test_commit_survives_a_restart_in_the_folders_of_the_contract(app: MockFoundry, tmp_path: Path) -> None:
    async with client_of(app) as mock:
        first = await write(mock, b"x\n1\n", path="out/t.csv")
        await write(mock, b"x\n2\n", branch="feature/x")
    uploads = tmp_path / "uploads" / RID
    assert (uploads / first / "out" / "t.csv").read_bytes() == b"x\n1\n"
    assert (uploads / "_committed" / "readTable.csv").read_bytes() == b"x\n1\n"
    assert (uploads / "_branches" / "feature%2Fx" / "readTable.csv").read_bytes() == b"x\n2\n"
    async with client_of(MockFoundry(uploads=tmp_path / "uploads")) as restarted:
        assert (await restarted.get(V2 + "/readTable")).text == "x\n1\n"
        assert (await restarted.get(V2 + "/readTable?branchName=feature/x")).text == "x\n2\n"
        assert await create(restarted) == TXN % 3


@pytest.mark.parametrize(
    ("options", "branch", "kind"),
    [
        ({}, "master", "SNAPSHOT"),
        ({"params": {"branchName": "q"}, "json": {"branchName": "b", "transactionType": "APPEND"}}, "q", "APPEND"),
        ({"json": {"branchName": "b"}}, "b", "SNAPSHOT"),
        ({"content": b'{"transactionType": "UPDATE"}', "headers": {"Content-Type": "text/plain"}}, "master", "UPDATE"),
    ],
)
async def test_create_transaction_takes_the_branch_from_the_query_else_the_body(
    mock: httpx.AsyncClient, options: dict[str, object], branch: str, kind: str
) -> None:
    response = await mock.post(V2 + "/transactions", **options)  # type: ignore[arg-type]
    created = response.json()
    assert (created["rid"], created["status"], created["transactionType"]) == (TXN % 1, "OPEN", kind)
    assert datetime.fromisoformat(created["createdTime"]).tzinfo
    assert (await mock.get(f"{V2}/branches/{branch}")).json()["transactionRid"] == TXN % 1


async def test_create_transaction_allows_one_open_transaction_per_branch(mock: httpx.AsyncClient) -> None:
    rid = await create(mock)
    assert_error(await mock.post(V2 + "/transactions"), 409, "OpenTransactionAlreadyExists", "CONFLICT")
    await create(mock, params={"branchName": "other"})
    await mock.post(f"{V2}/files/t/upload", params={"transactionRid": rid}, content=b"")
    await mock.post(f"{V2}/transactions/{rid}/commit")
    await create(mock)


@pytest.mark.parametrize(
    ("content", "name"),
    [
        (b"{", "InvalidBody"),
        (b"[]", "InvalidBody"),
        (b'{"branchName": 3}', "InvalidBody"),
        (b'{"transactionType": "X"}', "InvalidTransactionType"),
        (b"\xff", "InvalidBody"),
        (b"[" * 100_000, "InvalidBody"),
    ],
)
async def test_create_transaction_wrong_body_is_400(mock: httpx.AsyncClient, content: bytes, name: str) -> None:
    assert_error(await mock.post(V2 + "/transactions", content=content), 400, name, "INVALID_ARGUMENT")


async def test_list_transactions_newest_first_in_pages_that_end(mock: httpx.AsyncClient) -> None:
    for number in range(5):
        await create(mock, params={"branchName": f"b{number}"})
    await mock.post("/api/v2/datasets/another/transactions")
    found, token = [], None
    for _ in range(9):
        query = {"preview": "true", "pageSize": "2"} | ({"pageToken": token} if token else {})
        page = (await mock.get(V2 + "/transactions", params=query)).json()
        found += [entry["rid"] for entry in page["data"]]
        token = page.get("nextPageToken")
        if token is None:
            break
        assert len(page["data"]) == 2
    assert found == [TXN % number for number in (5, 4, 3, 2, 1)]


async def test_list_transactions_requires_preview(mock: httpx.AsyncClient) -> None:
    assert_error(await mock.get(V2 + "/transactions"), 404, "NotFound", "NOT_FOUND")
    assert_error(await mock.get(V2 + "/transactions?preview=false"), 404, "NotFound", "NOT_FOUND")
    rid = await write(mock, b"x\n")
    (entry,) = (await mock.get(V2 + "/transactions?preview=true")).json()["data"]
    assert set(entry) == {"rid", "transactionType", "status", "createdTime", "closedTime"}
    assert (entry["rid"], entry["status"]) == (rid, "COMMITTED")


@pytest.mark.parametrize("query", ["pageSize=0", "pageSize=x", "pageToken=-1", "pageSize=%C2%B2"])
async def test_list_transactions_wrong_paging_is_400(mock: httpx.AsyncClient, query: str) -> None:
    response = await mock.get(f"{V2}/transactions?preview=true&{query}")
    assert_error(response, 400, "InvalidParameter", "INVALID_ARGUMENT")


async def test_upload_returns_the_file(mock: httpx.AsyncClient) -> None:
    rid = await create(mock)
    for path in ("a%2Fb.csv", "a/b.csv"):
        response = await mock.post(f"{V2}/files/{path}/upload", params={"transactionRid": rid}, content=b"0123456789")
        body = response.json()
        assert (body["path"], body["transactionRid"], body["sizeBytes"]) == ("a/b.csv", rid, "10")
        assert datetime.fromisoformat(body["updatedTime"]).tzinfo


async def test_upload_checks_the_transaction(mock: httpx.AsyncClient) -> None:
    rid = await write(mock, b"x\n")
    upload = V2 + "/files/t.csv/upload"
    assert_error(await mock.post(upload), 400, "InvalidParameter", "INVALID_ARGUMENT")
    unknown = await mock.post(upload, params={"transactionRid": TXN % 99})
    assert_error(unknown, 404, "TransactionNotFound", "NOT_FOUND")
    foreign = await mock.post("/api/v2/datasets/other/files/t.csv/upload", params={"transactionRid": rid})
    assert_error(foreign, 404, "TransactionNotFound", "NOT_FOUND")
    closed = await mock.post(upload, params={"transactionRid": rid})
    assert_error(closed, 400, "TransactionNotOpen", "INVALID_ARGUMENT")


@pytest.mark.parametrize(
    "path",
    [
        "..%2Fout",
        "a%2F..%2F..%2F..%2Fout",
        "%2Fetc%2Fx",
        "a//b",
        "a%00b",
        "..%5Cout",
        "a%2F.",
        "%2E%2E",
        "x" * 256,
        "/".join(["x" * 200] * 30),
        "a/b/",
    ],
)
async def test_upload_path_that_leaves_its_folder_is_refused(
    mock: httpx.AsyncClient, tmp_path: Path, path: str
) -> None:
    rid = await create(mock)
    response = await mock.post(f"{V2}/files/{path}/upload", params={"transactionRid": rid}, content=b"evil")
    assert_error(response, 400, "InvalidFilePath", "INVALID_ARGUMENT")
    assert not [file for file in (tmp_path / "uploads").rglob("*") if file.is_file()]


async def test_upload_path_through_a_file_is_refused(mock: httpx.AsyncClient) -> None:
    rid = await create(mock)
    for path, status in (("a", 200), ("a/b", 400), ("c/d", 200), ("c", 400)):
        response = await mock.post(f"{V2}/files/{path}/upload", params={"transactionRid": rid}, content=b"x")
        assert response.status_code == status


@given(
    rid=st.text(min_size=1, max_size=12), branch=st.text(min_size=1, max_size=12), path=st.text(min_size=1, max_size=12)
)
@settings(max_examples=150)
def test_upload_writes_nothing_outside_the_upload_folder(tmp_path: Path, rid: str, branch: str, path: str) -> None:
    from urllib.parse import quote

    root = tmp_path / "guarded"
    root.mkdir(exist_ok=True)

    async def attack() -> None:
        def segment(text: str) -> str:
            return quote(text, safe="", errors="replace")

        async with client_of(MockFoundry(uploads=root / "uploads")) as mock:
            dataset = f"/api/v2/datasets/{segment(rid)}"
            created = await mock.post(f"{dataset}/transactions?branchName={segment(branch)}")
            query = {"transactionRid": created.json().get("rid", "")}
            for each in (path, f"../../{path}", f"/{path}"):
                response = await mock.post(f"{dataset}/files/{segment(each)}/upload", params=query, content=b"x")
                assert response.status_code < 500
            assert (await mock.post(f"{dataset}/transactions/{query['transactionRid']}/commit")).status_code < 500
            assert (await mock.get(f"{dataset}/readTable?branchName={segment(branch)}")).status_code < 500

    asyncio.run(attack())
    assert {entry.name for entry in root.iterdir()} <= {"uploads"}
    assert {entry.name for entry in tmp_path.iterdir()} == {"guarded"}


async def test_commit_requires_exactly_one_file_and_an_open_transaction(mock: httpx.AsyncClient) -> None:
    rid = await create(mock)
    commit = f"{V2}/transactions/{rid}/commit"
    assert_error(await mock.post(commit), 400, "Conjure:InvalidArgument", "INVALID_ARGUMENT")
    for name in ("a", "b"):
        await mock.post(f"{V2}/files/{name}/upload", params={"transactionRid": rid}, content=b"x")
    assert_error(await mock.post(commit), 400, "Conjure:InvalidArgument", "INVALID_ARGUMENT")
    assert_error(await mock.post(f"{V2}/transactions/{TXN % 9}/commit"), 404, "TransactionNotFound", "NOT_FOUND")
    done = await write(mock, b"x\n", branch="b")
    assert_error(await mock.post(f"{V2}/transactions/{done}/commit"), 400, "TransactionNotOpen", "INVALID_ARGUMENT")


async def test_dataset_routes_refuse_writes_to_a_stream(mock: httpx.AsyncClient) -> None:
    dataset = f"/api/v2/datasets/{STREAM}"
    for path in ("/transactions", "/files/t/upload?transactionRid=x", "/transactions/x/commit"):
        assert_error(await mock.post(dataset + path), 400, "InvalidDatasetType", "INVALID_ARGUMENT")


async def test_dataset_routes_version_1_reads_and_uploads(mock: httpx.AsyncClient) -> None:
    v1 = f"/api/v1/datasets/{RID}"
    assert (await mock.get(v1 + "/readTable")).text == "email\na@x.io\n"
    rid = await create(mock)
    response = await mock.put(f"{v1}/transactions/{rid}/files/a/b.csv", content=b"x")
    assert response.json()["path"] == "a/b.csv"
    unknown = await mock.put(f"{v1}/transactions/none/files/a", content=b"x")
    assert_error(unknown, 404, "TransactionNotFound", "NOT_FOUND")


async def test_dataset_routes_list_and_read_files(mock: httpx.AsyncClient) -> None:
    (given_file,) = (await mock.get(V2 + "/files")).json()["data"]
    assert (given_file["path"], given_file["sizeBytes"]) == (f"{RID}.csv", "13")
    rid = await write(mock, b"x\n1\n", path="out%2Ft.csv")
    (file,) = (await mock.get(V2 + "/files")).json()["data"]
    assert (file["path"], file["transactionRid"], file["sizeBytes"]) == ("out/t.csv", rid, "4")
    assert (await mock.get(V2 + "/files?pathPrefix=other")).json() == {"data": []}
    assert (await mock.get(V2 + "/files/out%2Ft.csv")).json() == file
    assert (await mock.get(V2 + "/files/out%2Ft.csv/content")).content == b"x\n1\n"
    assert_error(await mock.get(V2 + "/files/none/content"), 404, "FileNotFound", "NOT_FOUND")
    assert (await mock.get("/api/v2/datasets/unknown/files")).json() == {"data": []}


# --- streams ----------------------------------------------------------------------------------------------------------


async def test_streams_append_and_list_by_branch(mock: httpx.AsyncClient) -> None:
    proxy = f"/stream-proxy/api/streams/{STREAM}/branches"
    assert (await mock.get("/__debug/streams")).json() == {STREAM: {}}
    assert (await mock.get(f"{proxy}/master/records")).json() == []
    assert (await mock.post(f"{proxy}/master/jsonRecord", json={"n": 1})).json() == {"status": "ok"}
    await mock.post(f"{proxy}/a%2Fb/jsonRecord", json={"n": 2, "x": None, "y": [1]})
    assert (await mock.get(f"{proxy}/master/records")).json() == [{"n": 1}]
    assert (await mock.get("/__debug/streams")).json() == {
        STREAM: {"master": [{"n": 1}], "a/b": [{"n": 2, "x": None, "y": [1]}]}
    }
    table = await mock.get(f"/api/v2/datasets/{STREAM}/readTable?branchName=a/b")
    assert table.text == "n,x,y\n2,,[1]\n"


@pytest.mark.parametrize("content", [b"", b"[]", b"3", b"null", b"{", b'"x"', b"\xff"])
async def test_streams_record_that_is_not_an_object_is_400(mock: httpx.AsyncClient, content: bytes) -> None:
    response = await mock.post(f"/stream-proxy/api/streams/{STREAM}/branches/master/jsonRecord", content=content)
    assert response.status_code == 400


async def test_streams_unregistered_rid_is_404(mock: httpx.AsyncClient) -> None:
    proxy = f"/stream-proxy/api/streams/{RID}/branches/master"
    assert_error(await mock.get(proxy + "/records"), 404, "NotFound", "NOT_FOUND")
    assert_error(await mock.post(proxy + "/jsonRecord", json={}), 404, "NotFound", "NOT_FOUND")
    assert_error(await mock.post(proxy + "/jsonRecord", content=b"no JSON"), 404, "NotFound", "NOT_FOUND")


@pytest.mark.parametrize("gateway", ["/api", "/stream-proxy/api"])
async def test_streams_high_scale_records_have_offsets(mock: httpx.AsyncClient, gateway: str) -> None:
    stream = f"{gateway}/v2/highScale/streams/datasets/{STREAM}/streams/master"
    assert (await mock.post(stream + "/publishRecord", json={"record": {"n": 0}})).status_code == 204
    records = [{"n": number} for number in range(1, 5)]
    assert (await mock.post(stream + "/publishRecords", json={"records": records})).status_code == 204
    page = await mock.get(stream + "/getRecords?partitionId=0&startOffset=3&limit=1")
    assert page.json() == [{"offset": "3", "value": {"n": 3}}]
    bodies: list[object] = [{}, {"record": 3}, [], {"records": [1]}]
    for wrong in bodies:
        assert (await mock.post(stream + "/publishRecord", json=wrong)).status_code == 400
        assert (await mock.post(stream + "/publishRecords", json=wrong)).status_code == 400


def test_router_has_every_endpoint_of_the_contract(app: MockFoundry) -> None:
    registered = {f"{route.method} /{'/'.join(route.pattern)}" for route in app._router._routes}
    seed = """
        GET /__debug/health
        GET /__debug/calls
        GET /__debug/uploads
        GET /__debug/streams
        GET /api/v2/datasets/{rid}/branches/{branch}
        GET /api/v2/datasets/{rid}/readTable
        GET /api/v2/datasets/{rid}/transactions
        POST /api/v2/datasets/{rid}/transactions
        POST /api/v2/datasets/{rid}/files/{path...}/upload
        POST /api/v2/datasets/{rid}/transactions/{transaction}/commit
        GET /api/v1/datasets/{rid}/readTable
        PUT /api/v1/datasets/{rid}/transactions/{transaction}/files/{path...}
        GET /stream-proxy/api/streams/{rid}/branches/{branch}/records
        POST /stream-proxy/api/streams/{rid}/branches/{branch}/jsonRecord
    """
    assert {line.strip() for line in seed.strip().splitlines()} <= registered
    assert all(re.fullmatch(r"[A-Z]+ /[\w/{}.-]+", route) for route in registered)
