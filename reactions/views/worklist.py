"""The worklist: what must be followed through, and what it still needs."""

from django.core.paginator import Paginator
from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from patients.access import StaffRequest
from reactions import worklist
from reactions.models import WorkItem

PAGE_SIZE = 25


@require_safe
def work_list(request: StaffRequest) -> HttpResponse:
    """Open items of the user's clinics, the oldest first."""
    items = WorkItem.objects.visible_to(request.user).to_do()
    rows = items.select_related(
        "clinic", "reaction__infusion__patient__clinic", "reaction__infusion__product", "reaction__anaphylaxis"
    ).prefetch_related("reaction__symptoms", "reaction__causality", "reaction__signatures")
    page = Paginator(rows.order_by("opened_at", "pk"), PAGE_SIZE).get_page(request.GET.get("page"))
    work = [(item, worklist.missing(item.reaction)) for item in page.object_list if item.reaction]
    return render(request, "reactions/worklist.html", {"page": page, "work": work})
