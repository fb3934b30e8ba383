"""The person behind a request, and what that person's browser is told."""

from urllib.parse import quote

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, QueryDict

from patients.models import User

# Read by the script that keeps what is typed: the path to which a form was sent that is saved now.
SAVED_COOKIE = "ivigtrack-saved"
# As long as a page takes to load; a page that never came is asked for again within this time.
SAVED_COOKIE_SECONDS = 120


class StaffRequest(HttpRequest):
    """A request behind the sign-in, where there is always a user."""

    user: User


def signed_in(request: HttpRequest) -> User:
    """The person who is signed in. Raises PermissionDenied for anybody else."""
    if not isinstance(request.user, User):
        raise PermissionDenied
    return request.user


def posted(request: HttpRequest) -> QueryDict | None:
    """What a form sent, be it empty; None when the page was only opened."""
    return request.POST if request.method == "POST" else None


def mark_saved(request: HttpRequest, response: HttpResponse) -> None:
    """Say in the answer that what was sent is saved, also where the answer is a page and leads nowhere."""
    response.set_cookie(
        SAVED_COOKIE, quote(request.path), max_age=SAVED_COOKIE_SECONDS, samesite="Lax", secure=request.is_secure()
    )
