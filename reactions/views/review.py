"""Patients' reports: the queue, one report with all that is known about it, and the three decisions."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_safe

from patients.access import StaffRequest, opens, posted
from patients.models import User
from reactions import recording
from reactions.forms.reaction_entry import ReactionEntry
from reactions.forms.review import TERMS_OF_WORDS, AcceptForm, MergeForm, RejectForm
from reactions.models import Alert, Infusion, Report, ReviewDecision
from reactions.views.records import find_infusion_to_change
from reactions.words import AnswerChange, answer_changes, report_narrative

PAGE_SIZE = 25
MOST_EARLIER = 10
ANSWERED_AGAIN = "The patient has answered again since. Read what is new, then decide once more."
DECIDED_MEANWHILE = "Somebody else has decided meanwhile. Read it below; yours was not added."
SAVED_BEFORE = "This form was saved already, as it was before you changed it. What is stored stands below."


@dataclass(frozen=True)
class ReportInWords:
    """A report with what a person wants to know at a glance."""

    report: Report
    alert: Alert | None
    changes: list[AnswerChange]
    why_again: str


@dataclass(frozen=True)
class Together:
    """Forms of one page whose errors are listed together."""

    parts: Sequence[Any]


def in_words(report: Report) -> ReportInWords:
    """Uses what Report.objects.with_all_told() prefetched."""
    alerts = [answer.alert for answer in report.answers.all() if hasattr(answer, "alert")]
    before, decision, why_again = report.read_before, report.decision, ""
    if decision and decision.answer_id != report.newest.pk:
        why_again = "The patient has answered again since it was decided."
    elif decision and decision.reaction and decision.reaction.is_void:
        why_again = "The reaction to which it led was voided."
    changes = answer_changes(before, report.newest) if before else []
    return ReportInWords(report, alerts[0] if alerts else None, changes, why_again)


@require_safe
def review_list(request: StaffRequest) -> HttpResponse:
    """Reports of the user's clinics about which nobody has decided, the one that waits longest first."""
    reports = Report.objects.visible_to(request.user).to_review().longest_waiting_first().with_all_told()
    page = Paginator(reports, PAGE_SIZE).get_page(request.GET.get("page"))
    return render(request, "reactions/review_list.html", {"page": page, "lines": [in_words(row) for row in page]})


@require_safe
def report_page(request: StaffRequest, pk: int) -> HttpResponse:
    return _show(request, find_report(request.user, pk))


@require_http_methods(["GET", "HEAD", "POST"])
def merge(request: StaffRequest, pk: int) -> HttpResponse:
    """The form stands on the report's page."""
    return _decide(request, pk, MergeForm, recording.merge_report)


@require_http_methods(["GET", "HEAD", "POST"])
def reject(request: StaffRequest, pk: int) -> HttpResponse:
    """The form stands on the report's page."""
    return _decide(request, pk, RejectForm, recording.reject_report)


def _decide(
    request: StaffRequest, pk: int, make: type[MergeForm] | type[RejectForm], verb: Callable[..., ReviewDecision]
) -> HttpResponse:
    report = find_report(request.user, pk)
    if request.method != "POST":
        return redirect("reactions:review", pk)
    form = make(request.POST, report=report)
    if not form.is_valid():
        return _show(request, report, refused=form)
    try:
        verb(report, by=request.user, now=timezone.now(), **form.told())
    except (recording.AnsweredAgain, recording.DecidedMeanwhile, recording.SentBefore) as error:
        # The page as the record stands now, with what was typed; nothing was stored.
        fresh = find_report(request.user, pk)
        form = make(request.POST, report=fresh)
        form.refuse(stale_words(error))
        return _show(request, fresh, refused=form, status=HTTPStatus.CONFLICT)
    messages.success(request, "The decision is stored. It can be revised on the report's page.")
    return redirect("reactions:review_list")


def stale_words(error: Exception) -> str:
    if isinstance(error, recording.AnsweredAgain):
        return ANSWERED_AGAIN
    return DECIDED_MEANWHILE if isinstance(error, recording.DecidedMeanwhile) else SAVED_BEFORE


