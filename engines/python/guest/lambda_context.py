"""The second argument of `lambda_handler`, with the names that AWS Lambda's Python runtime gives it."""

import uuid

import _faas_host


class LambdaContext:
    """What a handler may ask about its execution."""

    function_name = "function"
    function_version = "$LATEST"
    invoked_function_arn = "function"
    log_group_name = "function"
    log_stream_name = "function"
    identity = None
    client_context = None

    def __init__(self, execution_id: bytes) -> None:
        self.aws_request_id = str(uuid.UUID(bytes=execution_id))

    def get_remaining_time_in_millis(self) -> int:
        """Return the milliseconds until the time limit."""
        return max(0, int(_faas_host.remaining()))

    def __repr__(self) -> str:
        return f"LambdaContext(aws_request_id={self.aws_request_id!r})"
