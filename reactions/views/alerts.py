"""Open alerts, what patients answered, and acknowledging an alert."""

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_safe

from patients.access import StaffRequest, posted
from reactions import recording
from reactions.forms.alert import AcknowledgeForm
from reactions.models import Alert
from reactions.views.records import find_checkin

PAGE_SIZE = 25
LEVEL_ORDER = {"red": 0, "amber": 1, "green": 2}


@require_safe
def alert_list(request: StaffRequest) -> HttpResponse:
    found = Alert.objects.visible_to(request.user).open().select_related("patient__clinic", "answer__checkin")
    alerts = sorted(found, key=lambda alert: (LEVEL_ORDER[alert.level], alert.raised_at))
    return render(
        request, "reactions/alerts.html", {"page": Paginator(alerts, PAGE_SIZE).get_page(request.GET.get("page"))}
    )


@require_http_methods(["GET", "HEAD", "POST"])
def acknowledge(request: StaffRequest, pk: int) -> HttpResponse:
    alerts = Alert.objects.visible_to(request.user).select_related("patient__clinic", "answer__checkin")
    alert: Alert = get_object_or_404(alerts, pk=pk)
    form = AcknowledgeForm(posted(request))
    if form.is_valid():
        try:
            recording.acknowledge_alert(alert, by=request.user, now=timezone.now(), **form.cleaned_data)
        except recording.AlreadyAcknowledged:
            form.add_error(None, "Somebody else has acknowledged this alert already; what you wrote was not added.")
            alert.refresh_from_db()
        else:
            messages.success(request, "The alert is acknowledged.")
            return redirect("reactions:checkin", alert.answer.checkin_id)
    return render(request, "reactions/acknowledge.html", {"form": form, "alert": alert, "patient": alert.patient})


@require_safe
def checkin_page(request: StaffRequest, pk: int) -> HttpResponse:
    checkin = find_checkin(request.user, pk)
    return render(
        request,
        "reactions/checkin.html",
        {"checkin": checkin, "infusion": checkin.infusion, "patient": checkin.patient},
    )
