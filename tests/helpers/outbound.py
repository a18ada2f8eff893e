"""Outbound requests of functions in tests: real ones to servers on 127.0.0.1, without the rules of the server."""

import threading
from collections.abc import Callable
from functools import cache
from typing import Any

import httpx

from faas.runtime import frames


@cache
def _client() -> httpx.Client:
    """Return the client of all sessions: to make one takes longer than some tests have."""
    return httpx.Client(trust_env=False, timeout=10)


class DirectSession:
    """The requests of one execution, each in a thread. `requests` are the heads, in the order of their start."""

    def __init__(self, wake: Callable[[], None]) -> None:
        self.requests: list[frames.RequestHead] = []
        self._wake = wake
        self._responses: dict[int, bytes] = {}

    def start(self, frame: bytes) -> int:
        """Begin a request in a thread."""
        head, body = frames.decode_request(frame)
        self.requests.append(head)
        number = len(self.requests)
        threading.Thread(target=self._make, args=(number, head, body), daemon=True).start()
        return number

    def take(self, number: int) -> bytes | None:
        """Return a response, once."""
        return self._responses.pop(number, None)

    def records(self) -> tuple[Any, ...]:
        """Return nothing."""
        return ()

    def close(self) -> None:
        """Let requests in progress end on their own."""

    def _make(self, number: int, head: frames.RequestHead, body: bytes) -> None:
        try:
            response = _client().request(
                head.method,
                head.url,
                headers=[(name.encode(), value.encode("latin-1")) for name, value in head.headers],
                content=body,
                follow_redirects=head.redirect == "follow",
            )
        except httpx.HTTPError as error:
            answer = frames.encode(frames.ResponseHead(error=f"{head.url} cannot be reached: {error}"), b"")
        else:
            answer = frames.encode(
                frames.ResponseHead(
                    status=response.status_code,
                    status_text=response.reason_phrase,
                    url=str(response.url),
                    headers=tuple(
                        (name.decode().lower(), value.decode("latin-1")) for name, value in response.headers.raw
                    ),
                ),
                response.content,
            )
        self._responses[number] = answer
        self._wake()


def open_direct_session(_remaining: Callable[[], float], wake: Callable[[], None]) -> DirectSession:
    """Open a session; for `Reach.open_session`."""
    return DirectSession(wake)
