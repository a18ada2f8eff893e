"""Tests of what the benchmark reads about a server from outside."""

import os
import threading
import time

from bench.servers import Server


def test_guest_thread_seconds_are_those_of_threads_with_a_lower_priority() -> None:
    server = Server("", os.getpid(), 0)

    def burn(niceness: int) -> None:
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), niceness)
        while time.thread_time() < 0.2:
            pass
        after.append(server.guest_thread_seconds)

    after: list[float] = []
    before = server.guest_thread_seconds
    for niceness in (0, 10):
        thread = threading.Thread(target=burn, args=(niceness,))
        thread.start()
        thread.join()
    assert after[0] == before
    assert after[1] - before >= 0.15
