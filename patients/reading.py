"""What the trail says of pages: who opened which, who was refused, what was searched for and taken away as a file.

What is written is in the trail by the verb that writes it.
"""

from datetime import timedelta
from http import HTTPStatus

from django.http import HttpRequest, HttpResponseBase
from django.utils import timezone

from patients.models import AuditEvent, Clinic, User, write_event
from patients.origin import Origin
from patients.sealing.query import reveal

# What a page's script asks about the session is no page, nor are the words of the admin's own scripts.
NO_PAGES = {"account_stay", "admin:jsi18n"}
REFUSED = {HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND}
# A page that a script fetches over and over, such as a running infusion's, is told of once in this time.
AGAIN_AFTER = timedelta(minutes=10)


def note_page(request: HttpRequest, response: HttpResponseBase, here: Origin) -> None:
    """Write down that somebody who is signed in opened a page, or was kept from it. The address is sealed."""
    match, by = request.resolver_match, request.user
    if match is None or not isinstance(by, User) or match.view_name in NO_PAGES:
        return
    act = _act(request, response)
    is_open_to_all = not getattr(match.func, "login_required", True)
    if not act or (is_open_to_all and act != "page.refused"):
        return
    if _is_fetched(request) and _was_noted(by, match.view_name, here):
        return
    patient_id, clinic_id = next(iter(here.patients.items())) if len(here.patients) == 1 else (None, None)
    words = reveal(request.GET.get("q", ""))
    write_event(
        act,
        by=by,
        page=match.view_name,
        clinic=Clinic(pk=clinic_id) if clinic_id else None,
        patient_id=patient_id,
        reason=f"Searched for {words}" if act == "page.searched" else request.get_full_path()[:2_000],
    )


def _act(request: HttpRequest, response: HttpResponseBase) -> str:
    if response.status_code in REFUSED:
        return "page.refused"
    if response.status_code != HTTPStatus.OK or request.method != "GET":
        return ""
    if response.get("Content-Disposition") or not response.get("Content-Type", "").startswith("text/html"):
        return "page.exported"
    return "page.searched" if reveal(request.GET.get("q", "")) else "page.read"


def _is_fetched(request: HttpRequest) -> bool:
    """By a script. Browsers say so themselves; what does not say it is told of each time."""
    return request.headers.get("Sec-Fetch-Mode", "navigate") != "navigate"


def _was_noted(by: User, page: str, here: Origin) -> bool:
    since = timezone.now() - AGAIN_AFTER
    patient_id = next(iter(here.patients), None)
    return AuditEvent.objects.filter(by=by, act="page.read", entity=page, patient_id=patient_id, at__gt=since).exists()
