"""How long a session lasts: until nobody did anything for a while, and in any case until the end of a shift.

A page that refreshes itself is no doing. Moments are seconds since 1970.
"""

import time
from math import ceil

from django.conf import settings
from django.http import HttpRequest

BEGAN, SEEN = "began", "seen"
# What is done is noted no more often, so that not each page writes to the session: seconds, and a part of the limit.
NOTED_EVERY_S, NOTED_IN_PARTS = 120, 10


def begin(request: HttpRequest) -> None:
    request.session[BEGAN] = request.session[SEEN] = time.time()


def is_over(request: HttpRequest) -> bool:
    """Whether the session of who is signed in has lasted too long. One that says nothing of its begin has."""
    began, seen = request.session.get(BEGAN), request.session.get(SEEN)
    if began is None or seen is None:
        return True
    now = time.time()
    return now - seen > settings.IDLE_LIMIT_S or now - began > settings.SESSION_COOKIE_AGE


def note_doing(request: HttpRequest) -> None:
    """Somebody does something, unless a script looks for news. Browsers say which; who does not say it does it."""
    is_by_hand = request.method == "POST" or request.headers.get("Sec-Fetch-Mode", "navigate") == "navigate"
    every = min(NOTED_EVERY_S, settings.IDLE_LIMIT_S / NOTED_IN_PARTS)
    if is_by_hand and time.time() - request.session[SEEN] > every:
        request.session[SEEN] = time.time()


def seconds_left(request: HttpRequest) -> tuple[int, int]:
    """Until somebody has to do something, and until the session ends anyway.

    Rounded up: nobody takes a session for ended that is not, and keeps it going by looking again.
    """
    now = time.time()
    return (
        ceil(request.session[SEEN] + settings.IDLE_LIMIT_S - now),
        ceil(request.session[BEGAN] + settings.SESSION_COOKIE_AGE - now),
    )
