"""The second factor of a clinic that asks for one: the patient's birth year, before any page of a check-in.

What a browser sent meanwhile is carried along, so that a page on which the proof ran out loses nothing. Emergency
number and phone stand on this page as on every other.
"""

from datetime import timedelta
from http import HTTPStatus

from django.core import signing
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone

from patients.access import address_of, cookie_name
from patients.digests import keyed_text
from patients.models import Patient
from reactions.forms.checkin import BirthYearForm
from reactions.models import WrongBirthYear
from reactions.recording import TooManyBirthYears, try_birth_year

COOKIE = "birth-year"
SALT = "reactions.checkin.birth-year"
# As long as somebody may take over a check-in; this project's own.
GOOD_FOR = timedelta(hours=12)


def ask_for_birth_year(request: HttpRequest, patient: Patient, token: str) -> HttpResponse | None:
    """The page that asks; None when nothing is asked, or the answer was right.

    Without a birth date on record nothing is asked.
    """
    if not patient.clinic.asks_birth_year or patient.birth_date is None or _is_proven(request, patient):
        return None
    context = {"clinic": patient.clinic}
    is_answer = request.method == "POST" and "birth_year" in request.POST
    form = BirthYearForm(request.POST if is_answer else None)
    if request.method not in {"GET", "HEAD", "POST"}:
        return HttpResponse(status=HTTPStatus.METHOD_NOT_ALLOWED)
    now, address = timezone.now(), _address_hash(request)
    too_many = is_answer and WrongBirthYear.too_many(patient, address, now)
    if not too_many and form.is_valid():
        try:
            if try_birth_year(patient, form.cleaned_data["birth_year"], address_hash=address, now=now):
                return _let_in(request, patient, token)
        except TooManyBirthYears:
            too_many = True
        form.add_error("birth_year", form.wrong_year)
    if too_many:
        return render(request, "checkins/too_many_years.html", context, status=HTTPStatus.TOO_MANY_REQUESTS)
    return render(request, "checkins/birth_year.html", context | {"form": form, "carried": _carried(request)})


def _let_in(request: HttpRequest, patient: Patient, token: str) -> HttpResponse:
    """To the page that was asked for; what it was sent meanwhile is sent once more, by a button."""
    carried = _carried(request)
    context = {"clinic": patient.clinic, "carried": carried}
    response = render(request, "checkins/go_on.html", context) if carried else redirect(request.get_full_path())
    proof = signing.dumps(patient.pk, salt=SALT)
    path = f"/c/{token}/"
    name = cookie_name(request, COOKIE, path)
    response.set_cookie(
        name, proof, max_age=GOOD_FOR, path=path, httponly=True, samesite="Lax", secure=request.is_secure()
    )
    return response


def _is_proven(request: HttpRequest, patient: Patient) -> bool:
    try:
        return bool(
            signing.loads(
                request.COOKIES.get(cookie_name(request, COOKIE, request.path), ""), salt=SALT, max_age=GOOD_FOR
            )
            == patient.pk
        )
    except signing.BadSignature:
        return False


def _carried(request: HttpRequest) -> list[tuple[str, str]]:
    """Fields of another page that were sent when the proof had run out."""
    own = {"csrfmiddlewaretoken", "birth_year"}
    return [(name, value) for name, values in request.POST.lists() if name not in own for value in values]


def _address_hash(request: HttpRequest) -> str:
    """The network address, so that it can be counted and not read."""
    return keyed_text(SALT, address_of(request))
