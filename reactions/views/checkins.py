"""The patient's pages: from the link in a mail, without a login. GET and HEAD change nothing."""

import logging
from collections.abc import Callable
from functools import wraps
from typing import Any

from django.contrib.auth.decorators import login_not_required
from django.db import DatabaseError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_safe

from reactions.clinical.triage import triage
from reactions.forms.checkin import DetailsForm, FirstQuestionForm
from reactions.models import CheckIn
from reactions.recording import CheckInClosed, submit_answer
from reactions.vocabulary import AlertLevel, PatientSeverity, PatientSymptom

logger = logging.getLogger(__name__)

View = Callable[..., HttpResponse]


def patient_page(view: View) -> View:
    """A page reached by a link alone: never kept, never referred from, and kind when the link is wrong or over."""

    @login_not_required
    @never_cache
    @wraps(view)
    def page(request: HttpRequest, token: str) -> HttpResponse:
        checkin = CheckIn.objects.all().of_token(token).first()
        if checkin is None:
            response = render(request, "checkins/unknown_link.html", status=404)
        else:
            with timezone.override(checkin.infusion.patient.zone):
                response = view(request, checkin, token)
        response["Referrer-Policy"] = "no-referrer"
        response["X-Robots-Tag"] = "noindex, nofollow"
        return response

    return page


@patient_page
@require_http_methods(["GET", "HEAD", "POST"])
def first_question(request: HttpRequest, checkin: CheckIn, token: str) -> HttpResponse:
    if state := checkin.why_closed(timezone.now()):
        return _closed(request, checkin, state)
    form = FirstQuestionForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        if form.cleaned_data["has_problem"]:
            return redirect("reactions:patient_details", token)
        return _store(request, checkin, token, has_problem=False, details={}, symptoms={})
    if checkin.answered_at and request.method != "POST" and "again" not in request.GET:
        return render(request, "checkins/answered.html", _about(checkin))
    return render(request, "checkins/first_question.html", _about(checkin) | {"form": form})


@patient_page
@require_http_methods(["GET", "HEAD", "POST"])
def details(request: HttpRequest, checkin: CheckIn, token: str) -> HttpResponse:
    if state := checkin.why_closed(timezone.now()):
        return _closed(request, checkin, state)
    form = DetailsForm(request.POST or None, checkin=checkin)
    if request.method == "POST" and form.is_valid():
        return _store(request, checkin, token, has_problem=True, details=form.details(), symptoms=form.symptoms())
    context = _about(checkin) | {"form": form, "level": _level(form) if form.is_bound else None}
    return render(request, "checkins/details.html", context)


@patient_page
@require_safe
def thanks(request: HttpRequest, checkin: CheckIn, token: str) -> HttpResponse:
    answer = checkin.latest_answer()
    if answer is None:
        return redirect("reactions:patient_checkin", token)
    alert = getattr(answer, "alert", None)
    return render(request, "checkins/thanks.html", _about(checkin) | {"level": alert.level if alert else None})


def _store(
    request: HttpRequest, checkin: CheckIn, token: str, *, has_problem: bool, **answer: dict[str, Any]
) -> HttpResponse:
    """Store the answer. When that fails, what the patient must do now is said all the same."""
    try:
        submit_answer(checkin, has_problem=has_problem, now=timezone.now(), **answer)
    except CheckInClosed as closed:
        return _closed(request, checkin, closed.state)
    except DatabaseError:
        logger.exception("an answer could not be stored")
        level = _level_of(answer["symptoms"], answer["details"]) if has_problem else None
        return render(request, "checkins/not_stored.html", _about(checkin) | {"level": level}, status=503)
    return redirect("reactions:patient_thanks", token)


def _level(form: DetailsForm) -> AlertLevel | None:
    """The level of a half-filled form, so that emergency words come first even when something else is amiss."""
    form.is_valid()
    return _level_of(form.symptoms(), form.cleaned_data)


def _level_of(symptoms: dict[str, str], details: dict[str, Any]) -> AlertLevel | None:
    return triage(
        {PatientSymptom(symptom): PatientSeverity(severity) for symptom, severity in symptoms.items()},
        care_sought=details.get("care_sought", ""),
        still_there=details.get("still_there"),
    ).level


def _closed(request: HttpRequest, checkin: CheckIn, state: str) -> HttpResponse:
    return render(request, "checkins/closed.html", _about(checkin) | {"state": state}, status=410)


def _about(checkin: CheckIn) -> dict[str, Any]:
    return {"checkin": checkin, "clinic": checkin.infusion.patient.clinic, "infusion": checkin.infusion}
