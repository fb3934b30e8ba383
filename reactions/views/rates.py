"""The page “Reaction rates” of the admin, and its CSV."""

from dataclasses import dataclass

from django.contrib.admin import AdminSite
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_safe

from patients.access import signed_in
from patients.models import STATUS_LABELS, Clinic
from reactions.forms.rates import RatesForm
from reactions.rates.answer import CONFOUNDING, Rate, RatesTable, answer, answers, as_csv
from reactions.rates.chart import draw
from reactions.rates.question import label_of, values_of
from reactions.views.csv_file import csv_file, no_file


@dataclass(frozen=True)
class Line:
    """One IgA status: its strata by premedication, and all of them together."""

    label: str
    cells: list[Rate]
    total: Rate


def _form(request: HttpRequest) -> RatesForm:
    return RatesForm(request.GET, clinics=Clinic.objects.administered_by(signed_in(request)))


@require_safe
def reaction_rates(request: HttpRequest, *, site: AdminSite) -> HttpResponse:
    """IgA status × premedication: events of total, rate and interval, drawn and in a table."""
    form = _form(request)
    context = site.each_context(request) | {"title": "Reaction rates", "form": form}
    if form.is_valid():
        key, clinics = form.premedication_key, form.chosen_clinics()
        groupings = [("iga", key), ("iga",), (key,)]
        table, by_iga, by_drugs = answers(form.question(("iga", key)), groupings, clinics)
        context |= {
            "table": table,
            "lines": _lines(table, by_iga),
            "columns": [label_of(key, value) for value in values_of(key) or ()],
            "totals": by_drugs.strata,
            "chart": draw(table.strata, table.question.by),
            "narrow_chart": draw(table.strata, table.question.by, narrow=True),
            "confounding": CONFOUNDING,
            "notes": [note for note in table.notes if note != CONFOUNDING],
            "clinics": clinics,
            "asked_at": timezone.now(),
        }
    return render(request, "admin/reaction_rates.html", context, status=200 if form.is_valid() else 400)


@require_safe
def reaction_rates_csv(request: HttpRequest, *, site: AdminSite) -> HttpResponse:
    """The same answer as a file, with the same filters."""
    form = _form(request)
    if not form.is_valid():
        return no_file(form)
    table = answer(form.question(("iga", form.premedication_key)), form.chosen_clinics())
    return csv_file("reaction-rates.csv", as_csv(table))


def _lines(table: RatesTable, by_iga: RatesTable) -> list[Line]:
    width = len(table.strata) // len(by_iga.strata)
    return [
        Line(STATUS_LABELS[str(total.stratum[0])], table.strata[number * width : (number + 1) * width], total)
        for number, total in enumerate(by_iga.strata)
    ]
