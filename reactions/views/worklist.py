"""The worklist: what must be followed through, and what it still needs."""

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_safe

from patients.access import StaffRequest
from reactions import worklist
from reactions.models import WorkItem
from reactions.recording import settle_work

PAGE_SIZE = 25


@require_safe
def work_list(request: StaffRequest) -> HttpResponse:
    """Open items of the user's clinics, the oldest first."""
    items = WorkItem.objects.visible_to(request.user).to_do()
    rows = items.select_related(
        "clinic",
        "patient__clinic",
        "signal__clinic",
        "reaction__infusion__patient__clinic",
        "reaction__infusion__product",
        "reaction__anaphylaxis",
    ).prefetch_related(
        "patient__emergencies__user", "reaction__symptoms", "reaction__causality", "reaction__signatures"
    )
    page = Paginator(rows.order_by("opened_at", "pk"), PAGE_SIZE).get_page(request.GET.get("page"))
    work = [(item, worklist.missing(item.reaction) if item.reaction else []) for item in page.object_list]
    return render(request, "reactions/worklist.html", {"page": page, "work": work})


@require_http_methods(["GET", "HEAD", "POST"])
def settle(request: StaffRequest, pk: int) -> HttpResponse:
    """The button of an item about a patient. Whoever comes by the address alone finds the list."""
    item = get_object_or_404(
        WorkItem.objects.visible_to(request.user).exclude(patient=None).select_related("patient__clinic"), pk=pk
    )
    if request.method == "POST":
        if settle_work(item, by=request.user, now=timezone.now()):
            messages.success(request, f"Done: {item.get_kind_display().lower()}.")
        else:
            messages.warning(request, "This was changed meanwhile, and nothing was stored. What is open stands below.")
    return redirect("reactions:worklist")
