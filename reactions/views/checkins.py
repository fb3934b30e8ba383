"""The patient's pages: from the link in a mail, one question a screen, without a login or a script.

GET and HEAD change nothing. What each screen sends is kept in a draft at once, be it right or wrong, so that going
back, a second window or a phone that dies loses nothing. Red words do not wait for the rest of the form: they reach the
clinic with the screen that sends them, and the emergency words are the next thing on the page whatever else fails.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import wraps
from http import HTTPStatus
from typing import Any
from uuid import UUID, uuid4, uuid5

from django.contrib.auth.decorators import login_not_required
from django.db import DatabaseError
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import redirect, render
from django.utils import timezone, translation
from django.views.decorators.http import require_http_methods, require_safe

from patients.access import posted
from patients.models import Patient, address_digest
from reactions.alerts import heard_by_clinic
from reactions.answer_sheet import Sheet, steps_of
from reactions.clinical.triage import cannot_wait
from reactions.forms.checkin import FIRST, PROBLEMS, WHO, CheckForm, StepForm
from reactions.models import AnswerDraft, CheckIn, Infusion, ReportLink
from reactions.models.checkin import GRACE
from reactions.recording import CheckInClosed, begin_report, save_step, submit_answer
from reactions.views.birth_year import ask_for_birth_year
from reactions.views.broken_links import for_patients, in_their_language, kind_page
from reactions.vocabulary import AlertLevel, CheckInKind

logger = logging.getLogger(__name__)

# Of “/c/TOKEN/”, the first page of a link.
ROOT_SLASHES = 3

# Where the list begins below the emergencies.
LISTED = "#listed"

View = Callable[..., HttpResponse]


@dataclass
class Visit:
    """One request to a check-in's pages, with what was sent on them before."""

    request: HttpRequest
    checkin: CheckIn
    token: str
    draft: AnswerDraft | None
    sheet: Sheet
    now: datetime

    def begun_at(self, form: StepForm | None = None) -> datetime | None:
        """When the patient began, by the page that is being sent or by the draft; None when nobody has."""
        opened = form.opened_at() if form and form.is_bound else None
        moments = [opened, self.draft.began_at if self.draft else None]
        return min((moment for moment in moments if moment), default=None)

    def why_closed(self, form: StepForm | None = None) -> str:
        return self.checkin.why_closed(self.now, begun_at=self.begun_at(form))

    def lead_to(self, step: str | None) -> HttpResponseRedirect:
        """To a screen; to the last one when there is none left to answer."""
        if step == FIRST:
            response: HttpResponseRedirect = redirect("reactions:patient_checkin", self.token)
            response["Location"] += "?again"
            return response
        if step is None:
            return redirect("reactions:patient_check", self.token)
        return redirect("reactions:patient_step", self.token, step)

    def lead_on(self, form: StepForm) -> HttpResponseRedirect:
        """To what comes after a screen; to the same one with every problem where that was asked for."""
        if not form.asks_for_all:
            return self.lead_to(self.sheet.first_open())
        response = self.lead_to(form.step)
        response["Location"] += LISTED
        return response


def patient_page(view: View) -> View:
    """A page reached by a link alone: never kept, named to no other site, and kind when the link is wrong or over."""

    @login_not_required
    @wraps(view)
    def page(request: HttpRequest, token: str, **rest: str) -> HttpResponse:
        checkin = CheckIn.objects.all().of_token(token).first()
        if checkin is None:
            return _standing_link(request, token, at_its_root=not rest and request.path_info.count("/") == ROOT_SLASHES)
        patient = checkin.infusion.patient
        with timezone.override(patient.zone), in_their_language(request, patient) as keep_language:
            if not checkin.opens_with(token):
                sent = _level_of_what_was_sent(request, checkin, rest.get("name", FIRST))
                return for_patients(keep_language(_to_another_address(request, patient, checkin.infusion, sent)))
            asked = ask_for_birth_year(request, patient, token)
            response = asked or view(request, _visit(request, checkin, token), **rest)
            if response.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
                return kind_page(request, "checkins/not_accepted.html", status=response.status_code)
            return for_patients(keep_language(response))

    return page


