"""From a clinic's rows to what stands out in them: what signals.py needs, in a number of queries that does not grow."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from types import MappingProxyType
from typing import Any

from django.db.models import Exists, Max, QuerySet, Subquery
from django.db.models.functions import Upper

from patients.models import Clinic
from reactions.models import Infusion, RateStep, Vial
from reactions.rates import strata
from reactions.rates.pictures.lots import NOT_RECORDED
from reactions.rates.pictures.pooling import apart
from reactions.rates.question import Question
from reactions.rates.signals import Case, Decided, Finding, Subject, Watched, lots_that_stand_out, watch
from reactions.vocabulary import LABELS, Setting, SignalKind

# What counts as an event: the same as in the reaction rates.
EVENT = Question(window="label72")
# Calendar years before this one that are looked at: a lot is compared with what was given around its time, and this
# year with what was usual lately.
YEARS_BEFORE = 2
# What tells one signal of a clinic from another: what it is about, and the year of a product or setting, '' for a lot.
Identity = tuple[Subject, str]
NOTHING: Mapping[Identity, Decided] = MappingProxyType({})


@dataclass(frozen=True)
class Look:
    """What one look at a clinic found, how much there was to look at, and in `unwatched` what cannot be watched.

    Products and settings were watched in the `year`. `apart` are the subjects of the findings whose figures let nobody
    tell a group of fewer than `least_patients`, the clinic's rule at that time.
    """

    year: str
    findings: tuple[Finding, ...]
    apart: frozenset[Subject]
    least_patients: int
    infusions: int
    lots: int
    watched: tuple[str, ...]
    unwatched: tuple[str, ...]


def look(clinic: Clinic, *, now: datetime, decided: Mapping[Identity, Decided] = NOTHING) -> Look:
    """Look at every lot, product and setting of the clinic; at what was decided about, for what came since."""
    this_year = now.astimezone(clinic.zone).year
    cases = cases_of(clinic, since=datetime(this_year - YEARS_BEFORE, 1, 1, tzinfo=clinic.zone))
    watched_from = date(this_year, 1, 1)
    found = lots_that_stand_out(cases)
    watched: list[str] = []
    unwatched: list[str] = []
    for subject, own in _subjects(cases, watched_from):
        came = watch(subject, own, watched_from, decided.get((subject, str(this_year))))
        found += [came.finding] if came.finding else []
        (unwatched if came.why_not else watched).append(_told(subject, came))
    return Look(
        year=str(this_year),
        findings=tuple(found),
        apart=frozenset(one.subject for one in found if is_apart(one, cases, clinic.least_patients)),
        least_patients=clinic.least_patients,
        infusions=len(cases),
        lots=len({(case.product, lot) for case in cases for lot in case.lots}),
        watched=tuple(watched),
        unwatched=tuple(unwatched),
    )


def is_apart(finding: Finding, cases: Sequence[Case], least: int) -> bool:
    """Whether neither the figures, nor what is left when all such are taken from a total, rest on few patients.

    Lots, products and settings are judged beside their like, as the pictures of the rates judge them (pooling.py). A
    lot and what it is compared with are all of its product, so that the product has to be apart as well.
    """
    if not least:
        return True
    if min(finding.patients, len(finding.compared)) < least:
        return False
    subject = finding.subject
    products = [(case.patient, frozenset({case.product})) for case in cases]
    match subject.kind:
        case SignalKind.LOT:
            of_product = [case for case in cases if case.product == subject.product]
            lots = [(case.patient, case.lots or frozenset({NOT_RECORDED})) for case in of_product]
            judged = [(lots, subject.lot), (products, subject.product)]
        case SignalKind.PRODUCT:
            judged = [(products, subject.product)]
        case _ if subject.setting:
            judged = [([(case.patient, frozenset({case.setting})) for case in cases], subject.setting)]
        case _:
            judged = []
    return all(name in (apart(units, least) or ()) for units, name in judged)


def _told(subject: Subject, came: Watched) -> str:
    return f"{name_of(subject)} ({came.why_not})" if came.why_not else name_of(subject)


def name_of(subject: Subject) -> str:
    """What a signal is about, as staff read it."""
    match subject.kind:
        case SignalKind.LOT:
            return f"Lot {subject.lot} of {subject.product}"
        case SignalKind.PRODUCT:
            return subject.product
        case _:
            return f"Setting: {LABELS[Setting][subject.setting].lower()}" if subject.setting else "The whole clinic"


def with_events(infusions: QuerySet[Infusion]) -> QuerySet[Any]:
    """Each with `event`: whether it counts as one with a reaction, by the rates' own word of that."""
    return infusions.annotate(event=Exists(strata.events_of(EVENT)))


def cases_of(clinic: Clinic, *, since: datetime) -> list[Case]:
    """The clinic's infusions that count and began since then, in the order of time; three queries.

    One of which nobody wrote down whether there was a reaction counts as one without, as in the rates.
    """
    counted = strata.infusions_of(EVENT, [clinic], ("first_infusion",)).filter(started_at__gte=since)
    # Who wrote the first of its reactions down.
    writers = strata.events_of(EVENT).order_by("reaction_id").values("reaction__created_by")[:1]
    lots: dict[int, set[str]] = defaultdict(set)
    for infusion, lot in (
        Vial.objects.filter(infusion__in=counted.values("pk"))
        .order_by()
        .values_list("infusion", Upper("lot"))
        .distinct()
    ):
        lots[infusion].add(lot)
    steps = RateStep.objects.current().filter(infusion__in=counted.values("pk")).order_by()
    highest = dict(steps.values_list("infusion").annotate(Max("rate_ml_per_h")))
    columns = (
        "pk",
        "patient",
        "course",
        "started_at",
        "local_day",
        "product__name",
        "setting",
        "written_by",
        "key_0",
        "created_at",
    )
    rows = counted.annotate(written_by=Subquery(writers)).order_by("started_at", "pk").values_list(*columns)
    return [
        Case(
            pk=pk,
            patient=patient,
            course=course,
            started_at=started_at,
            day=day,
            product=product,
            setting=setting,
            written_by=written_by,
            first=first,
            lots=frozenset(lots[pk]),
            highest_rate=highest.get(pk),
            recorded_at=recorded_at,
            event=written_by is not None,
        )
        for pk, patient, course, started_at, day, product, setting, written_by, first, recorded_at in rows
    ]


def _subjects(cases: Iterable[Case], watched_from: date) -> list[tuple[Subject, list[Case]]]:
    """Products and settings given since the watch began, each with all its infusions; the whole clinic comes last.

    With one product or setting only, that is the clinic, and it is not watched twice.
    """
    products, settings, everything = defaultdict(list), defaultdict(list), []
    for case in cases:
        products[case.product].append(case)
        settings[case.setting].append(case)
        everything.append(case)
    subjects = []
    if len(products) > 1:
        subjects += [(Subject(SignalKind.PRODUCT, product=name), own) for name, own in sorted(products.items())]
    if len(settings) > 1:
        subjects += [(Subject(SignalKind.SITE, setting=name), own) for name, own in sorted(settings.items())]
    subjects.append((Subject(SignalKind.SITE), everything))
    return [(subject, own) for subject, own in subjects if own and own[-1].day >= watched_from]
