"""Every check-in of the clinic: due today, overdue, not delivered, unanswered."""

from django.core.paginator import Paginator
from django.http import HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_safe

from patients.access import StaffRequest
from reactions import delivery
from reactions.models import CheckIn

PAGE_SIZE = 25


@require_safe
def checkin_list(request: StaffRequest) -> HttpResponse:
    """A selection of the check-ins of the user's clinics; records that are void are left out."""
    now, clinic = timezone.now(), request.user.first_clinic()
    zone = clinic.zone if clinic else timezone.get_current_timezone()
    shown = request.GET.get("show", "")
    shown = shown if shown in delivery.SELECTIONS else "today"
    valid = CheckIn.objects.visible_to(request.user).filter(infusion__voided_at=None, infusion__patient__voided_at=None)
    rows = delivery.select(valid, shown, now, zone).select_related("infusion__patient__clinic", "infusion__product")
    page = Paginator(rows.prefetch_related("mails"), PAGE_SIZE).get_page(request.GET.get("page"))
    lines = [(checkin, delivery.of_checkin(checkin, now)) for checkin in page.object_list]
    context = {"page": page, "lines": lines, "shown": shown, "selections": delivery.names()}
    return render(request, "reactions/checkin_list.html", context)
