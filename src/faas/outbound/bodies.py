"""Reads the body of an answer: decoded, limited while it comes, and at a pace that leaves time for other requests."""

import asyncio
import zlib
from collections.abc import AsyncIterable, Callable
from typing import Protocol

from faas.outbound.model import MAX_BODY_BYTES, RequestFailed
from faas.units import format_size

_WINDOW_BITS = {"gzip": 31, "x-gzip": 31, "deflate": 15}
_GZIP_BEGINS = 0x1F
# A body may be sent in chunks of one byte, each of which costs what a chunk of 16 KiB costs. After the first number of
# chunks, a pause follows each group of them, so that the event loop and the GIL are free for others.
_UNTHROTTLED_CHUNKS, _CHUNKS_PER_PAUSE, _PAUSE_SECONDS = 10_000, 64, 0.005
TOO_LARGE = f"the answer is larger than {format_size(MAX_BODY_BYTES)}, the most that is accepted"


class Decompressor(Protocol):
    """What zlib.decompressobj returns."""

    @property
    def eof(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int, /) -> bytes: ...


async def read_body(
    chunks: AsyncIterable[bytes], coding: str | None, hold: Callable[[int], None] = lambda _: None
) -> bytes:
    """Return the whole body, decoded from `coding` if that is not None. Raises RequestFailed for one that is too large.

    The rest of such a body is not read. `hold` is called with the size of each part that is kept; it may raise, too.
    """
    decoder = Decoder(coding) if coding else None
    body = bytearray()  # parts may be so small that each takes many times its bytes
    received = count = 0
    async for chunk in chunks:
        count += 1
        if count % _CHUNKS_PER_PAUSE == 0:
            await asyncio.sleep(_PAUSE_SECONDS if count > _UNTHROTTLED_CHUNKS else 0)
        received += len(chunk)
        part = decoder.decode(chunk, MAX_BODY_BYTES - len(body)) if decoder else chunk
        if max(len(body) + len(part), received) > MAX_BODY_BYTES:
            raise RequestFailed(TOO_LARGE)
        if part:
            hold(len(part))
            body += part
    if decoder and received and not decoder.complete:
        raise RequestFailed(f"the answer ends before its {coding} data does")
    return bytes(body)


def is_decoded(coding: str) -> bool:
    """Return whether `read_body` decodes a coding of a Content-Encoding, in lower case."""
    return coding in _WINDOW_BITS


class Decoder:
    """Decodes one coding, no further than a limit."""

    def __init__(self, coding: str) -> None:
        self._coding = coding
        self._decompressor: Decompressor | None = None

    @property
    def complete(self) -> bool:
        """Whether the end of the data has been seen."""
        return self._decompressor is not None and self._decompressor.eof

    def decode(self, data: bytes, limit: int) -> bytes:
        """Decode `data`, up to `limit` bytes. Raises RequestFailed where there are more, or the data are not valid."""
        decoded = b""
        try:
            while (decompressor := self._decompressor_for(data)) is not None:
                decoded += decompressor.decompress(data, limit + 1 - len(decoded))
                if len(decoded) > limit:
                    raise RequestFailed(TOO_LARGE)
                data = decompressor.unused_data
                if not decompressor.eof:
                    break
        except zlib.error:
            raise RequestFailed(f"the answer is not valid {self._coding} data") from None
        return decoded

    def _decompressor_for(self, data: bytes) -> Decompressor | None:
        """Return what decodes `data`, or None where they are none or the padding after the end."""
        if not data or (self.complete and (self._coding == "deflate" or data[0] != _GZIP_BEGINS)):
            return None
        if self._decompressor is None or self.complete:  # gzip data may be several files, one after the other
            # Many servers send deflate without the header of zlib, whose first byte ends with an 8.
            raw = self._coding == "deflate" and data[0] & 0x0F != 8
            self._decompressor = zlib.decompressobj(-zlib.MAX_WBITS if raw else _WINDOW_BITS[self._coding])
        return self._decompressor
