"""From a clinic's rows to what stands out in them: what signals.py needs, in a number of queries that does not grow."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Any

from django.db.models import Exists, Max, QuerySet
from django.db.models.functions import Upper

from patients.models import Clinic
from reactions.models import Infusion, RateStep, Vial
from reactions.rates import strata
from reactions.rates.question import Question
from reactions.rates.signals import Case, Finding, Subject, Watched, lots_that_stand_out, watch
from reactions.vocabulary import LABELS, Setting, SignalKind

# What counts as an event: the same as in the reaction rates.
EVENT = Question(window="label72")
# A lot is compared with what was given around its time.
LOTS_OF = timedelta(days=2 * 365)


@dataclass(frozen=True)
class Look:
    """What one look at a clinic found: how much there was to look at, and in `unwatched` what has no baseline yet."""

    findings: tuple[Finding, ...]
    infusions: int
    lots: int
    watched: tuple[str, ...]
    unwatched: tuple[str, ...]


def look(clinic: Clinic, *, now: datetime) -> Look:
    """Look at every lot, product and site of the clinic."""
    cases = cases_of(clinic)
    recent = [case for case in cases if case.started_at > now - LOTS_OF]
    found = lots_that_stand_out(recent)
    watched_from = date(now.astimezone(clinic.zone).year, 1, 1)
    watched: list[str] = []
    unwatched: list[str] = []
    for subject, own in _subjects(cases, watched_from):
        came = watch(subject, own, watched_from)
        found += [came.finding] if came.finding else []
        (unwatched if came.why_not else watched).append(_told(subject, came))
    lots = {(case.product, lot) for case in recent for lot in case.lots}
    return Look(tuple(_with_rates(found)), len(cases), len(lots), tuple(watched), tuple(unwatched))


def _told(subject: Subject, came: Watched) -> str:
    return f"{name_of(subject)}: {came.why_not}" if came.why_not else name_of(subject)


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


def cases_of(clinic: Clinic) -> list[Case]:
    """The clinic's infusions that count, in the order of time; two queries.

    One of which nobody wrote down whether there was a reaction counts as one without, as in the rates.
    """
    counted = strata.infusions_of(EVENT, [clinic])
    lots: dict[int, set[str]] = defaultdict(set)
    for infusion, lot in (
        Vial.objects.filter(infusion__in=counted.values("pk"))
        .order_by()
        .values_list("infusion", Upper("lot"))
        .distinct()
    ):
        lots[infusion].add(lot)
    columns = ("pk", "patient", "started_at", "local_day", "product__name", "setting", "created_by", "event")
    rows = with_events(counted).order_by("started_at", "pk").values_list(*columns)
    return [
        Case(
            pk=pk,
            patient=patient,
            started_at=started_at,
            day=day,
            product=product,
            setting=setting,
            recorded_by=recorded_by,
            lots=frozenset(lots[pk]),
            event=event,
        )
        for pk, patient, started_at, day, product, setting, recorded_by, event in rows
    ]


def _subjects(cases: Iterable[Case], watched_from: date) -> list[tuple[Subject, list[Case]]]:
    """Products and sites given since the watch began, each with all its infusions; the whole clinic comes last.

    With one setting only, that is the clinic, and it is not watched twice.
    """
    products, settings, everything = defaultdict(list), defaultdict(list), []
    for case in cases:
        products[case.product].append(case)
        settings[case.setting].append(case)
        everything.append(case)
    subjects = [(Subject(SignalKind.PRODUCT, product=name), own) for name, own in sorted(products.items())]
    if len(settings) > 1:
        subjects += [(Subject(SignalKind.SITE, setting=name), own) for name, own in sorted(settings.items())]
    subjects.append((Subject(SignalKind.SITE), everything))
    return [(subject, own) for subject, own in subjects if own and own[-1].day >= watched_from]


def _with_rates(found: Iterable[Finding]) -> list[Finding]:
    """Add to what is to be checked how many events shared the highest rate of the infusion; one query."""
    found = list(found)
    events = {case.pk for finding in found for case in finding.behind if case.event}
    highest = dict(
        RateStep.objects.current()
        .filter(infusion__in=events)
        .order_by()
        .values_list("infusion")
        .annotate(highest=Max("rate_ml_per_h"))
    )
    return [replace(finding, checks=(*finding.checks, *_same_rate(finding, highest))) for finding in found]


def _same_rate(finding: Finding, highest: dict[int, object]) -> list[str]:
    rates: dict[object, int] = defaultdict(int)
    events = [case for case in finding.behind if case.event]
    for case in events:
        if case.pk in highest:
            rates[highest[case.pk]] += 1
    rate, count = max(rates.items(), key=lambda one: one[1], default=(None, 0))
    return [f"{count} of the {len(events)} had the same highest rate, {rate:g} mL/h"] if count > 1 else []
