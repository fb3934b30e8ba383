"""From rows to the series of the pictures: when reactions began, the months, the lots and the check-ins.

One query for each picture, whatever the number of rows. Where few patients are to be hidden, the queries also tell
patients apart, so that what is put together can be found out.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable
from typing import Any

from django.db.models import Count, Min, Q, QuerySet
from django.db.models.functions import TruncMonth, Upper

from reactions.models import CheckIn, Infusion, Symptom
from reactions.rates.pictures import lots, onset, over_time, pooling, response
from reactions.rates.pictures.drawing import Gallery, Picture
from reactions.vocabulary import LABELS, CheckInKind, CheckInState


def gallery(
    found: QuerySet[Infusion],
    symptoms: QuerySet[Symptom],
    *,
    least_patients: int = 0,
    hidden_products: Collection[str] = (),
) -> Gallery:
    """The pictures of a question.

    `found` are its infusions with `reacted` (bool) and `local_day` (date), `symptoms` those that make them events, with
    `began` (datetime or None). With `least_patients` above 0, nothing that is shown rests on fewer patients but none,
    nor does what is left when shown points are taken from all. `hidden_products` are not shown in the table of
    products: their lots are not told apart, and neither are others that a product's total would give away.
    """
    events = _events(symptoms)
    months = _months(found, least_patients)
    return Gallery(
        (
            onset.from_start(events, least_patients=least_patients),
            onset.from_end(events, least_patients=least_patients),
            over_time.over_time(months, least_patients=least_patients),
            _funnel(found, months, least_patients, hidden_products),
            _answered(found, least_patients),
        )
    )


def _events(symptoms: QuerySet[Symptom]) -> list[onset.Event]:
    """The earliest symptom of each infusion with one."""
    rows = symptoms.order_by().values_list(
        "reaction__infusion",
        "reaction__infusion__patient",
        "reaction__infusion__started_at",
        "reaction__infusion__ended_at",
    )
    return [
        onset.Event(patient, first and first - start, first and end and first - end)
        for _, patient, start, end, first in rows.annotate(first=Min("began"))
    ]


def _months(found: QuerySet[Infusion], least_patients: int) -> list[over_time.Month]:
    apart = ("patient",) if least_patients else ()
    rows = found.order_by().values_list(TruncMonth("local_day"), *apart)
    counted: dict[Any, list[Any]] = defaultdict(lambda: [0, 0, set()])
    for day, *patient, total, events in rows.annotate(total=Count("pk"), events=Count("pk", filter=Q(reacted=True))):
        month = counted[day]
        month[0] += events
        month[1] += total
        month[2].update(patient)
    return [
        over_time.Month(day, events, total, frozenset(patients)) for day, (events, total, patients) in counted.items()
    ]


def _funnel(
    found: QuerySet[Infusion],
    months: Iterable[over_time.Month],
    least_patients: int,
    hidden_products: Collection[str],
) -> Picture:
    events, total = sum(month.events for month in months), sum(month.total for month in months)
    if not least_patients:
        rows = found.order_by().values_list("product__name", Upper("vials__lot"))
        counts = rows.annotate(
            events=Count("pk", distinct=True, filter=Q(reacted=True)),
            total=Count("pk", distinct=True),
            patients=Count("patient", distinct=True),
        )
        merged: dict[str, list[int]] = defaultdict(lambda: [0, 0, 0])
        for product, lot, *numbers in counts:
            name = _lot_name(lot, product)
            merged[name] = [before + more for before, more in zip(merged[name], numbers, strict=True)]
        if lots.NOT_RECORDED in merged:
            # Of several products: whoever had two of them is one patient.
            unknown = found.filter(vials=None)
            merged[lots.NOT_RECORDED][2] = unknown.order_by().values("patient").distinct().count()
        return lots.funnel([lots.Lot(name, *numbers) for name, numbers in merged.items()], events, total)
    names: dict[int, set[str]] = defaultdict(set)
    infusions: dict[int, tuple[int, bool]] = {}
    # Each product that is shown, and the hidden ones together.
    groups: dict[str | None, set[int]] = defaultdict(set)
    rows = found.order_by().values_list("pk", "patient", "reacted", "product__name", Upper("vials__lot")).distinct()
    for pk, patient, reacted, product, lot in rows:
        infusions[pk] = (patient, reacted)
        names[pk].add(_lot_name(lot, product))
        groups[None if product in hidden_products else product].add(pk)
    everything = frozenset().union(*names.values())
    units = [[(infusions[pk][0], frozenset(names[pk])) for pk in inside] for inside in groups.values()]
    not_shown = frozenset().union(*(names[pk] for pk in groups[None])) - {lots.NOT_RECORDED}
    shown = pooling.apart_in_each(units, least_patients, not_shown)
    held: dict[str, list[tuple[int, bool]]] = defaultdict(list)
    for pk, one in infusions.items():
        for name in {name if name in shown else lots.OTHERS for name in names[pk]}:
            held[name].append(one)
    told = [
        lots.Lot(name, sum(reacted for _, reacted in inside), len(inside), len({patient for patient, _ in inside}))
        for name, inside in held.items()
    ]
    hidden = len(everything - shown - {lots.NOT_RECORDED})
    return lots.funnel(told, events, total, pooled=hidden, least_patients=least_patients)


def _lot_name(lot: str | None, product: str) -> str:
    """A lot is told apart by its text and its product: two makers may use one text."""
    return f"{lot} ({product})" if lot else lots.NOT_RECORDED


def _answered(found: QuerySet[Infusion], least_patients: int) -> Picture:
    """Of check-ins by mail; those that a patient began are not asked for, so nobody fails to answer them."""
    apart = ("infusion__patient",) if least_patients else ()
    sent = CheckIn.objects.filter(infusion__in=found.order_by().values("pk"), sent_at__isnull=False)
    rows = sent.exclude(kind=CheckInKind.REPORT).order_by().values_list("kind", "label", *apart)
    counted: dict[str, list[Any]] = defaultdict(lambda: [0, 0, 0, set()])
    order: dict[str, tuple[int, str]] = {}
    kinds = list(CheckInKind)
    for kind, label, *patient, total, answered, still_open in rows.annotate(
        total=Count("pk"),
        answered=Count("pk", filter=Q(state=CheckInState.ANSWERED)),
        open=Count("pk", filter=Q(state=CheckInState.SENT)),
    ):
        name = label or LABELS[CheckInKind].get(kind, kind)
        order[name] = min(order.get(name, (99, name)), (kinds.index(kind) if kind in kinds else 50, name))
        held = counted[name]
        for place, number in enumerate((total, answered, still_open)):
            held[place] += number
        held[3].update(patient)
    shown = frozenset(counted)
    if least_patients:
        units = [(patient, frozenset({name})) for name, held in counted.items() for patient in held[3]]
        if (chosen := pooling.apart(units, least_patients)) is None:
            return response.answered([], pooled=len(counted), least_patients=least_patients)
        shown = chosen
    told: dict[str, list[int]] = defaultdict(lambda: [0, 0, 0])
    for name in sorted(counted, key=lambda name: (name not in shown, order[name])):
        into = told[name if name in shown else response.OTHERS]
        for place, number in enumerate(counted[name][:3]):
            into[place] += number
    return response.answered(
        [response.Kind(name, *numbers) for name, numbers in told.items()],
        pooled=len(counted) - len(shown),
        least_patients=least_patients,
    )
