def handle(event: dict[str, float]) -> dict[str, float]:
    return {"sum": event["a"] + event["b"]}
