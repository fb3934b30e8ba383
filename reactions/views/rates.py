"""The page “Reaction rates” of the admin, its files, and the infusions behind each of its figures."""

from collections.abc import Sequence
from datetime import date
from urllib.parse import urlencode

from django.contrib.admin import AdminSite
from django.core.paginator import Paginator
from django.db.models import Exists
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_safe

from patients.access import signed_in
from patients.models import Clinic
from reactions.forms.rates import RatesForm
from reactions.models import Infusion, Reaction
from reactions.rates.answer import CONFOUNDING, answer, answers, answers_by_unit, as_csv, as_json
from reactions.rates.chart import draw
from reactions.rates.columns import REACTED, Columns, joined
from reactions.rates.dashboard import Dashboard, dashboard, groupings_of
from reactions.rates.kept import columns_of
from reactions.rates.pictures.drawing import Gallery
from reactions.rates.question import SOURCES, WINDOWS, in_words, key_label
from reactions.rates.report import Report, as_pdf, product_version
from reactions.rates.series import gallery
from reactions.rates.strata import events_of, every_event_of, infusions_of
from reactions.rates.words import definitions
from reactions.views.csv_file import csv_file, no_file

INFUSIONS_A_PAGE = 50
# What a list of infusions needs; where courses are counted, those too.
LISTED = ("infusion", "patient", "started", "known")
# Filters that a list names; what makes an event is said in a sentence.
OF_THE_LIST = ("Clinic", "From", "To", "Product")
NO_SUCH_FIGURE = "This figure is not on the page of rates. Go back and choose it there."
HIDDEN = "Small groups are not shown at this clinic, and no list from which they could be told."


def _gallery(found: Dashboard, clinics: Sequence[Clinic]) -> Gallery | None:
    """The pictures; none where the clinic is hidden altogether."""
    table = found.table
    if table.all.is_hidden:
        return None
    infusions = infusions_of(table.question, clinics)
    reacted = infusions.annotate(reacted=Exists(events_of(table.question)))
    symptoms = every_event_of(table.question).filter(reaction__infusion__in=infusions.values("pk"))
    return gallery(reacted, symptoms, least_patients=table.least_patients, hidden_products=found.hidden_products)


def _lines(columns: Columns) -> list[tuple[Infusion, date, bool, list[Reaction]]]:
    """Each infusion with its day on its clinic's clocks, whether it counts as an event, and its reactions."""
    numbers = columns.numbers["infusion"].tolist()
    infusions = Infusion.objects.select_related("patient__clinic", "product")
    found = infusions.prefetch_related("premedications", "reactions__symptoms").in_bulk(numbers)
    reacted = (columns.known & REACTED).astype(bool).tolist()
    each = [(found[number], event) for number, event in zip(numbers, reacted, strict=True)]
    return [
        (
            infusion,
            timezone.localdate(infusion.started_at, infusion.zone),
            event,
            [reaction for reaction in infusion.reactions.all() if not reaction.is_void],
        )
        for infusion, event in each
    ]


def _form(request: HttpRequest) -> RatesForm:
    return RatesForm(request.GET, clinics=Clinic.objects.administered_by(signed_in(request)))


