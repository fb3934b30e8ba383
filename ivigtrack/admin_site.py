"""The admin site: for administrators of a clinic and for set-up."""

from functools import partial
from typing import Any

from django.contrib import admin
from django.contrib.admin.views.main import SEARCH_VAR
from django.contrib.auth.decorators import login_not_required
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import URLPattern, URLResolver, path, reverse
from django.utils.decorators import method_decorator

from patients.sealing.query import hide
from reactions.views.alert_times import alert_times_csv, alert_times_page
from reactions.views.rates import (
    rate_infusions,
    reaction_rates,
    reaction_rates_csv,
    reaction_rates_json,
    reaction_rates_pdf,
)
from reactions.views.signals import signal_page, signals_page

# Pages that are no model's: their URL's name, and what they are called.
FIGURES = {"reaction_rates": "Reaction rates", "signals": "Signals", "alert_times": "Times to acknowledge alerts"}


class IVIGTrackAdminSite(admin.AdminSite):
    site_header = "IVIGTrack administration"
    site_title = "IVIGTrack"
    index_title = "Records and set-up"
    index_template = "admin/ivigtrack_index.html"

    def has_permission(self, request: HttpRequest) -> bool:
        """Superusers and people with an administrator's role in a clinic; nurses have pages of their own."""
        user = request.user
        return bool(user.is_active and user.is_authenticated and user.administers_something)

    def each_context(self, request: HttpRequest) -> dict[str, Any]:
        """With the pages of figures before the models, in the list that stands beside every page."""
        context = super().each_context(request)
        if self.has_permission(request):
            pages = [
                {"name": words, "object_name": name.replace("_", ""), "admin_url": reverse(f"admin:{name}")}
                for name, words in FIGURES.items()
            ]
            figures = {"name": "Figures", "app_label": "figures", "app_url": pages[0]["admin_url"], "models": pages}
            context["available_apps"] = [figures, *context["available_apps"]]
        return context

    @method_decorator(login_not_required)
    def login(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """One door for everybody: the staff's sign-in leads back here. Who is in, but not for this, is told so."""
        if request.user.is_authenticated:
            raise PermissionDenied
        return redirect_to_login(request.GET.get("next") or reverse("admin:index"), reverse("account_login"))

    def password_change(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:  # type: ignore[override]
        """One page for everybody, whose changes are in the trail."""
        return redirect("account_change_password")

    def search(self, request: HttpRequest) -> HttpResponse:
        """Lead to the list that was searched, with the words sealed in its address."""
        sent = request.POST.dict()
        listed = sent.pop("list", "")
        if request.method != "POST" or listed not in {model._meta.label_lower for model in self._registry}:
            raise Http404
        words = {SEARCH_VAR: hide(sent.pop("words", ""))}
        sent.pop("csrfmiddlewaretoken", None)
        asked = {name: value for name, value in (sent | words).items() if value}
        return redirect(reverse(f"admin:{listed.replace('.', '_')}_changelist", query=asked))

    def get_urls(self) -> list[URLPattern | URLResolver]:
        site: dict[str, Any] = {"site": self}
        return [
            path("rates/", self.admin_view(partial(reaction_rates, **site)), name="reaction_rates"),
            path("rates.csv", self.admin_view(partial(reaction_rates_csv, **site)), name="reaction_rates_csv"),
            path("rates.pdf", self.admin_view(partial(reaction_rates_pdf, **site)), name="reaction_rates_pdf"),
            path("rates.json", self.admin_view(partial(reaction_rates_json, **site)), name="reaction_rates_json"),
            path("rates/infusions/", self.admin_view(partial(rate_infusions, **site)), name="rate_infusions"),
            path("alert-times/", self.admin_view(partial(alert_times_page, **site)), name="alert_times"),
            path("alert-times.csv", self.admin_view(partial(alert_times_csv, **site)), name="alert_times_csv"),
            path("signals/", self.admin_view(partial(signals_page, **site)), name="signals"),
            path("signals/<int:pk>/", self.admin_view(partial(signal_page, **site)), name="signal"),
            path("search/", self.admin_view(self.search), name="search"),
            *super().get_urls(),
        ]
