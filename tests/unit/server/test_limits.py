"""HeaderLimit: the bytes of a header section within the bounds that the parser allows."""

from faas.server.limits import HeaderLimit


def bounds(limit: HeaderLimit) -> tuple[bool, bool]:
    """Return whether the limit may be exceeded and whether it certainly is."""
    return limit.may_be_exceeded, limit.is_exceeded


def test_header_limit_counts_the_chunks_after_the_first() -> None:
    limit = HeaderLimit(100)
    limit.add_chunk(90)
    limit.start_section()
    assert bounds(limit) == (False, False)
    limit.add_chunk(60)
    assert bounds(limit) == (True, False)  # 150 if the section began with the first byte
    limit.add_chunk(41)
    assert bounds(limit) == (True, True)


def test_header_limit_large_first_chunk_is_not_certain_to_exceed() -> None:
    limit = HeaderLimit(100)
    limit.add_chunk(1000)
    limit.start_section()
    assert bounds(limit) == (True, False)


def test_header_limit_does_not_count_a_body() -> None:
    limit = HeaderLimit(100)
    limit.add_chunk(50)
    limit.start_section()
    limit.end_section()
    assert not limit.in_section
    limit.add_chunk(1000)
    assert bounds(limit) == (False, False)


def test_header_limit_each_section_starts_at_zero() -> None:
    limit = HeaderLimit(100)
    limit.add_chunk(10)
    limit.start_section()
    limit.add_chunk(101)
    assert bounds(limit) == (True, True)
    limit.add_chunk(5)
    limit.start_section()
    assert bounds(limit) == (False, False)