def _visit(request: HttpRequest, checkin: CheckIn, token: str) -> Visit:
    draft = AnswerDraft.objects.filter(checkin=checkin, address=address_digest(checkin.patient.email)).first()
    answer = None if draft else checkin.latest_answer()
    steps = draft.steps if draft else steps_of(answer) if answer else {}
    return Visit(request, checkin, token, draft, Sheet(checkin, steps), timezone.now())


@patient_page
@require_http_methods(["GET", "HEAD", "POST"])
def first_question(request: HttpRequest, visit: Visit) -> HttpResponse:
    if request.method != "POST":
        if state := visit.why_closed():
            return _closed(visit, state)
        if visit.checkin.answered_at and "again" not in request.GET:
            return render(request, "checkins/answered.html", _about(visit) | _left_open(visit))
        if visit.sheet.order()[0] == WHO and visit.sheet.values(WHO) is None:
            return visit.lead_to(WHO)
        if visit.checkin.kind == CheckInKind.REPORT and not visit.draft:
            return visit.lead_to(PROBLEMS)
        return _screen(visit, visit.sheet.form(FIRST))
    form = visit.sheet.form(FIRST, posted(request))
    nothing_new = form.is_valid() and not form.cleaned_data["has_problem"]
    if nothing_new and not (visit.draft and visit.sheet.marked()) and not _only_leaves(request):
        return _send_nothing_new(visit, form)
    return _keep(visit, form)


@patient_page
@require_http_methods(["GET", "HEAD", "POST"])
def step(request: HttpRequest, visit: Visit, name: str) -> HttpResponse:
    """One screen of the details."""
    try:
        form = visit.sheet.form(name, posted(request))
    except KeyError:
        return kind_page(request, "checkins/unknown_link.html", status=404)
    if state := visit.why_closed(form):
        return _closed(visit, state, form)
    if form.is_bound:
        return _keep(visit, form)
    asked = name in visit.sheet.order() or (name == PROBLEMS and visit.checkin.kind == CheckInKind.REPORT)
    return _screen(visit, form) if asked else redirect("reactions:patient_checkin", visit.token)


@patient_page
@require_http_methods(["GET", "HEAD", "POST"])
def check(request: HttpRequest, visit: Visit) -> HttpResponse:
    """“This is what your clinic will read”, and Send."""
    form = CheckForm(posted(request), checkin=visit.checkin, step="check")
    if state := visit.why_closed(form):
        return _closed(visit, state)
    if visit.draft is None:
        was_sent = form.is_bound and visit.checkin.answers.exists()
        return redirect("reactions:patient_thanks" if was_sent else "reactions:patient_checkin", visit.token)
    if form.is_bound and "back" in request.POST:
        return visit.lead_to(visit.sheet.before("check"))
    if unanswered := visit.sheet.first_open():
        return visit.lead_to(unanswered)
    if not form.is_bound:
        return render(request, "checkins/check.html", _to_check(visit, form))
    try:
        _submit(visit, visit.sheet, form, visit.draft.submission_id)
    except CheckInClosed as closed:
        return _closed(visit, closed.state)
    except DatabaseError:
        logger.exception("an answer could not be stored")
        context = _to_check(visit, form) | {"not_stored": True}
        return render(request, "checkins/check.html", context, status=HTTPStatus.SERVICE_UNAVAILABLE)
    return redirect("reactions:patient_thanks", visit.token)


@patient_page
@require_safe
def thanks(request: HttpRequest, visit: Visit) -> HttpResponse:
    answer = visit.checkin.latest_answer()
    if answer is None:
        return redirect("reactions:patient_checkin", visit.token)
    alert = getattr(answer, "alert", None)
    return render(request, "checkins/thanks.html", _about(visit) | {"level": alert.level if alert else None})


