"""The benchmark's one error."""


class BenchmarkFailed(Exception):
    """Raised when something is missing or failed, so that nothing can be measured. The message is for the user."""
