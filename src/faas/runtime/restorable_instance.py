"""An instance of an engine that can be made equal to its image again, to the byte, and so serve more than one call."""

from collections import deque
from itertools import starmap
from typing import TYPE_CHECKING, Any

from faas.runtime.c_api import ffi
from faas.runtime.images import WASM_PAGE_BYTES
from faas.runtime.instance import Instance
from faas.runtime.pagemap import PAGE_BYTES, PageScanner, Scan, ScanFailed, page_faults, regions_of

if TYPE_CHECKING:
    from faas.runtime.engine_module import FunctionImage

# Of one instance. 4 MiB: restoring as many takes about as long as a fresh instance of an engine, and all kept
# instances together are MAX_KEPT_INSTANCES times that.
MAX_PRIVATE_PAGES = 1024
# A scan takes 16 µs for an instance in JavaScript and 46 in Python, most of a restore, and mostly finds the same pages:
# a call without a page fault has made no other page private. Now and then that is checked.
MAX_CALLS_WITHOUT_SCAN = 255


class RestorableInstance(Instance):
    """An instance of `image`.

    What an instance consists of besides native code is its memory, its globals and its table. `restore` copies every
    private page of the memory and sets every mutable global; engines do not change their table (hidden_state.py).
    """

    restorable = True
    __slots__ = (
        "_copies", "_faults", "_scan", "_seen", "_seen_pages", "_size", "_source", "calls_since_scan", "image",
        "last_call", "private_pages",
    )  # fmt: skip

    def __init__(self, image: "FunctionImage", memory_limit: int) -> None:
        super().__init__(image.pool.engine_address, memory_limit)
        self.image = image
        self._size = image.pages * WASM_PAGE_BYTES
        self._scan: Scan | None = None
        self._seen: bytes | None = None  # the regions that the copies below are for: they are mostly the same ones
        self._copies: list[tuple[Any, Any, int]] = []  # to, from, size
        self._source: Any = None  # kept alive: the copies point into it
        self.private_pages = 0
        self.last_call = 0  # of KeptInstances
        self._faults = -1  # of this thread when the call began
        self._seen_pages = 0  # in these regions
        self.calls_since_scan = 0

    def begin_call(self) -> None:
        """Note that a call begins. `restore` must be called after it in the same thread."""
        self._faults = page_faults()

    def restore(self, scanner: PageScanner) -> bool:
        """Make the instance equal to its image. Returns False where it must be thrown away instead.

        That is after a trap or an interrupt, when its memory has grown, and with more than MAX_PRIVATE_PAGES private
        pages. Raises ScanFailed and c_api.CallFailed.
        """
        if self.failed or self.memory_size != self._size:
            return False
        faults = page_faults() - self._faults if scanner.counts_faults else None
        self.calls_since_scan += 1
        if self._seen is None or faults != 0 or self.calls_since_scan > MAX_CALLS_WITHOUT_SCAN:
            self._scan_pages(scanner, faults)
        if self.private_pages > MAX_PRIVATE_PAGES:
            return False
        deque(starmap(ffi.memmove, self._copies), maxlen=0)
        self.set_globals(self.image.global_values)
        return True

    def _scan_pages(self, scanner: PageScanner, faults: int | None) -> None:
        """Find the private pages. Raises ScanFailed, also where more pages became private than there were faults.

        A fault makes one page private at most, as the memory has no large pages.
        """
        self.calls_since_scan = 0
        if self._scan is None:
            self._scan = Scan(int(ffi.cast("uintptr_t", self.memory_address)), self._size)
        scanned = scanner.scan(self._scan)
        if scanned == self._seen:
            return
        pages = sum(end - start for start, end, _ in regions_of(scanned)) // PAGE_BYTES
        if self._seen is not None and faults is not None and (not faults or pages - self._seen_pages > faults):
            scanner.counts_faults = False
            raise ScanFailed("pages became private without a page fault; every call is scanned from now on")
        self._plan(scanned, self._scan.start)
        self._seen_pages = pages

    def _plan(self, scanned: bytes, base: int) -> None:
        """List what must be copied for these regions, from a buffer with what the image has there."""
        self._seen = None  # an exception must not leave `_copies` as those of other regions
        memory = self.memory_address
        regions = self._private_regions(scanned, base)
        size = sum(end - start for start, end in regions)
        self.private_pages, self._copies = size // PAGE_BYTES, []
        if self.private_pages > MAX_PRIVATE_PAGES:
            return
        source: Any = ffi.new("char[]", size)
        self._source = source
        for start, end in regions:
            self.image.copy_to(source, start, end)
            self._copies.append((memory + start, source, end - start))
            source += end - start
        self._seen = scanned

    def _private_regions(self, scanned: bytes, base: int) -> list[tuple[int, int]]:
        """Return the regions to be copied, without those that only show zeros. Raises ScanFailed."""
        regions: list[tuple[int, int]] = []
        for region_start, region_end, zero in regions_of(scanned):
            start, end = region_start - base, region_end - base
            if not 0 <= start < end <= self._size:  # copying would write beside the memory of the guest
                raise ScanFailed(f"the region {start:#x} to {end:#x} is not in a memory of {self._size:#x} bytes")
            if zero and self.image.is_zero(start, end):
                continue  # read only, and it still is what the image has there
            if regions and start == regions[-1][1]:
                start = regions.pop()[0]
            regions.append((start, end))
        return regions
