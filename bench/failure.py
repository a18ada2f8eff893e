"""The benchmark's one error."""


class BenchmarkFailed(Exception):
    """Something is missing or went wrong, so that there is nothing to measure; the message is for whoever ran it."""
