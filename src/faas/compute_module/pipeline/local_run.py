"""A run from file to file, without Foundry."""

import asyncio
import shutil
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Thread
from typing import BinaryIO

from faas.compute_module.pipeline.address_index import AddressIndex
from faas.compute_module.pipeline.enrichers.enricher import Enricher
from faas.compute_module.pipeline.row_spool import RowSpool
from faas.compute_module.pipeline.rows import Row
from faas.compute_module.pipeline.run_progress import RunProgress
from faas.compute_module.pipeline.table import is_json_lines, read_emails, write_rows
from faas.compute_module.pipeline.workers import enrich_pending
from faas.compute_module.settings import RunSettings
from faas.errors import ConfigurationError


async def run_local(
    source: Path, target: Path, enricher: Enricher, settings: RunSettings, progress: RunProgress
) -> None:
    """Enrich the addresses of `source` into `target`, one row for each row of the input, in its order.

    `target` is replaced by the complete table or not at all. A run that ends early keeps the finished rows in
    `<target>.partial`. Raises ConfigurationError for files that cannot be opened, InvalidTable and FailedFast.
    """
    with TemporaryDirectory(prefix="faas-pipeline-") as folder, RowSpool(Path(folder)) as spool:
        # The input is read twice: the copy cannot change in between, and it allows the input to be a pipe.
        input_copy = Path(folder) / "input"
        partial = target.with_name(target.name + ".partial")
        await _copy_in_daemon_thread(source, input_copy)
        await asyncio.to_thread(_check_writable, partial, target)

        def read_input() -> Iterator[str]:
            return read_emails(input_copy, source.name, json_lines=is_json_lines(source))

        def write_partial() -> int:
            return write_rows(partial, addresses.rows_in_order(read_input()), json_lines=is_json_lines(target))

        async def add_result(row: Row) -> None:
            addresses.add_result(row)

        progress.activity = f"reading {source.name}"
        addresses = AddressIndex(spool, enricher.model)
        await asyncio.to_thread(addresses.add_all, read_input())

        progress.activity = "enriching"
        try:
            await enrich_pending(addresses, enricher, settings, add_result, progress)
        except BaseException:
            # Not in a thread: the task may have been cancelled, and an await would not return before the process ends.
            if progress.ok:
                progress.written = f"{write_partial()} finished rows to {partial}"
            raise
        progress.activity = f"writing {target.name}"
        progress.written = f"an unfinished table to {partial}"
        count = await asyncio.to_thread(write_partial)
        partial.replace(target)
        progress.written = f"{count} rows to {target}"


async def _copy_in_daemon_thread(source: Path, copy: Path) -> None:
    """Copy `source` in a thread that does not delay the end of the process.

    Reading a pipe blocks until its writer closes it. `asyncio.to_thread` uses threads that the interpreter joins at its
    exit, so a signal could not end the run.
    """
    # Not opened in the thread: the run may end, and delete the folder, while the thread waits for the input.
    outgoing = await asyncio.to_thread(copy.open, "wb")
    loop = asyncio.get_running_loop()
    copied: asyncio.Future[None] = loop.create_future()

    def set_result(failure: BaseException | None) -> None:
        if copied.done():
            return
        if failure:
            copied.set_exception(failure)
        else:
            copied.set_result(None)

    def work() -> None:
        failure: BaseException | None = None
        try:
            _copy(source, outgoing)
        except Exception as error:  # noqa: BLE001 - raised again in the event loop
            failure = error
        with suppress(RuntimeError):  # the event loop is closed
            loop.call_soon_threadsafe(set_result, failure)

    Thread(target=work, name="read-input", daemon=True).start()
    await copied


def _copy(source: Path, outgoing: BinaryIO) -> None:
    try:
        with outgoing, source.open("rb") as incoming:
            shutil.copyfileobj(incoming, outgoing)
    except OSError as error:
        raise ConfigurationError(f"--input {source}: {error.strerror}") from None


def _check_writable(partial: Path, target: Path) -> None:
    try:
        if target.is_dir():
            raise IsADirectoryError(0, "is a folder, not a file")
        existed = partial.exists()
        with partial.open("ab"):
            pass
        if not existed:
            partial.unlink()
    except OSError as error:
        raise ConfigurationError(f"--output {target}: {error.strerror}") from None
