"""The patient's pages: from the link in a mail, without a login. GET and HEAD change nothing."""

import logging
from collections.abc import Callable
from functools import partial, wraps
from http import HTTPStatus
from typing import Any

from django.contrib.auth.decorators import login_not_required
from django.db import DatabaseError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_safe

from patients.access import posted
from reactions.clinical.triage import triage
from reactions.forms.checkin import DetailsForm, FirstQuestionForm
from reactions.models import CheckIn
from reactions.recording import CheckInClosed, submit_answer
from reactions.views.broken_links import for_patients, kind_page
from reactions.vocabulary import AlertLevel, PatientSeverity, PatientSymptom

logger = logging.getLogger(__name__)

View = Callable[..., HttpResponse]


def patient_page(view: View) -> View:
    """A page reached by a link alone: never kept, named to no other site, and kind when the link is wrong or over."""

    @login_not_required
    @wraps(view)
    def page(request: HttpRequest, token: str) -> HttpResponse:
        checkin = CheckIn.objects.all().of_token(token).first()
        if checkin is None:
            return kind_page(request, "checkins/unknown_link.html", status=404)
        with timezone.override(checkin.infusion.patient.zone):
            response = view(request, checkin, token)
        if response.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
            return kind_page(request, "checkins/not_accepted.html", status=response.status_code)
        return for_patients(response)

    return page


@patient_page
@require_http_methods(["GET", "HEAD", "POST"])
def first_question(request: HttpRequest, checkin: CheckIn, token: str) -> HttpResponse:
    if state := checkin.why_closed(timezone.now()):
        return _closed(request, checkin, state)
    form = FirstQuestionForm(posted(request))
    context = _about(checkin) | {"form": form}
    if form.is_valid():
        if form.cleaned_data["has_problem"]:
            return redirect("reactions:patient_details", token)
        store = partial(submit_answer, checkin, has_problem=False, details={}, symptoms={}, **form.sent_as())
        return _thank(request, checkin, token, store) or _not_stored(request, "checkins/first_question.html", context)
    if checkin.answered_at and not form.is_bound and "again" not in request.GET:
        return render(request, "checkins/answered.html", context)
    return render(request, "checkins/first_question.html", context)


@patient_page
@require_http_methods(["GET", "HEAD", "POST"])
def details(request: HttpRequest, checkin: CheckIn, token: str) -> HttpResponse:
    if state := checkin.why_closed(timezone.now()):
        return _closed(request, checkin, state)
    form = DetailsForm(posted(request), checkin=checkin)
    context = _about(checkin) | {"form": form, "level": _level(form) if form.is_bound else None}
    if form.is_valid():
        said = {"details": form.details(), "symptoms": form.symptoms()} | form.sent_as()
        store = partial(submit_answer, checkin, has_problem=True, **said)
        return _thank(request, checkin, token, store) or _not_stored(request, "checkins/details.html", context)
    if context["level"] == AlertLevel.RED:
        context["told"] = _tell_at_once(checkin, form)
    return render(request, "checkins/details.html", context)


def _tell_at_once(checkin: CheckIn, form: DetailsForm) -> bool:
    """Red words reach the clinic though something else in the form is amiss. True when what is clear was stored."""
    said = {"details": form.what_is_clear(), "symptoms": form.symptoms()} | form.sent_as()
    try:
        submit_answer(checkin, has_problem=True, now=timezone.now(), **said)
    except (CheckInClosed, DatabaseError):
        logger.exception("red words could not be stored")
        return False
    return True


@patient_page
@require_safe
def thanks(request: HttpRequest, checkin: CheckIn, token: str) -> HttpResponse:
    answer = checkin.latest_answer()
    if answer is None:
        return redirect("reactions:patient_checkin", token)
    alert = getattr(answer, "alert", None)
    return render(request, "checkins/thanks.html", _about(checkin) | {"level": alert.level if alert else None})


def _thank(request: HttpRequest, checkin: CheckIn, token: str, store: Callable[..., object]) -> HttpResponse | None:
    """Store the answer and say thank you; None when the database did not take it."""
    try:
        store(now=timezone.now())
    except CheckInClosed as closed:
        return _closed(request, checkin, closed.state)
    except DatabaseError:
        logger.exception("an answer could not be stored")
        return None
    return redirect("reactions:patient_thanks", token)


def _not_stored(request: HttpRequest, template: str, context: dict[str, Any]) -> HttpResponse:
    """The page once more, with everything as it was filled in, and what the patient must do now all the same."""
    return render(request, template, context | {"not_stored": True}, status=503)


def _level(form: DetailsForm) -> AlertLevel | None:
    """The level of a form, even half-filled, so that emergency words come first whatever else is amiss."""
    form.is_valid()
    return triage(
        {PatientSymptom(symptom): PatientSeverity(severity) for symptom, severity in form.symptoms().items()},
        care_sought=form.cleaned_data.get("care_sought", ""),
        still_there=form.cleaned_data.get("still_there"),
    ).level


def _closed(request: HttpRequest, checkin: CheckIn, state: str) -> HttpResponse:
    checkin.refresh_from_db(fields=["state", "state_reason"])
    return render(request, "checkins/closed.html", _about(checkin) | {"state": state}, status=410)


def _about(checkin: CheckIn) -> dict[str, Any]:
    return {"checkin": checkin, "clinic": checkin.infusion.patient.clinic, "infusion": checkin.infusion}
