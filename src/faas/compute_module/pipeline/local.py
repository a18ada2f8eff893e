"""File to file: the run without a platform around it."""

import asyncio
import shutil
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Thread

from faas.compute_module.pipeline.addresses import Addresses
from faas.compute_module.pipeline.enrichers.enricher import Enricher
from faas.compute_module.pipeline.rows import Row
from faas.compute_module.pipeline.spool import Spool
from faas.compute_module.pipeline.table import is_json_lines, read_emails, write_rows
from faas.compute_module.pipeline.tally import Tally
from faas.compute_module.pipeline.work import enrich_pending
from faas.compute_module.settings import RunSettings
from faas.errors import ConfigurationError


async def run_local(source: Path, target: Path, enricher: Enricher, settings: RunSettings, tally: Tally) -> None:
    """Enrich the addresses of `source` into `target`, one row for each of its rows, in its order.

    `target` appears whole or not at all. A run that ends early keeps the finished rows in `<target>.partial`.
    Raises ConfigurationError for files that cannot be opened, InvalidTable and FailedFast.
    """
    with TemporaryDirectory(prefix="faas-pipeline-") as folder, Spool(Path(folder)) as spool:
        copy = Path(folder) / "input"  # read twice, so it must not change meanwhile, and a pipe is fine too
        partial = target.with_name(target.name + ".partial")
        await _fetch(source, copy)
        await asyncio.to_thread(_check_writable, partial, target)

        def emails() -> Iterator[str]:
            return read_emails(copy, source.name, json_lines=is_json_lines(source))

        tally.note = f"reading {source.name}"
        addresses = Addresses(spool, enricher.model)
        await asyncio.to_thread(addresses.add_all, emails())

        async def settle(row: Row) -> None:
            addresses.settle(row)

        def write() -> int:
            return write_rows(partial, addresses.rows_of(emails()), json_lines=is_json_lines(target))

        tally.note = "enriching"
        try:
            await enrich_pending(addresses, enricher, settings, settle, tally)
        except BaseException:
            # here and not in a thread: the task may have been cancelled, and what comes next ends the process
            if tally.ok:
                tally.written = f"{write()} finished rows to {partial}"
            raise
        tally.note = f"writing {target.name}"
        tally.written = f"an unfinished table to {partial}"
        count = await asyncio.to_thread(write)
        partial.replace(target)
        tally.written = f"{count} rows to {target}"


async def _fetch(source: Path, copy: Path) -> None:
    """`_copy`, in a thread that nobody waits for: a pipe is read until its writer ends, a signal must not wait."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[None] = loop.create_future()

    def settle(failure: BaseException | None) -> None:
        if done.cancelled():
            return
        if failure:
            done.set_exception(failure)
        else:
            done.set_result(None)

    def work() -> None:
        failure: BaseException | None = None
        try:
            _copy(source, copy)
        except Exception as error:  # noqa: BLE001 - raised again where it is waited for
            failure = error
        with suppress(RuntimeError):  # the loop has ended
            loop.call_soon_threadsafe(settle, failure)

    Thread(target=work, name="read-input", daemon=True).start()
    await done


def _copy(source: Path, copy: Path) -> None:
    try:
        with source.open("rb") as incoming, copy.open("wb") as outgoing:
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
