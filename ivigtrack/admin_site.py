"""The admin site: for administrators of a clinic and for set-up."""

from functools import partial
from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.urls import URLPattern, URLResolver, path

from reactions.views.rates import reaction_rates, reaction_rates_csv


class IVIGTrackAdminSite(admin.AdminSite):
    site_header = "IVIGTrack administration"
    site_title = "IVIGTrack"
    index_title = "Records and set-up"
    index_template = "admin/ivigtrack_index.html"

    def has_permission(self, request: HttpRequest) -> bool:
        """Superusers and people with an administrator's role in a clinic; nurses have pages of their own."""
        user = request.user
        return bool(user.is_active and user.is_authenticated and user.administers_something)

    def get_urls(self) -> list[URLPattern | URLResolver]:
        site: dict[str, Any] = {"site": self}
        return [
            path("rates/", self.admin_view(partial(reaction_rates, **site)), name="reaction_rates"),
            path("rates.csv", self.admin_view(partial(reaction_rates_csv, **site)), name="reaction_rates_csv"),
            *super().get_urls(),
        ]