def _keep(visit: Visit, form: StepForm) -> HttpResponse:
    """Keep what a screen sent, tell red words at once, and lead on."""
    said = _said_by(form)
    sheet = Sheet(visit.checkin, _begun(visit) | said)
    level = sheet.level(visit.now)
    heard = heard_by_clinic(visit.checkin, visit.draft, marked_anew=form.step == PROBLEMS)
    is_new = cannot_wait(level, sheet.marked(), heard)
    told = is_new and _tell_at_once(visit, sheet, form)
    context = {"form": form, "level": level, "told": told or not is_new}
    try:
        visit.draft = save_step(
            visit.checkin,
            said=said,
            told=sheet.marked() if told else (),
            base=_begun(visit),
            begun_at=visit.begun_at(form),
            now=visit.now,
        )
    except CheckInClosed as closed:
        return _closed(visit, closed.state, form)
    except DatabaseError:
        logger.exception("a screen of a check-in could not be stored")
        return _screen(visit, form, context | {"not_stored": True}, status=HTTPStatus.SERVICE_UNAVAILABLE)
    visit.sheet = sheet
    if level == AlertLevel.RED and (is_new or form.step == PROBLEMS):
        return _emergency(visit, form, context)
    if "back" in visit.request.POST:
        return visit.lead_to(sheet.before(form.step))
    if "lang" in visit.request.POST:
        return visit.lead_to(form.step)
    return visit.lead_on(form) if form.asks_for_all or form.is_valid() else _screen(visit, form, context)


def _only_leaves(request: HttpRequest) -> bool:
    """The screen is sent to go back, or for another language: what is marked is kept, and nothing answered with it."""
    return "back" in request.POST or "lang" in request.POST


def _begun(visit: Visit) -> dict[str, Any]:
    """What was sent before; who came by “report something now” has said that there is something."""
    steps = dict(visit.sheet.steps)
    if visit.checkin.kind == CheckInKind.REPORT:
        steps.setdefault(FIRST, {"has_problem": ["yes"]})
    return steps


def _said_by(form: StepForm) -> dict[str, Any]:
    """What a screen says: who marks a problem has one, whatever another window answered to the first question."""
    said = {form.step: form.said()}
    return said | {FIRST: {"has_problem": ["yes"]}} if said.get(PROBLEMS, {}).get("symptoms") else said


def _tell_at_once(visit: Visit, sheet: Sheet, form: StepForm) -> bool:
    """Red words reach the clinic before the rest of the form. True when what is clear was stored."""
    form.is_valid()
    form_id = visit.draft.submission_id if visit.draft else form.cleaned_data.get("submission_id") or uuid4()
    try:
        _submit(visit, sheet, form, uuid5(form_id, "told at once"))
    except (CheckInClosed, DatabaseError):
        logger.exception("red words could not be stored")
        return False
    return True


def _submit(visit: Visit, sheet: Sheet, form: StepForm, submission_id: UUID | None) -> None:
    has_problem = sheet.has_problem()
    submit_answer(
        visit.checkin,
        has_problem=has_problem,
        details=sheet.details() | {"language": translation.get_language() or "en"},
        symptoms=sheet.symptoms() if has_problem else {},
        of_symptoms=sheet.of_symptoms() if has_problem else {},
        submission_id=submission_id,
        begun_at=visit.begun_at(form),
        now=timezone.now(),
    )


def _send_nothing_new(visit: Visit, form: StepForm) -> HttpResponse:
    """No is the whole answer: it is sent with the tap."""
    sheet = Sheet(visit.checkin, {**visit.sheet.steps, FIRST: form.said()})
    submission_id = visit.draft.submission_id if visit.draft else form.cleaned_data["submission_id"]
    try:
        _submit(visit, sheet, form, submission_id)
    except CheckInClosed as closed:
        return _closed(visit, closed.state)
    except DatabaseError:
        logger.exception("an answer could not be stored")
        return _screen(visit, form, {"not_stored": True}, status=HTTPStatus.SERVICE_UNAVAILABLE)
    return redirect("reactions:patient_thanks", visit.token)


def _screen(visit: Visit, form: StepForm, context: dict[str, Any] | None = None, status: int = 200) -> HttpResponse:
    """The screen, as it is or once more with everything as it was filled in."""
    back, level = visit.sheet.before(form.step), visit.sheet.level(visit.now)
    shown = {"form": form, "back": back, "level": level, "keeps_marks": True}
    return render(visit.request, form.template, _about(visit) | shown | (context or {}), status=status)


def _left_open(visit: Visit) -> dict[str, Any]:
    """What somebody who comes back reads first: the words for what was told, and where to go on."""
    next_page = visit.lead_to(visit.sheet.first_open())["Location"] if visit.draft else ""
    return {"level": visit.sheet.level(visit.now), "next": next_page}


