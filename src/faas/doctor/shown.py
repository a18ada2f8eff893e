"""Format rounded sizes and limits for findings."""

import resource


def show_size(size: float) -> str:
    """Return `size` bytes in binary units with one decimal: `77.0 GiB`."""
    for unit, factor in (("TiB", 1 << 40), ("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)):
        if size >= factor:
            return f"{size / factor:.1f} {unit}".replace(".0 ", " ")
    return f"{size:.0f} bytes"


def show_limit(limit: int) -> str:
    """Return a limit that counts things, or `unlimited`."""
    return "unlimited" if limit == resource.RLIM_INFINITY else f"{limit:,}"
