"""The scan for private pages, and that a kernel whose scans miss some is not relied on."""

import ctypes
import mmap
import random
from collections.abc import Iterator

import pytest

from faas.runtime import pagemap
from faas.runtime.pagemap import PAGE_BYTES, PageScanner, Scan, ScanFailed, regions_of

PAGES = 3000

needed = pytest.mark.skipif(pagemap.open_scanner() is None, reason="this kernel has no PAGEMAP_SCAN")


@pytest.fixture
def scanner() -> Iterator[PageScanner]:
    opened = PageScanner()
    yield opened
    opened.close()


def pages_of(scanned: bytes, start: int) -> tuple[set[int], set[int]]:
    """Return the private pages that may have content, and those that are the kernel's page of zeros."""
    found: tuple[set[int], set[int]] = (set(), set())
    for first, end, zero in regions_of(scanned):
        found[zero].update(range((first - start) // PAGE_BYTES, (end - start) // PAGE_BYTES))
    return found


@needed
@pytest.mark.parametrize("seed", range(5))
def test_page_scanner_finds_the_written_pages_of_a_file(scanner: PageScanner, seed: int) -> None:
    """In any pattern, with more regions than a batch has, and after pages were discarded."""
    chooser = random.Random(seed)
    with pagemap._mapped_file(PAGES) as memory:
        start = ctypes.addressof(ctypes.c_char.from_buffer(memory))
        scan = Scan(start, PAGES * PAGE_BYTES)
        for written in (range(0, 1200, 2), chooser.sample(range(PAGES), 700), range(PAGES), ()):
            memory.madvise(mmap.MADV_DONTNEED)
            for page in written:
                memory[page * PAGE_BYTES + 7] = 7
            for page in chooser.sample(range(PAGES), 500):
                memory[page * PAGE_BYTES]  # reading makes no page private
            assert pages_of(scanner.scan(scan), start) == (set(written), set())


@needed
@pytest.mark.parametrize("advice", [mmap.MADV_NOHUGEPAGE, mmap.MADV_HUGEPAGE])
def test_page_scanner_finds_the_written_pages_of_anonymous_memory(scanner: PageScanner, advice: int) -> None:
    """With large pages, those beside a written page are private too. Pages that were only read are the page of zeros."""
    size = 8 << 20
    with mmap.mmap(-1, size, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS) as memory:
        memory.madvise(advice)
        start = ctypes.addressof(ctypes.c_char.from_buffer(memory))
        scan = Scan(start, size)
        written, read = {3, 4, 700, size // PAGE_BYTES - 1}, {5, 1300}
        for page in read:
            memory[page * PAGE_BYTES]
        for page in written:
            memory[page * PAGE_BYTES] = 7
        private, zeros = pages_of(scanner.scan(scan), start)
        assert private >= written
        assert private | zeros >= written | read
        if advice == mmap.MADV_NOHUGEPAGE:
            assert (private, zeros) == (written, read)


@needed
def test_page_scanner_refuses_more_regions_than_its_buffer_holds(scanner: PageScanner) -> None:
    pages = 2 * pagemap.MAX_REGIONS + 2
    with pagemap._mapped_file(pages) as memory:
        for page in range(0, pages, 2):
            memory[page * PAGE_BYTES] = 7
        scan = Scan(ctypes.addressof(ctypes.c_char.from_buffer(memory)), pages * PAGE_BYTES)
        with pytest.raises(ScanFailed, match="more than"):
            scanner.scan(scan)
        for page in range(0, pages - 1024, 2):
            memory[(page + 1) * PAGE_BYTES] = 7
        assert sum(end - start for start, end, _ in regions_of(scanner.scan(scan))) // PAGE_BYTES == pages - 512


@needed
def test_open_scanner_refuses_a_kernel_whose_scan_ends_early(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(PageScanner, "_scan_on", lambda _self, _scan, found: found)
    assert pagemap.open_scanner() is None


@needed
def test_open_scanner_refuses_a_kernel_that_misses_a_page(monkeypatch: pytest.MonkeyPatch) -> None:
    scan = PageScanner.scan
    monkeypatch.setattr(PageScanner, "scan", lambda self, of: scan(self, of)[: -pagemap._REGION_BYTES])
    assert pagemap.open_scanner() is None


def test_open_scanner_without_proc(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_self: PageScanner) -> None:
        raise FileNotFoundError("/proc/self/pagemap")

    monkeypatch.setattr(PageScanner, "__init__", fail)
    assert pagemap.open_scanner() is None


@needed
def test_page_scanner_says_whether_page_faults_are_counted(
    monkeypatch: pytest.MonkeyPatch, scanner: PageScanner
) -> None:
    assert scanner.counts_faults
    monkeypatch.setattr(pagemap, "page_faults", lambda: 7)
    unreliable = PageScanner()
    unreliable.close()
    assert not unreliable.counts_faults


@needed
def test_page_scanner_relies_on_no_count_where_threads_have_none(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> int:
        raise ValueError("invalid who parameter")

    monkeypatch.setattr(pagemap, "page_faults", fail)
    scanner = pagemap.open_scanner()
    assert scanner
    assert not scanner.counts_faults
    scanner.close()
