"""The pages of signals in the admin: what stands out, and what was decided about it."""

from datetime import timedelta

from django.contrib import messages
from django.contrib.admin import AdminSite
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_safe

from patients.access import posted, signed_in
from patients.models import Clinic, StaleRecord
from reactions import recording
from reactions.forms.clinics import ClinicsForm
from reactions.forms.signals import DecisionForm
from reactions.models import Infusion, Signal, SignalLook
from reactions.rates.signal_rows import with_events

PAGE_SIZE = 25
# A look once a day that is so old did not come: what the page does not show may be there.
LATE = timedelta(days=2)


@require_safe
def signals_page(request: HttpRequest, *, site: AdminSite) -> HttpResponse:
    """Open signals of the administrator's clinics, then those that were decided, the latest first."""
    form = ClinicsForm(request.GET, clinics=Clinic.objects.administered_by(signed_in(request)))
    context = site.each_context(request) | {"title": "Signals", "form": form}
    if form.is_valid():
        clinics = form.chosen_clinics()
        signals = Signal.objects.filter(clinic__in=clinics).select_related("clinic").prefetch_related("decisions")
        decided = signals.exclude(decided_at=None).prefetch_related("decisions__decided_by")
        context |= {
            "open": signals.open(),
            "page": Paginator(decided, PAGE_SIZE).get_page(request.GET.get("page")),
            "looks": SignalLook.objects.filter(clinic__in=clinics).select_related("clinic"),
            "unseen": Clinic.objects.filter(pk__in=[clinic.pk for clinic in clinics], signal_look=None),
            "late": timezone.now() - LATE,
        }
    return render(request, "admin/signals.html", context, status=200 if form.is_valid() else 400)


@require_http_methods(["GET", "HEAD", "POST"])
def signal_page(request: HttpRequest, pk: int, *, site: AdminSite) -> HttpResponse:
    """One signal: figures, method, what to check first, the infusions behind it, and the form to decide."""
    user = signed_in(request)
    signals = Signal.objects.administered_by(user).select_related("clinic")
    signal = get_object_or_404(signals, pk=pk)
    form, status = DecisionForm(posted(request), version=signal.version), 200
    if form.is_valid():
        try:
            recording.decide_signal(
                signal,
                by=user,
                verdict=form.verdict_taken,
                words=form.cleaned_data["words"],
                seen_version=form.version_seen,
                submission_id=form.submission,
                now=timezone.now(),
            )
        except StaleRecord:
            signal, status = get_object_or_404(signals, pk=pk), 409
            form.accept_version(signal.version)
        except recording.SentBefore:
            form.add_error(None, "This form was saved already, as it was before you changed it. See what was decided.")
        else:
            messages.success(request, "The decision is stored.")
            return redirect("admin:signals")
    timezone.activate(signal.clinic.zone)
    told = signal.infusions_behind() if signal.tells_figures else Infusion.objects.none()
    behind = with_events(told.select_related("product", "patient__clinic", "created_by"))
    context = site.each_context(request) | {
        "title": f"Signal: {signal}",
        "signal": signal,
        "form": form,
        "is_stale": status == 409,
        "decisions": signal.decisions.select_related("decided_by"),
        "earlier": signal.earlier(),
        "page": Paginator(behind.order_by("-event", "started_at", "pk"), PAGE_SIZE).get_page(request.GET.get("page")),
    }
    return render(request, "admin/signal.html", context, status=status)
