"""Open alerts, what patients answered, and acknowledging an alert."""

from collections import defaultdict
from dataclasses import dataclass
from http import HTTPStatus

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_safe

from patients.access import StaffRequest, opens, posted
from patients.models import User
from reactions import recording
from reactions.alerts import TOLD_WITHIN, due_times
from reactions.forms.alert import AcknowledgeForm
from reactions.models import Alert, OutboxMessage
from reactions.views.records import find_checkin

PAGE_SIZE = 25


@require_safe
def alert_list(request: StaffRequest) -> HttpResponse:
    alerts = Alert.objects.visible_to(request.user).open().by_urgency().with_answers()
    page = Paginator(alerts, PAGE_SIZE).get_page(request.GET.get("page"))
    now = timezone.now()
    untold = Alert.objects.visible_to(request.user).untold(waited_since=now - TOLD_WITHIN)
    context = {
        "page": page,
        "untold": set(untold.values_list("pk", flat=True)),
        "overdue": {pk for pk, due in due_times(page).items() if due < now},
    }
    return render(request, "reactions/alerts.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
def acknowledge(request: StaffRequest, pk: int) -> HttpResponse:
    alert = _find_alert(request.user, pk)
    form = AcknowledgeForm(posted(request), initial={"seen_answer": alert.answer_id})
    status = HTTPStatus.OK
    if form.is_valid():
        try:
            recording.acknowledge_alert(alert, by=request.user, now=timezone.now(), **form.cleaned_data)
        except recording.AlreadyAcknowledged:
            form.add_error(None, "Somebody else has acknowledged this alert already; what you wrote was not added.")
            alert = _find_alert(request.user, pk)
        except recording.AnsweredAgain:
            status = HTTPStatus.CONFLICT
            form.accept_answer(alert.answer_id)
            form.add_error(None, "The patient has answered again meanwhile. Read it above, then acknowledge.")
        else:
            messages.success(request, "The alert is acknowledged.")
            return redirect("reactions:checkin", alert.answer.checkin_id)
    context = {
        "form": form,
        "alert": alert,
        "patient": alert.patient,
        "since": alert.answered_since(),
        "told": _told(alert),
        "due_by": due_times([alert])[alert.pk],
    }
    return render(request, "reactions/acknowledge.html", context, status=status)


@dataclass(frozen=True)
class Told:
    """One person's mails about an alert: how many rounds there were, and the latest mail."""

    person: User | None
    mails: int
    latest: OutboxMessage


def _told(alert: Alert) -> list[Told]:
    """Who was told, in the order in which they were first."""
    by_person = defaultdict(list)
    for mail in sorted(alert.mails.all(), key=lambda mail: mail.pk):
        by_person[mail.recipient_id].append(mail)
    return [Told(mails[-1].recipient, len(mails), mails[-1]) for mails in by_person.values()]


def _find_alert(user: User, pk: int) -> Alert:
    """The alert with its mails and all answers to its check-in; 404 outside the user's clinics."""
    alerts = Alert.objects.visible_to(user).with_answers().select_related("acknowledged_by")
    alert: Alert = get_object_or_404(alerts.prefetch_related("mails__recipient"), pk=pk)
    opens(alert.patient)
    return alert


@require_safe
def checkin_page(request: StaffRequest, pk: int) -> HttpResponse:
    checkin = find_checkin(request.user, pk)
    return render(
        request,
        "reactions/checkin.html",
        {
            "checkin": checkin,
            "infusion": checkin.infusion,
            "patient": checkin.patient,
            "reported": any(answer.has_problem for answer in checkin.answers.all()),
        },
    )
