"""The official foundry-platform-sdk against the mock Foundry, over a real port."""

from collections.abc import Iterator
from pathlib import Path

import foundry_sdk
import pytest
from foundry_sdk import Config, UserTokenAuth
from foundry_sdk.v2 import FoundryClient

from faas.compute_module.mock_foundry.app import MockFoundry
from tests.helpers.compute_module.served import served

RID = "ri.foundry.main.dataset.d"
TOKEN = "token"
STREAM = "ri.foundry.main.dataset.s"


@pytest.fixture
def address(tmp_path: Path) -> Iterator[str]:
    (tmp_path / "inputs").mkdir()
    (tmp_path / "inputs" / f"{RID}.csv").write_bytes(b"email\na@x.io\n")
    app = MockFoundry(inputs=tmp_path / "inputs", uploads=tmp_path / "uploads", stream_rids=[STREAM], token=TOKEN)
    with served(app) as place:
        yield place


def connect(address: str, token: str = TOKEN) -> FoundryClient:
    return FoundryClient(auth=UserTokenAuth(token), hostname=address, config=Config(scheme="http"))


def test_branches_transactions_upload_commit_and_read_table(address: str) -> None:
    datasets = connect(address).datasets
    assert datasets.Dataset.read_table(RID, format="CSV") == b"email\na@x.io\n"
    branch = "feature/x y"
    assert datasets.Dataset.Branch.get(RID, branch).transaction_rid == "ri.foundry.main.transaction.mock"

    transaction = datasets.Dataset.Transaction.create(RID, transaction_type="SNAPSHOT", branch_name=branch)
    assert (transaction.status, transaction.transaction_type, transaction.closed_time) == ("OPEN", "SNAPSHOT", None)
    assert datasets.Dataset.Branch.get(RID, branch).transaction_rid == transaction.rid

    path = "out/enriched file.csv"
    file = datasets.Dataset.File.upload(RID, path, b"email\nb@x.io\n", transaction_rid=transaction.rid)
    assert (file.path, file.transaction_rid, file.size_bytes) == (path, transaction.rid, 13)

    committed = datasets.Dataset.Transaction.commit(RID, transaction.rid)
    assert committed.status == "COMMITTED"
    assert committed.closed_time
    assert committed.closed_time >= committed.created_time
    assert datasets.Dataset.read_table(RID, format="CSV", branch_name=branch) == b"email\nb@x.io\n"

    listed = list(datasets.Dataset.File.list(RID, branch_name=branch))
    assert [(entry.path, entry.size_bytes) for entry in listed] == [(path, 13)]
    assert datasets.Dataset.File.content(RID, path, branch_name=branch) == b"email\nb@x.io\n"
    assert datasets.Dataset.File.get(RID, path, branch_name=branch).path == path


def test_transactions_are_listed_over_all_pages(address: str) -> None:
    dataset = connect(address).datasets.Dataset
    rids = [
        dataset.Transaction.create(RID, transaction_type="APPEND", branch_name=f"b{number}").rid for number in range(5)
    ]
    assert [entry.rid for entry in dataset.transactions(RID, page_size=2, preview=True)] == rids[::-1]


def test_records_are_published_and_read(address: str) -> None:
    stream = connect(address).streams.Dataset.Stream
    stream.publish_record(STREAM, "feature/x", record={"email": "a@x.io", "company": None})
    stream.publish_records(STREAM, "feature/x", records=[{"email": "b@x.io"}, {"email": "c@x.io"}])
    records = stream.get_records(STREAM, "feature/x", limit=2, partition_id="0", start_offset=1)
    assert [(record.offset, record.value) for record in records] == [(1, {"email": "b@x.io"}), (2, {"email": "c@x.io"})]


def test_errors_arrive_as_the_sdks_own(address: str) -> None:
    dataset = connect(address).datasets.Dataset
    with pytest.raises(foundry_sdk.NotFoundError) as missing:
        dataset.read_table("ri.foundry.main.dataset.none", format="CSV")
    assert missing.value.name == "SchemaNotFound"
    dataset.Transaction.create(RID, transaction_type="SNAPSHOT")
    with pytest.raises(foundry_sdk.ConflictError) as conflict:
        dataset.Transaction.create(RID, transaction_type="SNAPSHOT")
    assert conflict.value.name == "OpenTransactionAlreadyExists"
    with pytest.raises(foundry_sdk.UnauthorizedError):
        connect(address, "wrong").datasets.Dataset.Branch.get(RID, "master")