@require_safe
def reaction_rates(request: HttpRequest, *, site: AdminSite) -> HttpResponse:
    """IgA status × premedication, and by a second key: events of total, rate and intervals, drawn and in tables."""
    form = _form(request)
    context = site.each_context(request) | {"title": "Reaction rates", "form": form}
    if form.is_valid():
        key, clinics = form.premedication_key, form.chosen_clinics()
        found = dashboard(form.question(("iga", key)), key, form.also_key, clinics)
        context |= {
            "found": found,
            "table": found.table,
            "premedication_label": key_label(key),
            "also_label": key_label(form.also_key),
            "also_caption": f"{key_label(form.also_key)}, every stratum in full",
            "chart": draw(found.table.strata, found.table.question.by),
            "narrow_chart": draw(found.table.strata, found.table.question.by, narrow=True),
            "confounding": CONFOUNDING,
            "comparison": found.comparison_in_words,
            "definitions": definitions(found.table.question),
            "notes": [note for note in found.table.notes if note != CONFOUNDING],
            "clinics": clinics,
            "asked_at": timezone.now(),
            "filters": request.GET.urlencode(),
            "gallery": _gallery(found, clinics),
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


@require_safe
def reaction_rates_pdf(request: HttpRequest, *, site: AdminSite) -> HttpResponse:
    """The page on paper: filters, date, definitions, tables and pictures."""
    form = _form(request)
    if not form.is_valid():
        return no_file(form)
    key, clinics = form.premedication_key, form.chosen_clinics()
    found = dashboard(form.question(("iga", key)), key, form.also_key, clinics)
    report = Report(
        title="Reaction rates",
        asked_at=timezone.localtime(timezone.now(), clinics[0].zone) if clinics else timezone.now(),
        filters=form.in_words(),
        clinics=[clinic.name for clinic in clinics],
        definitions=[*found.table.notes, *definitions(found.table.question)],
        tables=[found.table, found.by_iga, found.by_drugs, found.also],
        with_answers=[found.by_iga, found.by_drugs, found.also],
        comparison=found.comparison_in_words,
        version=product_version(),
        gallery=_gallery(found, clinics),
    )
    return HttpResponse(
        as_pdf(report),
        content_type="application/pdf",
        headers={"Content-Disposition": 'attachment; filename="reaction-rates.pdf"'},
    )


@require_safe
def reaction_rates_json(request: HttpRequest, *, site: AdminSite) -> HttpResponse:
    """The same answer for programs, as the command gives it."""
    form = _form(request)
    if not form.is_valid():
        return JsonResponse({"errors": form.errors}, status=400)
    table = answer(form.question(("iga", form.premedication_key)), form.chosen_clinics())
    return JsonResponse(as_json(table))


@require_safe
def rate_infusions(request: HttpRequest, *, site: AdminSite) -> HttpResponse:
    """The infusions behind one figure: those of its stratum, with whether each counts as an event."""
    form = _form(request)
    back = request.GET.copy()
    for name in ("key", "value", "only", "page"):
        back.pop(name, None)
    context = site.each_context(request) | {
        "title": "Infusions behind a rate",
        "form": form,
        "filters": back.urlencode(),
    }
    if not form.is_valid():
        return render(request, "admin/rate_infusions.html", context, status=400)
    keys, wanted = tuple(request.GET.getlist("key")), request.GET.getlist("value")
    clinics, main = form.chosen_clinics(), ("iga", form.premedication_key)
    if keys not in {main, ("iga",), (form.premedication_key,), (form.also_key,), ()} or len(keys) != len(wanted):
        return render(request, "admin/rate_infusions.html", context | {"why_not": NO_SUCH_FIGURE}, status=404)
    question = form.question(keys)
    names = LISTED if question.unit != "course" else (*LISTED, "course")
    blocks = columns_of(question, keys, clinics, names)
    table = answers_by_unit(question, [keys], clinics, [question.unit], blocks)[question.unit][0]
    rates = [rate for rate in (table.strata if keys else [table.all]) if [str(v) for v in rate.stratum] == wanted]
    if not rates:
        return render(request, "admin/rate_infusions.html", context | {"why_not": NO_SUCH_FIGURE}, status=404)
    everywhere = groupings_of(form.premedication_key, form.also_key, clinics)
    if table.least_patients and any(one.hides for one in answers(question, everywhere, clinics)):
        return render(request, "admin/rate_infusions.html", context | {"why_not": HIDDEN}, status=403)
    rate = rates[0]
    behind = [block.where(block.in_stratum(rate.stratum)) for block in blocks]
    if request.GET.get("only") == "events":
        behind = [block.where((block.known & REACTED) != 0) for block in behind]
    page = Paginator(range(sum(map(len, behind))), INFUSIONS_A_PAGE).get_page(request.GET.get("page"))
    first = (page.number - 1) * INFUSIONS_A_PAGE
    shown = joined(behind).newest(range(first, first + INFUSIONS_A_PAGE)) if behind else None
    here = [(name, value) for name in ("key", "value", "only") for value in request.GET.getlist(name)]
    context |= {
        "rate": rate,
        "stratum": in_words(keys, rate.stratum),
        "question": question,
        "window": WINDOWS[question.window],
        "source": SOURCES[question.source],
        "chosen": [pair for pair in form.in_words() if pair[0] in OF_THE_LIST],
        "page": page,
        "lines": _lines(shown) if shown else [],
        "only_events": request.GET.get("only") == "events",
        "here": urlencode(here),
        "cell": urlencode([pair for pair in here if pair[0] != "only"]),
    }
    return render(request, "admin/rate_infusions.html", context)
