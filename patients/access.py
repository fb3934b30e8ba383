"""The person behind a request, and what that person's browser is told."""

from ipaddress import ip_address
from urllib.parse import quote

from django.conf import settings
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, QueryDict
from django.utils import timezone

from patients.models import Patient, User
from patients.origin import Origin, shows

# Read by the script that keeps what is typed: the path to which a form was sent that is saved now.
SAVED_COOKIE = "ivigtrack-saved"
# As long as a page takes to load; a page that never came is asked for again within this time.
SAVED_COOKIE_SECONDS = 120
LONGEST_BROWSER = 300


class StaffRequest(HttpRequest):
    """A request behind the sign-in, where there is always a user."""

    user: User


def signed_in(request: HttpRequest) -> User:
    """The person who is signed in. Raises PermissionDenied for anybody else."""
    if not isinstance(request.user, User):
        raise PermissionDenied
    return request.user


def opens(patient: Patient) -> None:
    """The page is about this patient: the trail says who looked, and times are shown on that clinic's clocks."""
    shows(patient.pk, patient.clinic_id)
    timezone.activate(patient.clinic.zone)


def address_of(request: HttpRequest) -> str:
    """The network address of the client; behind our proxy the one that the proxy has added. Empty for none."""
    address = request.META.get("REMOTE_ADDR", "")
    if getattr(settings, "SECURE_PROXY_SSL_HEADER", None):
        address = request.headers.get("X-Forwarded-For", address).rpartition(",")[2].strip()
    return address


def origin_of(request: HttpRequest) -> Origin:
    """From where a request comes, as the trail keeps it."""
    try:
        address: str | None = f"{ip_address(address_of(request))}"
    except ValueError:
        # Such as that of a unix socket.
        address = None
    return Origin(address, request.headers.get("User-Agent", "")[:LONGEST_BROWSER])


def posted(request: HttpRequest) -> QueryDict | None:
    """What a form sent, be it empty; None when the page was only opened."""
    return request.POST if request.method == "POST" else None


def cookie_name(request: HttpRequest, name: str, path: str = "/") -> str:
    """The name under which a browser takes the cookie over TLS alone and, where it is for all pages, from this host."""
    if not request.is_secure():
        return name
    return f"__Host-{name}" if path == "/" else f"__Secure-{name}"


def mark_saved(request: HttpRequest, response: HttpResponse) -> None:
    """Say in the answer that what was sent is saved, also where the answer is a page and leads nowhere."""
    response.set_cookie(
        cookie_name(request, SAVED_COOKIE),
        quote(request.path),
        max_age=SAVED_COOKIE_SECONDS,
        samesite="Lax",
        secure=request.is_secure(),
    )
