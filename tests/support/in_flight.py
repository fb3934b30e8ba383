"""Requests that the live server is still answering, though the browser that asked has gone."""

import threading
import time
from collections.abc import Callable

from django.http import HttpRequest, HttpResponse

PATIENCE_S = 15.0
# A request may have been sent and not yet begun.
QUIET_FOR_S = 0.05

_lock = threading.Lock()
_answering = 0


def count_requests(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """Middleware, the outermost: knows how many requests are being answered."""

    def answer(request: HttpRequest) -> HttpResponse:
        global _answering
        with _lock:
            _answering += 1
        try:
            return get_response(request)
        finally:
            with _lock:
                _answering -= 1

    return answer


def wait_until_answered() -> None:
    """Return when no request is being answered. Raises AssertionError when one does not end."""
    until = time.monotonic() + PATIENCE_S
    while True:
        time.sleep(QUIET_FOR_S)
        with _lock:
            if not _answering:
                return
        assert time.monotonic() < until, f"{_answering} requests do not end"
