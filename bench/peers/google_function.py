"""The benchmark's function for Google's functions-framework."""

from flask import Request


def add(request: Request) -> dict[str, float]:
    """Return the sum of a and b."""
    if request.method == "GET":  # the readiness check of the benchmark
        return {}
    asked = request.get_json()["input"]
    return {"sum": asked["a"] + asked["b"]}
