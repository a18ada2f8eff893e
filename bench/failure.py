"""The error of the benchmark."""


class BenchmarkFailed(Exception):
    """Raised when a measurement is not possible or not valid; the message is for the user."""
