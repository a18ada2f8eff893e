"""PAGEMAP_SCAN: which pages of this process are its own, and no longer those of the file that they were mapped from.

Linux 6.7 and later; no privileges are needed (https://docs.kernel.org/admin-guide/mm/pagemap.html). The structures are
those of `linux/fs.h`.
"""

import ctypes
import mmap
import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import structlog
from cffi import FFI

log = structlog.get_logger()

PAGE_BYTES = 4096
MAX_REGIONS = 2048  # of one scan; memory with more of them is too scattered to be worth restoring

_ffi = FFI()
_ffi.cdef("""
typedef struct { uint64_t start, end, categories; } page_region;
typedef struct {
    uint64_t size, flags, start, end, walk_end, vec, vec_len, max_pages;
    uint64_t category_inverted, category_mask, category_anyof_mask, return_mask;
} pm_scan_arg;
int ioctl(int descriptor, unsigned long request, void *argument);
""")
_libc: Any = _ffi.dlopen(None)
_REGION_BYTES = _ffi.sizeof("page_region")
_PAGEMAP_SCAN = 3 << 30 | _ffi.sizeof("pm_scan_arg") << 16 | ord("f") << 8 | 16  # _IOWR('f', 16, struct pm_scan_arg)
_FILE, _PRESENT, _SWAPPED, _ZERO = 1 << 2, 1 << 3, 1 << 4, 1 << 5
# The kernel's own batches. Given a longer buffer, Linux 6.18 fills it beyond the first batch, and still reports the end
# of that batch as the end of the scan.
_BATCH_REGIONS = 512


def page_faults() -> int:
    """Return how many page faults this thread has had.

    The kernel gives a process a private page only in a page fault of the thread that writes to it, or when it makes a
    large page. So where there are no large pages, and this number is the same, a thread has made no page private.
    """
    usage = resource.getrusage(resource.RUSAGE_THREAD)
    return usage.ru_minflt + usage.ru_majflt


class ScanFailed(Exception):
    """Raised when the kernel refuses a scan, or finds more regions than MAX_REGIONS."""


class PageScanner:
    """Scans memory for private pages. Safe to use from several threads, each with a Scan of its own.

    `counts_faults` is False where page_faults() did not count a page that became private: every call must be scanned.
    """

    def __init__(self) -> None:
        try:
            self.counts_faults = _counts_faults()
        except ValueError:  # getrusage knows no threads
            self.counts_faults = False
        self._descriptor = os.open("/proc/self/pagemap", os.O_RDONLY | os.O_CLOEXEC)

    def close(self) -> None:
        """Close the file."""
        os.close(self._descriptor)

    def scan(self, scan: "Scan") -> bytes:
        """Return the regions of private pages in the memory of `scan`, for `regions_of`.

        A page is private when it is in memory or swapped out, and not a page of a file. So is the kernel's page of
        zeros, which memory that was only read may have. Raises ScanFailed.
        """
        argument = scan.argument
        argument.walk_end = 0  # the kernel keeps what it finds there in some cases
        found = _libc.ioctl(self._descriptor, _PAGEMAP_SCAN, argument)
        if found < 0:
            raise ScanFailed(f"PAGEMAP_SCAN: {os.strerror(_ffi.errno)}")
        if argument.walk_end != scan.end:
            found = self._scan_on(scan, found)
        regions: bytes = _ffi.buffer(scan.regions, found * _REGION_BYTES)[:]
        return regions

    def _scan_on(self, scan: "Scan", found: int) -> int:
        """Scan what is left after a first batch of `found` regions. Returns how many there are then."""
        argument = scan.argument
        try:
            while (position := argument.walk_end) < scan.end:
                if found + _BATCH_REGIONS > MAX_REGIONS:
                    raise ScanFailed(f"more than {found} regions")
                argument.start, argument.vec = position, scan.address + found * _REGION_BYTES
                argument.walk_end = 0
                count = _libc.ioctl(self._descriptor, _PAGEMAP_SCAN, argument)
                if count < 0 or argument.walk_end <= position:
                    raise ScanFailed(f"PAGEMAP_SCAN: {os.strerror(_ffi.errno)}")
                found += count
        finally:
            argument.start, argument.vec = scan.start, scan.address
        return found


