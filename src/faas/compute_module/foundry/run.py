"""A run in Foundry: read the input, choose the output mode, read the cache, enrich, write the output, in this order."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import uuid4

import msgspec
import structlog

from faas.compute_module.errors import FoundryRequestFailed
from faas.compute_module.foundry.client import FoundryClient, means_no_cache
from faas.compute_module.foundry.environment import DatasetRef
from faas.compute_module.foundry.stream_records import read_rows_of_file
from faas.compute_module.pipeline.address_index import AddressIndex
from faas.compute_module.pipeline.cache import apply_cached_rows
from faas.compute_module.pipeline.enrichers.enricher import Enricher
from faas.compute_module.pipeline.row_spool import RowSpool
from faas.compute_module.pipeline.rows import Row
from faas.compute_module.pipeline.run_progress import RunProgress
from faas.compute_module.pipeline.table import read_emails, read_rows, write_rows
from faas.compute_module.pipeline.workers import enrich_pending
from faas.compute_module.settings import RunSettings, WriteMode

log = structlog.get_logger()


class FoundryRunSpec(msgspec.Struct, frozen=True):
    """The input and the output of one run."""

    source: DatasetRef
    target: DatasetRef
    write_mode: WriteMode
    filename: str


async def run_foundry(
    spec: FoundryRunSpec, client: FoundryClient, enricher: Enricher, settings: RunSettings, progress: RunProgress
) -> None:
    """Enrich the addresses of `spec.source` into `spec.target`, as the flow charts of docs/compute-module show.

    Raises FoundryRequestFailed, InvalidTable and FailedFast; `progress.written` then describes the output so far.
    """
    with TemporaryDirectory(prefix="faas-pipeline-") as name, RowSpool(Path(name)) as spool:
        folder = Path(name)
        input_table = folder / "input.csv"
        addresses = AddressIndex(spool, enricher.model)

        def read_input() -> Iterator[str]:
            return read_emails(input_table, f"input {spec.source.rid}")

        progress.activity = "reading the input"
        await client.read_table(spec.source, input_table)
        await asyncio.to_thread(addresses.add_all, read_input())

        is_stream = await _is_stream(spec, client)
        log.info("output_mode.chosen", mode="stream" if is_stream else "dataset", rid=spec.target.rid)

        progress.activity = "reading the earlier output"
        await _apply_cache(addresses, client, spec.target, folder / "earlier", is_stream=is_stream)

        progress.activity = "enriching"
        if is_stream:
            publisher = _StreamPublisher(client, spec.target, progress)
            await enrich_pending(addresses, enricher, settings, publisher.publish, progress)
            return

        async def add_result(row: Row) -> None:
            addresses.add_result(row)

        await enrich_pending(addresses, enricher, settings, add_result, progress)

        progress.activity = "writing the output"
        output = folder / "output.csv"
        count = await asyncio.to_thread(write_rows, output, addresses.rows_in_order(read_input()))
        await _write_dataset(spec, client, output, count, progress)


async def _is_stream(spec: FoundryRunSpec, client: FoundryClient) -> bool:
    if spec.write_mode == "auto":
        return await client.is_stream(spec.target)
    return spec.write_mode == "stream"


async def _apply_cache(
    addresses: AddressIndex, client: FoundryClient, target: DatasetRef, earlier: Path, *, is_stream: bool
) -> None:
    """Mark the addresses that the earlier output answers. An output that is missing or forbidden is no cache."""
    try:
        if is_stream:
            await client.read_records(target, earlier)
            rows = read_rows_of_file(earlier)
        else:
            await client.read_table(target, earlier)
            rows = read_rows(earlier, f"earlier output {target.rid}")
        await asyncio.to_thread(apply_cached_rows, addresses, rows, copy_rows=not is_stream)
    except FoundryRequestFailed as failure:
        if not means_no_cache(failure):
            raise
        log.info("cache.skipped", status=failure.status)


async def _write_dataset(
    spec: FoundryRunSpec, client: FoundryClient, output: Path, count: int, progress: RunProgress
) -> None:
    """Upload `output` in a transaction, and commit it unless Foundry opened it."""
    transaction = await client.open_transaction(spec.target)
    progress.written = f"nothing yet in transaction {transaction.rid}, which is open"
    await client.upload(spec.target, transaction, spec.filename, output)
    uploaded = f"{count} rows as {spec.filename} in transaction {transaction.rid}"
    if not transaction.is_ours:
        progress.written = f"{uploaded}, not committed: Foundry opened it and commits it"
        return
    progress.written = f"{uploaded}, not committed"
    await client.commit(spec.target, transaction)
    progress.written = f"{uploaded}, committed"


class _StreamPublisher:
    """Publishes rows to a stream and counts them in `progress.written`."""

    def __init__(self, client: FoundryClient, target: DatasetRef, progress: RunProgress) -> None:
        self._client = client
        self._target = target
        self._progress = progress
        self._run_id = str(uuid4())
        self._count = 0

    async def publish(self, row: Row) -> None:
        await self._client.publish(self._target, row, self._run_id)
        self._count += 1
        self._progress.written = f"{self._count} records to stream {self._target.rid}"