@require_http_methods(["GET", "HEAD", "POST"])
def accept(request: StaffRequest, pk: int) -> HttpResponse:
    """The form of a reaction, begun with what the patient told. ?infusion= names another day of the course."""
    report = find_report(request.user, pk)
    infusion = _infusion_of(request, report)
    form = AcceptForm(posted(request), report=report)
    entry = _entry(request, infusion, report)
    status = HTTPStatus.OK
    # Both are judged, so that everything that is amiss is said at once.
    if entry.is_valid() & form.is_valid():
        try:
            reaction = recording.accept_report(
                report,
                by=request.user,
                infusion=infusion,
                submission_id=entry.submission_id,
                now=timezone.now(),
                **entry.told(),
                **form.told(),
            )
        except (recording.AnsweredAgain, recording.DecidedMeanwhile) as error:
            status = HTTPStatus.CONFLICT
            report = find_report(request.user, pk)
            form = AcceptForm(request.POST, report=report)
            form.refuse(stale_words(error))
        except recording.SentBefore:
            entry.form.add_error(None, SAVED_BEFORE)
        except (recording.AlreadyThere, recording.StartsTooLate) as error:
            entry.refuse(error)
        else:
            messages.success(request, "The reaction is recorded from the patient's report.")
            return redirect("reactions:reaction", reaction.pk)
    elif entry.only_asks:
        form.show_unjudged()
    context = {
        "entry": entry,
        "infusion": infusion,
        "patient": report.patient,
        "report": report,
        "answer": report.newest,
        "review": form,
        "refused": Together((form, entry)),
    }
    return render(request, "reactions/reaction_form.html", context, status=status)


def _entry(request: StaffRequest, infusion: Infusion, report: Report) -> ReactionEntry:
    answer = report.newest
    told = [
        {"term": TERMS_OF_WORDS[row.symptom], "onset_at": _onset(row.began_at or answer.began_at, infusion)}
        for row in answer.symptoms.all()
        if row.symptom in TERMS_OF_WORDS
    ]
    return ReactionEntry(
        posted(request),
        infusion=infusion,
        told={"narrative": report_narrative(answer)},
        told_symptoms=told or [{"onset_at": _onset(report.began_at, infusion)}],
    )


def _onset(began_at: Any, infusion: Infusion) -> Any:
    """What was told as the beginning, unless the infusion had not started then."""
    return began_at if began_at and began_at >= infusion.started_at else None


def _infusion_of(request: StaffRequest, report: Report) -> Infusion:
    """The infusion day that is named, else the latest that had started when it began, else that of the check-in."""
    days = {str(day.pk): day for day in report.infusion.course.infusions.current().order_by("started_at")}
    if named := request.GET.get("infusion"):
        if named not in days:
            raise Http404("No infusion of this course.")
        return find_infusion_to_change(request.user, days[named].pk)
    began = report.began_at
    before = [day for day in days.values() if began and day.started_at <= began]
    return find_infusion_to_change(request.user, before[-1].pk if before else report.infusion_id)


def find_report(user: User, pk: int) -> Report:
    """The report with all that was told and decided; 404 outside the user's clinics, without a problem, or void."""
    report: Report = get_object_or_404(Report.objects.visible_to(user).reported().with_all_told(), pk=pk)
    opens(report.patient)
    return report


def _show(
    request: StaffRequest,
    report: Report,
    *,
    refused: MergeForm | RejectForm | None = None,
    status: int = HTTPStatus.OK,
) -> HttpResponse:
    merge = refused if isinstance(refused, MergeForm) else MergeForm(report=report)
    reject = refused if isinstance(refused, RejectForm) else RejectForm(report=report)
    others = Report.objects.reported().filter(infusion__patient=report.infusion.patient_id).exclude(pk=report.pk)
    earlier = others.with_all_told().order_by("-due_at")[:MOST_EARLIER]
    days = report.infusion.course.infusions.current().select_related("product").order_by("started_at")
    context = {
        "report": report,
        "told": in_words(report),
        "answer": report.newest,
        # All that was told is read where it is decided about.
        "earlier_answers": [answer for answer in report.answers.all() if answer.pk != report.newest.pk],
        "infusion": report.infusion,
        "patient": report.patient,
        "reactions": list(merge.reactions.values()),
        "earlier": [in_words(row) for row in earlier],
        "days": list(days),
        "merge": merge,
        "reject": reject,
        "refused": refused,
    }
    return render(request, "reactions/review.html", context, status=status)