def _to_check(visit: Visit, form: StepForm) -> dict[str, Any]:
    """What the last screen shows."""
    sheet = visit.sheet
    shown = {"form": form, "lines": sheet.in_words(), "back": sheet.before("check"), "level": sheet.level(visit.now)}
    return _about(visit) | shown


def _emergency(visit: Visit, form: StepForm, context: dict[str, Any]) -> HttpResponse:
    """The emergency words alone, before anything else is asked."""
    status = HTTPStatus.OK if context["told"] else HTTPStatus.SERVICE_UNAVAILABLE
    next_page = visit.lead_on(form)["Location"]
    return render(
        visit.request, "checkins/emergency.html", _about(visit) | context | {"next": next_page}, status=status
    )


def _closed(visit: Visit, state: str, form: StepForm | None = None) -> HttpResponse:
    """The check-in takes nothing any more. Red words that were sent to it get the emergency words all the same."""
    visit.checkin.refresh_from_db(fields=["state", "state_reason"])
    said = Sheet(visit.checkin, _begun(visit) | _said_by(form)) if form and form.is_bound else None
    shown = {"state": state, "level": said.level(visit.now) if said else None}
    return render(visit.request, "checkins/closed.html", _about(visit) | shown, status=HTTPStatus.GONE)


def _to_another_address(
    request: HttpRequest, patient: Patient, infusion: Infusion | None = None, level: AlertLevel | None = None
) -> HttpResponse:
    """The link came in a mail to an address that is not the patient's any more: nothing is shown or taken."""
    shown = {"clinic": patient.clinic, "infusion": infusion, "level": level}
    return render(request, "checkins/other_address.html", shown, status=HTTPStatus.GONE)


def _level_of_what_was_sent(request: HttpRequest, checkin: CheckIn, name: str) -> AlertLevel | None:
    """The level of one screen by itself: red words get the emergency words wherever they were sent."""
    sheet = Sheet(checkin, {})
    try:
        form = sheet.form(name, posted(request))
    except KeyError:
        return None
    if not form.is_bound:
        return None
    return Sheet(checkin, _said_by(form)).level(timezone.now())


def _about(visit: Visit) -> dict[str, Any]:
    checkin, patient = visit.checkin, visit.checkin.infusion.patient
    link = None if patient.is_closed or patient.died_on else ReportLink.objects.filter(patient=patient).first()
    return {
        "checkin": checkin,
        "clinic": patient.clinic,
        "infusion": checkin.infusion,
        "token": visit.token,
        "by_parent": visit.sheet.by_parent(),
        "grace_hours": GRACE.seconds // 3600,
        "report_path": link.link_path() if link else "",
    }


def _standing_link(request: HttpRequest, token: str, *, at_its_root: bool) -> HttpResponse:
    """The page of “report something now”. Its button begins a check-in of its own; opening it begins nothing."""
    link = ReportLink.objects.all().of_token(token).first() if at_its_root else None
    if link is None:
        return kind_page(request, "checkins/unknown_link.html", status=404)
    patient = link.patient
    with timezone.override(patient.zone), in_their_language(request, patient) as keep_language:
        if not link.opens_with(token):
            return for_patients(keep_language(_to_another_address(request, patient)))
        context: dict[str, Any] = {"clinic": patient.clinic}
        if patient.is_closed or patient.died_on:
            return for_patients(render(request, "checkins/no_report.html", context, status=HTTPStatus.GONE))
        if request.method in {"GET", "HEAD"}:
            return for_patients(keep_language(render(request, "checkins/report.html", context)))
        if request.method != "POST":
            return kind_page(request, "checkins/not_accepted.html", status=HTTPStatus.METHOD_NOT_ALLOWED)
        try:
            checkin = begin_report(patient, now=timezone.now())
        except DatabaseError:
            logger.exception("a report could not be begun")
            context["not_stored"] = True
            page = render(request, "checkins/report.html", context, status=HTTPStatus.SERVICE_UNAVAILABLE)
            return for_patients(keep_language(page))
        if checkin is None:
            return for_patients(render(request, "checkins/no_report.html", context, status=HTTPStatus.GONE))
        return for_patients(redirect(f"{checkin.link_path()}?lang={translation.get_language()}"))
