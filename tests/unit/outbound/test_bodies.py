"""Bodies of answers: decoded, and limited before they are in memory."""

import asyncio
import gzip
import tracemalloc
import zlib
from collections.abc import AsyncIterator, Callable, Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from faas.outbound.bodies import Decoder, read_body
from faas.outbound.model import MAX_BODY_BYTES, RequestFailed

RAW = zlib.compressobj(wbits=-15)
RAW_DEFLATE = RAW.compress(b"text") + RAW.flush()


async def pieces(data: bytes, size: int = 16 << 10) -> AsyncIterator[bytes]:
    for start in range(0, len(data), size):
        yield data[start : start + size]


@pytest.mark.parametrize("size", [1, 7, 16 << 10])
@pytest.mark.parametrize(
    ("coding", "data", "body"),
    [
        (None, b"text", b"text"),
        ("gzip", gzip.compress(b"text", mtime=0), b"text"),
        ("x-gzip", gzip.compress(b"text", mtime=0), b"text"),
        ("gzip", gzip.compress(b"one", mtime=0) + gzip.compress(b"two", mtime=0), b"onetwo"),
        ("gzip", gzip.compress(b"text", mtime=0) + bytes(10), b"text"),
        ("gzip", b"", b""),
        ("gzip", gzip.compress(b"", mtime=0), b""),
        ("deflate", zlib.compress(b"text"), b"text"),
        ("deflate", RAW_DEFLATE, b"text"),
    ],
)
async def test_read_body_decodes(coding: str | None, data: bytes, body: bytes, size: int) -> None:
    assert await read_body(pieces(data, size), coding) == body


@pytest.mark.parametrize("coding", ["gzip", "deflate"])
@pytest.mark.parametrize("data", [b"text", gzip.compress(b"text", mtime=0)[:-3], zlib.compress(b"text")[:-1], b"\x1f"])
async def test_read_body_refuses_invalid_data(coding: str, data: bytes) -> None:
    with pytest.raises(RequestFailed, match=coding):
        await read_body(pieces(data), coding)


@pytest.mark.parametrize("coding", [None, "gzip", "deflate"])
async def test_read_body_takes_six_mebibytes_and_no_more(coding: str | None) -> None:
    encoders: dict[str | None, Callable[[bytes], bytes]] = {
        None: bytes,
        "gzip": gzip.compress,
        "deflate": zlib.compress,
    }
    encode = encoders[coding]
    assert len(await read_body(pieces(encode(bytes(MAX_BODY_BYTES))), coding)) == MAX_BODY_BYTES
    with pytest.raises(RequestFailed, match="larger than 6 MiB"):
        await read_body(pieces(encode(bytes(MAX_BODY_BYTES + 1))), coding)


async def test_read_body_ends_a_bomb_early() -> None:
    bomb = gzip.compress(bytes(1 << 30), 9)
    tracemalloc.start()
    try:
        with pytest.raises(RequestFailed, match="larger than 6 MiB"):
            await read_body(pieces(bomb), "gzip")
        assert tracemalloc.get_traced_memory()[1] < 5 * MAX_BODY_BYTES
    finally:
        tracemalloc.stop()


async def test_read_body_ends_a_bomb_of_many_files() -> None:
    with pytest.raises(RequestFailed, match="larger than 6 MiB"):
        await read_body(pieces(gzip.compress(bytes(1 << 20)) * 7), "gzip")
    with pytest.raises(RequestFailed, match="larger than 6 MiB"):
        await read_body(pieces(gzip.compress(b"", mtime=0) * (MAX_BODY_BYTES // 20 + 1)), "gzip")


async def test_read_body_lets_others_run_between_small_chunks() -> None:
    turns = 0

    async def count_turns() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    counting = asyncio.create_task(count_turns())
    try:
        await read_body(pieces(bytes(6_400), 1), None)
    finally:
        counting.cancel()
    assert turns >= 100


@given(st.lists(st.binary(max_size=300), max_size=4), st.integers(1, 40))
def test_decoder_reads_files_in_any_pieces(files: list[bytes], size: int) -> None:
    data = b"".join(map(gzip.compress, files))
    decoder = Decoder("gzip")
    decoded: Iterable[bytes] = [decoder.decode(data[at : at + size], 10_000) for at in range(0, len(data), size)]
    assert b"".join(decoded) == b"".join(files)


async def test_read_body_of_small_parts_takes_no_more_than_its_bytes() -> None:
    async def drops() -> AsyncIterator[bytes]:
        for number in range(9_000):  # of 2 bytes, as Python has those of one already
            yield number.to_bytes(2, "big")

    peaks = []
    for _ in range(5):  # other tasks and threads of the process count too, but not each time
        tracemalloc.start()
        try:
            body = await read_body(drops(), None)
            peaks.append(tracemalloc.get_traced_memory()[1])
        finally:
            tracemalloc.stop()
        assert len(body) == 18_000
    assert min(peaks) < 200_000  # more than 500,000 where each part is kept
