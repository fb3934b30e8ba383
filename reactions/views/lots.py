"""The look-back: who got a lot, and the list of whom to call."""

from django.http import Http404, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_safe

from patients.access import StaffRequest
from reactions import recording
from reactions.models import Vial
from reactions.views import look_back
from reactions.views.csv_file import csv_file


@require_safe
def lots(request: StaffRequest) -> HttpResponse:
    text, product, like = _asked(request, "lot"), _asked(request, "product"), bool(request.GET.get("like"))
    context: dict[str, object] = {"text": text, "product": product, "like": like}
    if not text:
        recent = look_back.lots_of_late(request.user, timezone.now())
        return render(request, "reactions/lots.html", context | {"lots": recent})
    exact = [] if like else look_back.lots_called(request.user, text)
    chosen = [lot for lot in exact if lot.product == product or not product]
    if len(chosen) != 1:
        found = exact or look_back.lots_like(request.user, text)
        return render(request, "reactions/lots.html", context | {"lots": found, "exact": bool(exact)})
    lot = chosen[0]
    infusions = Vial.objects.of_lot(lot.lot).infusions(lot.product).visible_to(request.user)
    page, given = look_back.page_of(infusions, lot.lot, request.GET.get("page"), timezone.localdate())
    context |= {"lot": lot, "totals": look_back.totals(infusions), "page": page, "given_list": given}
    return render(request, "reactions/lot.html", context)


@require_safe
def call_list(request: StaffRequest) -> HttpResponse:
    """The patients who got the lot, as a file to call them by."""
    lot, product = _asked(request, "lot"), _asked(request, "product")
    infusions = Vial.objects.of_lot(lot).infusions(product).visible_to(request.user).counted()
    if not infusions.exists():
        raise Http404("No infusion with this lot.")
    text = recording.export_call_list(infusions, by=request.user, lot=lot, product=product, now=timezone.now())
    return csv_file("call-list.csv", text)


def _asked(request: StaffRequest, name: str) -> str:
    return request.GET.get(name, "").replace("\x00", "").strip()[:100]