class Scan:
    """The memory of `size` bytes at the address `start`, and a buffer for the regions that are found in it."""

    __slots__ = ("address", "argument", "end", "regions", "start")

    def __init__(self, start: int, size: int) -> None:
        self.start, self.end = start, start + size
        self.regions: Any = _ffi.new("page_region[]", MAX_REGIONS)
        self.address = int(_ffi.cast("uintptr_t", self.regions))
        argument: Any = _ffi.new("pm_scan_arg *")
        argument.size = _ffi.sizeof("pm_scan_arg")
        argument.start, argument.end = self.start, self.end
        argument.vec, argument.vec_len = self.address, _BATCH_REGIONS
        argument.category_inverted = argument.category_mask = _FILE
        argument.category_anyof_mask = _PRESENT | _SWAPPED
        argument.return_mask = _ZERO
        self.argument = argument


def regions_of(scanned: bytes) -> Iterator[tuple[int, int, bool]]:
    """Return the start, the end and "are these the kernel's page of zeros" of each region, in ascending order."""
    regions: Any = _ffi.from_buffer("page_region[]", scanned)
    for number in range(len(scanned) // _REGION_BYTES):
        region = regions[number]
        yield region.start, region.end, bool(region.categories & _ZERO)


def open_scanner() -> PageScanner | None:
    """Return a scanner, or None where the kernel does not have PAGEMAP_SCAN or does not do what is expected of it."""
    try:
        scanner = PageScanner()
    except OSError as error:
        log.info("page_scanner.unavailable", error=str(error))
        return None
    try:
        _check(scanner)
    except (OSError, ScanFailed) as error:
        log.info("page_scanner.unavailable", error=str(error))
        scanner.close()
        return None
    return scanner


def _check(scanner: PageScanner) -> None:
    """Raise ScanFailed unless the written pages of a mapped file and of anonymous memory are found.

    They are in more regions than the kernel reports at once. More pages may be found: with large pages, the neighbours
    of a page become private together with it.
    """
    pages = 2 * _BATCH_REGIONS + 64
    written = set(range(1, pages, 2))
    with _mapped_file(pages) as of_file, mmap.mmap(-1, pages * PAGE_BYTES, mmap.MAP_PRIVATE) as anonymous:
        for memory in (of_file, anonymous):
            start = ctypes.addressof(ctypes.c_char.from_buffer(memory))
            for page in written:
                memory[page * PAGE_BYTES] = 1
            memory[2 * PAGE_BYTES]  # read only
            found = {
                page
                for first, end, zero in regions_of(scanner.scan(Scan(start, pages * PAGE_BYTES)))
                for page in range((first - start) // PAGE_BYTES, (end - start) // PAGE_BYTES)
                if not zero
            }
            if missed := written - found:
                raise ScanFailed(
                    f"PAGEMAP_SCAN missed {len(missed)} of {len(written)} written pages, {min(missed)} first"
                )


def _counts_faults() -> bool:
    """Return True if page_faults() counts the first write to each page of a mapped file and of anonymous memory."""
    pages = 16
    with _mapped_file(pages) as of_file, mmap.mmap(-1, pages * PAGE_BYTES, mmap.MAP_PRIVATE) as anonymous:
        with suppress(OSError):  # a kernel without large pages
            anonymous.madvise(mmap.MADV_NOHUGEPAGE)
        for memory in (of_file, anonymous):
            for page in range(pages):
                before = page_faults()
                memory[page * PAGE_BYTES] = 1
                if page_faults() == before:
                    return False
    return True


@contextmanager
def _mapped_file(pages: int) -> Iterator[mmap.mmap]:
    descriptor = os.memfd_create("faas-pagemap-check", os.MFD_CLOEXEC)
    try:
        os.ftruncate(descriptor, pages * PAGE_BYTES)
        with mmap.mmap(descriptor, pages * PAGE_BYTES, mmap.MAP_PRIVATE) as memory:
            yield memory
    finally:
        os.close(descriptor)
