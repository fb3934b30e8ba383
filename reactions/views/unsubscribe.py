"""The link in a mail that stops the mails: to open it changes nothing, to press its button or to post to it does."""

import logging

from django.contrib.auth.decorators import login_not_required
from django.db import DatabaseError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt

from reactions.models import CheckIn
from reactions.recording import withdraw_email
from reactions.views.broken_links import for_patients, in_their_language, kind_page

logger = logging.getLogger(__name__)

# What a mail provider posts (RFC 8058), and what the page's own button does.
ONE_CLICK, BUTTON = ("List-Unsubscribe", "One-Click"), ("stop", "yes")


# A mail provider has no cookie of ours. The token itself is the secret, and no sign-in goes with the request.
@csrf_exempt
@login_not_required
def stop_mails(request: HttpRequest, token: str) -> HttpResponse:
    """Ask whether the mails shall stop, and stop them when the button or the mail provider says so."""
    checkin = CheckIn.objects.all().of_stop_token(token).first()
    if checkin is None:
        return kind_page(request, "checkins/unknown_link.html", status=404)
    # The button posts to the address with the language in it, so that no cookie needs to keep the choice.
    with in_their_language(request, checkin.patient):
        return for_patients(_answer(request, checkin, token))


def _answer(request: HttpRequest, checkin: CheckIn, token: str) -> HttpResponse:
    context = {"clinic": checkin.patient.clinic}
    if request.method not in {"GET", "HEAD", "POST"}:
        return render(request, "checkins/not_accepted.html", context, status=405)
    if not checkin.stops_with(token):
        # Whoever has that address gets no more mails; whether the patient does is not theirs to say.
        return render(request, "checkins/no_mails_there.html", context)
    if any(request.POST.get(name) == value for name, value in (ONE_CLICK, BUTTON)):
        try:
            withdraw_email(checkin, now=timezone.now())
        except DatabaseError:
            logger.exception("the wish to get no more mails could not be stored")
            return render(request, "checkins/stop_mails.html", context | {"not_stored": True}, status=503)
        return render(request, "checkins/mails_stopped.html", context)
    if checkin.patient.email_consent_at is None:
        return render(request, "checkins/mails_stopped.html", context)
    return render(request, "checkins/stop_mails.html", context)
