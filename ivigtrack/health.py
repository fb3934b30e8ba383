"""Pages for machines that watch the service, and for the people who set them up."""

import logging
from datetime import UTC, datetime

from django.contrib.auth.decorators import login_not_required
from django.db import DatabaseError
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from reactions import watch

logger = logging.getLogger(__name__)


@login_not_required
@require_safe
def healthz(request: HttpRequest) -> HttpResponse:
    """The process answers. Says nothing of the database or the broker."""
    return HttpResponse("ok\n", content_type="text/plain")


@never_cache
@login_not_required
@require_safe
def readyz(request: HttpRequest) -> JsonResponse:
    """Is mail going out? 200 or 503, with the cause as a code and in words, and how many mails wait; no names.

    For an alarm, not for a load balancer: the pages work on while mail stands still.
    """
    try:
        found = watch.verdict()
    except DatabaseError as error:
        logger.error("the readiness page could not ask the database: %s", type(error).__name__)
        unknown = {"ready": False, "cause": "database", "since": None, "waiting": None}
        return JsonResponse(unknown | {"words": "The database does not answer."}, status=503)
    told = {
        "ready": found.is_ready,
        "cause": found.cause,
        "since": found.since.astimezone(UTC).isoformat(timespec="seconds") if found.since else None,
        "waiting": found.waiting,
        # What the mail server said stays on the pages of staff.
        "words": found.without_words_of_others().in_words(_utc) or "Check-ins are going out.",
    }
    return JsonResponse(told, status=200 if found.is_ready else 503)


def _utc(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
