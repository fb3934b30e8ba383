"""Open alerts, what patients answered, and acknowledging an alert."""

from http import HTTPStatus

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_safe

from patients.access import StaffRequest, posted
from patients.models import User
from reactions import recording
from reactions.alerts import TOLD_WITHIN
from reactions.forms.alert import AcknowledgeForm
from reactions.models import Alert
from reactions.views.records import find_checkin

PAGE_SIZE = 25


@require_safe
def alert_list(request: StaffRequest) -> HttpResponse:
    alerts = Alert.objects.visible_to(request.user).open().by_urgency().with_answers()
    page = Paginator(alerts, PAGE_SIZE).get_page(request.GET.get("page"))
    untold = Alert.objects.visible_to(request.user).untold(waited_since=timezone.now() - TOLD_WITHIN)
    return render(request, "reactions/alerts.html", {"page": page, "untold": set(untold.values_list("pk", flat=True))})


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
    context = {"form": form, "alert": alert, "patient": alert.patient, "since": alert.answered_since()}
    return render(request, "reactions/acknowledge.html", context, status=status)


def _find_alert(user: User, pk: int) -> Alert:
    """The alert with its mails and all answers to its check-in; 404 outside the user's clinics."""
    alerts = Alert.objects.visible_to(user).with_answers().select_related("acknowledged_by")
    alert: Alert = get_object_or_404(alerts.prefetch_related("mails__recipient"), pk=pk)
    timezone.activate(alert.patient.clinic.zone)
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
