"""Patients who were asked and did not answer: the list, the page of one call, and what is taken down meanwhile."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.contrib import messages
from django.core.paginator import Paginator
from django.db.models import QuerySet
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_safe

from patients.access import StaffRequest, posted
from patients.models import Patient
from patients.views.patients import find_patient_to_change
from reactions import delivery, recording
from reactions.forms.silence import CallForm, TelephoneAnswerForm
from reactions.models import CheckIn, PhoneCall, SilentPatient, silent_checkins, silent_patients
from reactions.views.records import find_checkin
from reactions.vocabulary import AlertLevel, PhoneOutcome

PAGE_SIZE = 25


@dataclass(frozen=True)
class Silence:
    """One patient's line: the check-ins without an answer, and the calls since the first of them was due.

    `why` is what became of the latest.
    """

    patient: Patient
    checkins: Sequence[CheckIn]
    calls: Sequence[PhoneCall]
    why: str

    @property
    def latest(self) -> CheckIn:
        return self.checkins[0]

    @property
    def since(self) -> datetime:
        return self.checkins[-1].due_at

    @property
    def tried(self) -> int:
        """How often somebody called in vain."""
        return sum(call.outcome in PhoneCall.IN_VAIN for call in self.calls)

    @property
    def has_wrong_number(self) -> bool:
        """The number that is recorded was found to be wrong."""
        wrong = [call.phone for call in self.calls if call.outcome == PhoneOutcome.WRONG_NUMBER]
        return self.patient.phone in wrong

    @property
    def told_of_a_problem(self) -> PhoneCall | None:
        """The call in which the patient told of a problem that nobody has written down yet."""
        return next((call for call in self.calls if call.outcome == PhoneOutcome.PROBLEM and not call.answer_id), None)


def silences(found: Sequence[SilentPatient], now: datetime) -> list[Silence]:
    """The lines of patients as silent_patients() gave them, in a fixed number of queries."""
    keys = [one.pk for one in found]
    patients = Patient.objects.select_related("clinic").in_bulk(keys)
    unanswered, calls = defaultdict(list), defaultdict(list)
    rows = silent_checkins(now).filter(infusion__patient__in=keys).order_by("-due_at", "-pk")
    for checkin in rows.select_related("infusion__product", "infusion__patient__clinic").prefetch_related("mails"):
        unanswered[checkin.infusion.patient_id].append(checkin)
    for call in PhoneCall.objects.filter(patient__in=keys).select_related("called_by"):
        calls[call.patient_id].append(call)
    lines = [_silence(one, patients[one.pk], unanswered[one.pk], calls[one.pk], now) for one in found]
    return [line for line in lines if line]


def _silence(
    one: SilentPatient, patient: Patient, checkins: list[CheckIn], calls: list[PhoneCall], now: datetime
) -> Silence | None:
    """None for whoever has answered since the line was found."""
    open_ones = [checkin for checkin in checkins if one.last_word_at is None or checkin.due_at > one.last_word_at]
    if not open_ones:
        return None
    calls_since = [call for call in calls if call.called_at >= open_ones[-1].due_at]
    return Silence(patient, open_ones, calls_since, delivery.of_checkin(open_ones[0], now).text)


@require_safe
def silent_list(request: StaffRequest) -> HttpResponse:
    """Patients of the user's clinics who are to be called, the latest silence first."""
    now = timezone.now()
    found = silent_patients(Patient.objects.visible_to(request.user), now)
    page = Paginator(found, PAGE_SIZE).get_page(request.GET.get("page"))
    return render(request, "reactions/silence_list.html", {"page": page, "lines": silences(list(page), now)})


@require_http_methods(["GET", "HEAD", "POST"])
def silent_page(request: StaffRequest, pk: int) -> HttpResponse:
    """What was asked without an answer, earlier calls, and what came of this one."""
    patient, now = find_patient_to_change(request.user, pk), timezone.now()
    line = _line_of(patient, now)
    form = CallForm(posted(request))
    if form.is_valid():
        # Who answers while the telephone rings is off the list by now; what came of the call is kept all the same.
        checkin = line.latest if line else _last_asked(patient)
        try:
            recording.record_call(
                patient,
                by=request.user,
                checkin=checkin,
                outcome=form.outcome_taken,
                words=form.cleaned_data["words"],
                submission_id=form.submission,
                now=now,
            )
        except recording.SentBefore:
            form.add_error(None, "This form was saved already, as it was before you changed it. See the calls below.")
        else:
            messages.success(request, "What came of the call is stored.")
            if form.outcome_taken == PhoneOutcome.PROBLEM:
                return redirect("reactions:telephone", checkin.pk)
            return redirect("reactions:silent_list")
    context = {
        "patient": patient,
        "line": line,
        "form": form,
        "calls": patient.phone_calls.select_related("called_by"),
        "was_asked": _asked(patient).exists(),
    }
    return render(request, "reactions/silence.html", context)


def _line_of(patient: Patient, now: datetime) -> Silence | None:
    lines = silences(silent_patients(Patient.objects.filter(pk=patient.pk), now), now)
    return lines[0] if lines else None


def _asked(patient: Patient) -> QuerySet[CheckIn]:
    return CheckIn.objects.filter(infusion__patient=patient, infusion__voided_at=None)


def _last_asked(patient: Patient) -> CheckIn:
    own = _asked(patient)
    checkin = own.exclude(sent_at=None).order_by("-due_at").first() or own.order_by("due_at").first()
    if checkin is None:
        raise Http404("Nothing was asked.")
    return checkin


@require_http_methods(["GET", "HEAD", "POST"])
def telephone(request: StaffRequest, pk: int) -> HttpResponse:
    """Taking down by telephone what a patient would have answered to a check-in."""
    checkin = find_checkin(request.user, pk)
    if checkin.infusion.is_void or checkin.patient.is_closed:
        raise Http404("The record is void.")
    form = TelephoneAnswerForm(posted(request), checkin=checkin)
    if form.is_valid():
        try:
            answer = recording.answer_by_telephone(
                checkin,
                by=request.user,
                details=form.details(),
                symptoms=form.symptoms(),
                submission_id=form.submission,
                now=timezone.now(),
            )
        except recording.SentBefore:
            form.add_error(None, "This form was saved already, for another check-in. Open the page again.")
        else:
            alert = getattr(answer, "alert", None)
            if alert and alert.level in {AlertLevel.RED, AlertLevel.AMBER}:
                words = f"What the patient told is stored. It raised an alert, {alert.get_level_display().lower()}."
                messages.warning(request, words)
                return redirect("reactions:acknowledge", alert.pk)
            messages.success(request, "What the patient told is stored, and waits for review.")
            return redirect("reactions:checkin", pk)
    context = {"form": form, "checkin": checkin, "infusion": checkin.infusion, "patient": checkin.patient}
    return render(request, "reactions/silence_answer.html", context)
