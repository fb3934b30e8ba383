"""The page “Reaction rates” of the admin."""

from django.contrib.admin import AdminSite
from django.http import HttpRequest, HttpResponse


def reaction_rates(request: HttpRequest, *, site: AdminSite) -> HttpResponse:
    raise NotImplementedError


def reaction_rates_csv(request: HttpRequest, *, site: AdminSite) -> HttpResponse:
    raise NotImplementedError
