"""The person behind a request."""

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, QueryDict

from patients.models import User


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
