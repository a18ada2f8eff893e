"""The Foundry run: input, output mode, cache, work, write, in this order."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import uuid4

import msgspec
import structlog

from faas.compute_module.errors import FoundryRequestFailed
from faas.compute_module.foundry.client import FoundryClient, is_absent
from faas.compute_module.foundry.environment import DatasetRef
from faas.compute_module.foundry.records import read_records_file
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
    """What one run reads and writes."""

    source: DatasetRef
    target: DatasetRef
    write_mode: WriteMode
    filename: str


async def run_foundry(
    job: FoundryRunSpec, client: FoundryClient, enricher: Enricher, settings: RunSettings, progress: RunProgress
) -> None:
    """Enrich the addresses of `job.source` into `job.target`: the flow charts of docs/compute-module/README.md.

    Raises FoundryRequestFailed, InvalidTable and FailedFast; `progress.written` then says what had been written.
    """
    with TemporaryDirectory(prefix="faas-pipeline-") as folder, RowSpool(Path(folder)) as spool:
        table, earlier, output = Path(folder) / "input.csv", Path(folder) / "earlier", Path(folder) / "output.csv"

        def emails() -> Iterator[str]:
            return read_emails(table, f"input {job.source.rid}")

        # the input
        progress.activity = "reading the input"
        await client.read_table(job.source, table)
        addresses = AddressIndex(spool, enricher.model)
        await asyncio.to_thread(addresses.add_all, emails())

        # the output mode
        stream = await client.is_stream(job.target) if job.write_mode == "auto" else job.write_mode == "stream"
        log.info("foundry.output", mode="stream" if stream else "dataset", rid=job.target.rid)

        # the cache
        progress.activity = "reading the earlier output"
        try:
            if stream:
                await client.read_records(job.target, earlier)
                rows = read_records_file(earlier)
            else:
                await client.read_table(job.target, earlier)
                rows = read_rows(earlier, f"earlier output {job.target.rid}")
            await asyncio.to_thread(apply_cached_rows, addresses, rows, copy_rows=not stream)
        except FoundryRequestFailed as failure:
            if not is_absent(failure):
                raise
            log.info("foundry.no_cache", status=failure.status)

        # the work, which for a stream is the write too
        progress.activity = "enriching"
        if stream:
            await enrich_pending(
                addresses, enricher, settings, _Publisher(client, job.target, progress).publish, progress
            )
            return

        async def settle(row: Row) -> None:
            addresses.add_result(row)

        await enrich_pending(addresses, enricher, settings, settle, progress)

        # the write of a dataset: a snapshot of every row of the input, in its order
        progress.activity = "writing the output"
        count = await asyncio.to_thread(write_rows, output, addresses.rows_in_order(emails()))
        transaction = await client.open_transaction(job.target)
        progress.written = f"nothing yet in transaction {transaction.rid}, which is open"
        await client.upload(job.target, transaction, job.filename, output)
        progress.written = f"{count} rows as {job.filename} in transaction {transaction.rid}, not committed"
        if transaction.ours:
            await client.commit(job.target, transaction)
            progress.written = f"{count} rows as {job.filename} in transaction {transaction.rid}, committed"
        else:
            progress.written += ": the platform opened it and commits it"


class _Publisher:
    """Writes rows to a stream, and down how many."""

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
