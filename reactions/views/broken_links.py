"""What a patient reads when a link or a form does not work: kind words and, where the link tells, the clinic's phone.

Below `/c/` everything is the patient's, whatever goes wrong; elsewhere Django's own views show the staff's pages.
"""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.core.exceptions import RequestDataTooBig, TooManyFieldsSent, TooManyFilesSent
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import translation
from django.utils.cache import add_never_cache_headers
from django.views import csrf, defaults

from patients.access import cookie_name
from patients.models import Patient
from reactions.models import CheckIn, ReportLink

logger = logging.getLogger(__name__)

PATIENTS = "/c/"
LANGUAGE_COOKIE = "patient-language"
Keep = Callable[[HttpResponse], HttpResponse]
# What mail programs and people leave hanging on to a link.
AROUND_A_LINK = " ()[]{}<>.,;:!?*'\"“”‘’«»"
TOO_MUCH = (RequestDataTooBig, TooManyFieldsSent, TooManyFilesSent)


def for_patients(response: HttpResponse) -> HttpResponse:
    """The response as every page of a patient leaves: kept nowhere, found by no search, named to no other site."""
    add_never_cache_headers(response)
    # Under "no-referrer" a browser sends forms without an origin, and Django refuses them as forged.
    response["Referrer-Policy"] = "same-origin"
    response["X-Robots-Tag"] = "noindex, nofollow"
    return response


def kind_page(request: HttpRequest, template: str, *, status: int) -> HttpResponse:
    """A page for the patient, with the clinic and the way back to the check-in where the address tells them."""
    context: dict[str, object] = {}
    patient = None
    try:
        token = _token_in(request.path_info)
        patient = _whose(token)
        if patient:
            context = {"clinic": patient.clinic, "link": reverse("reactions:patient_checkin", args=[token])}
    except Exception:
        # The page comes all the same, with the general words: the database may be what broke.
        logger.exception("the clinic of a patient's page was not found")
    with in_their_language(request, patient):
        return for_patients(render(request, template, context, status=status))


@contextmanager
def in_their_language(request: HttpRequest, patient: Patient | None) -> Iterator[Keep]:
    """The language that the reader chose for this visit, else the patient's, else the browser's.

    Gives what keeps the choice: a cookie for the pages of this link alone, since a phone can be a family's.
    """
    asked = request.POST.get("lang") or request.GET.get("lang", "")
    known = {code for code, _name in settings.LANGUAGES}
    path = f"{PATIENTS}{_token_in(request.path_info)}/"
    kept_as = cookie_name(request, LANGUAGE_COOKIE, path)
    wishes = [asked, request.COOKIES.get(kept_as, ""), patient.language if patient else ""]
    language = next((wish for wish in wishes if wish in known), None) or _of_browser(request)

    def keep(response: HttpResponse) -> HttpResponse:
        if asked in known:
            response.set_cookie(kept_as, asked, path=path, samesite="Lax", secure=request.is_secure())
        return response

    with translation.override(language):
        yield keep


def _of_browser(request: HttpRequest) -> str:
    """The first language of the browser in which there are pages; English otherwise."""
    found = translation.get_language_from_request(request).partition("-")
    return found[0] if found[0] in {code for code, _name in settings.LANGUAGES} else "en"


def _whose(token: str) -> Patient | None:
    """The patient of a link to a check-in, or of a standing link; None for any other text."""
    if checkin := CheckIn.objects.all().of_token(token).first():
        return checkin.patient
    link = ReportLink.objects.all().of_token(token).first()
    return link.patient if link else None


@login_not_required
def strayed(request: HttpRequest) -> HttpResponse:
    """Any address below `/c/` that is no page. Only a slash that is missing at the end is mended without a word."""
    token = _token_in(request.path_info)
    lacks_slash = request.path_info == f"{PATIENTS}{token}" and request.method in {"GET", "HEAD"}
    if lacks_slash and _whose(token):
        return for_patients(redirect("reactions:patient_checkin", token))
    return kind_page(request, "checkins/unknown_link.html", status=404)


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    if _is_patients(request):
        return kind_page(request, "checkins/unknown_link.html", status=404)
    return defaults.page_not_found(request, exception)


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    if not _is_patients(request):
        return defaults.bad_request(request, exception)
    if isinstance(exception, TOO_MUCH):
        return kind_page(request, "checkins/too_long.html", status=413)
    return kind_page(request, "checkins/not_accepted.html", status=400)


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    if _is_patients(request):
        return kind_page(request, "checkins/not_accepted.html", status=403)
    return csrf.csrf_failure(request, reason)


def server_error(request: HttpRequest) -> HttpResponse:
    if _is_patients(request):
        return kind_page(request, "checkins/broke.html", status=500)
    return defaults.server_error(request)


def _is_patients(request: HttpRequest) -> bool:
    return request.path_info.startswith(PATIENTS)


def _token_in(path: str) -> str:
    """What stands where the token belongs, without what hangs on to it."""
    return path.removeprefix(PATIENTS).partition("/")[0].strip(AROUND_A_LINK)
