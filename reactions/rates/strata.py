"""From rows to strata: which infusions count, in which stratum, with or without a reaction.

An infusion counts unless it or its patient is void. Its IgA status is the result in force on its day, on the clinic's
clocks. It counts as an event when a symptom of a reaction that is not void matches the question and began in the
question's window.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from django.db.models import BooleanField, Case, CharField, Exists, F, OuterRef, Q, QuerySet, Subquery, Value, When
from django.db.models.functions import Coalesce, TruncDate

from patients.iga import Status
from patients.models import Clinic, IgaResult
from reactions.clinical.onset import DELAYED_WITHIN, IMMEDIATE_WITHIN, LABEL_WINDOW_AFTER_END
from reactions.models import Infusion, Premedication, Symptom
from reactions.rates.question import DRUG_PREFIX, Question
from reactions.vocabulary import DRUGS, DrugGroup, PremedicationClass, PremedicationRecord, ReactionRecord

Stratum = tuple[object, ...]
# (patient, unit): [whether it had an event, whether anybody looked]
Units = dict[tuple[int, int], list[bool]]

CORTICOSTEROIDS = [code for code, (_, group) in DRUGS.items() if group == DrugGroup.CORTICOSTEROID]
ANTIPYRETICS_AND_ANTIHISTAMINES = [
    code for code, (_, group) in DRUGS.items() if group in {DrugGroup.ANTIPYRETIC, DrugGroup.ANTIHISTAMINE}
]


# Windows in which a reaction without an onset counts as an event.
WITHOUT_ONSET_COUNTS = frozenset({"label72", "any"})


@dataclass
class Counts:
    """What was counted in one stratum: of each patient, [units with an event, units]."""

    by_patient: dict[int, list[int]] = field(default_factory=lambda: defaultdict(lambda: [0, 0]))
    # Units of which nobody wrote down whether there was a reaction.
    not_recorded: int = 0

    @property
    def events(self) -> int:
        return sum(events for events, _ in self.by_patient.values())

    @property
    def total(self) -> int:
        return sum(units for _, units in self.by_patient.values())


@dataclass
class Counted:
    """Every stratum that has infusions, and all together."""

    strata: dict[Stratum, Counts]
    everything: Counts
    without_onset: int


def count(question: Question, clinics: Iterable[Clinic]) -> Counted:
    """Count the question's units in the given clinics, divided by its keys."""
    return count_by(question, [question.by], clinics)[0]


def count_by(question: Question, groupings: Sequence[tuple[str, ...]], clinics: Iterable[Clinic]) -> list[Counted]:
    """Count once, divided by each of the groupings: one pass for a table and both of its margins.

    One query for each time zone, and one for unknown onsets. A course or a patient counts once in every stratum in
    which it has an infusion, and as an event there when one of those infusions has one.
    """
    keys = tuple(dict.fromkeys(key for grouping in groupings for key in grouping))
    places = [tuple(keys.index(key) for key in grouping) for grouping in groupings]
    divided: list[dict[Stratum, Units]] = [defaultdict(dict) for _ in groupings]
    everything: Units = {}
    without_onset = 0
    for infusions in _by_zone(question, keys, clinics):
        for patient, unit, reacted, recorded, *values in _rows(question, keys, infusions):
            strata = [
                division[tuple(values[place] for place in chosen)]
                for division, chosen in zip(divided, places, strict=True)
            ]
            for units in (*strata, everything):
                seen = units.setdefault((patient, unit), [False, False])
                seen[0] |= reacted
                seen[1] |= reacted or recorded
        without_onset += _without_onset(question, infusions)
    total = _counts(everything)
    return [
        Counted({stratum: _counts(units) for stratum, units in strata.items()}, total, without_onset)
        for strata in divided
    ]


def _counts(units: Units) -> Counts:
    counts = Counts()
    for (patient, _), (reacted, recorded) in units.items():
        cell = counts.by_patient[patient]
        cell[0] += reacted
        cell[1] += 1
        counts.not_recorded += not recorded
    return counts


def _rows(question: Question, by: tuple[str, ...], infusions: QuerySet[Infusion]) -> Iterator[Any]:
    unit = {"infusion": "pk", "course": "course_id", "patient": "patient_id"}[question.unit]
    recorded = Case(
        When(reaction_record=ReactionRecord.OBSERVED, then=True), default=False, output_field=BooleanField()
    )
    keys = [f"key_{number}" for number in range(len(by))]
    columns = infusions.annotate(reacted=Exists(_symptoms(question)), recorded=recorded).values_list(
        "patient_id", unit, "reacted", "recorded", *keys
    )
    return columns.order_by().iterator(chunk_size=10_000)


def _by_zone(question: Question, by: tuple[str, ...], clinics: Iterable[Clinic]) -> Iterator[QuerySet[Infusion]]:
    zones: dict[str, list[int]] = defaultdict(list)
    for clinic in clinics:
        zones[clinic.time_zone].append(clinic.pk)
    for zone, ids in zones.items():
        yield _infusions(question, by, ZoneInfo(zone), ids)


def _infusions(question: Question, by: tuple[str, ...], zone: ZoneInfo, clinic_ids: list[int]) -> QuerySet[Infusion]:
    infusions = Infusion.objects.current().filter(patient__clinic__in=clinic_ids, patient__voided_at=None)
    if question.first_day:
        infusions = infusions.filter(started_at__gte=datetime.combine(question.first_day, time.min, zone))
    if question.last_day:
        after = question.last_day + timedelta(days=1)
        infusions = infusions.filter(started_at__lt=datetime.combine(after, time.min, zone))
    if question.product:
        infusions = infusions.filter(product__name=question.product)
    infusions = infusions.alias(local_day=TruncDate("started_at", tzinfo=zone))
    return infusions.annotate(**{f"key_{number}": _value_of(key) for number, key in enumerate(by)})


def _value_of(key: str) -> Any:
    if key.startswith(DRUG_PREFIX):
        given = Exists(Premedication.objects.filter(infusion=OuterRef("pk"), drug=key.removeprefix(DRUG_PREFIX)))
        unknown = When(premedication_record=PremedicationRecord.NOT_RECORDED, then=Value("not_recorded"))
        return Case(unknown, When(given, then=Value("yes")), default=Value("no"), output_field=CharField())
    match key:
        case "iga":
            return _iga_in_force()
        case "premedication":
            return _premedication_class()
        case "first_infusion":
            earlier = Infusion.objects.current().filter(
                patient=OuterRef("patient_id"), started_at__lt=OuterRef("started_at")
            )
            return ~Exists(earlier)
        case "product":
            return F("product__name")
        case "clinic":
            return F("patient__clinic__slug")
        case "setting":
            # An annotation may not bear the name of the column it copies, so it is looked up through an expression.
            return Coalesce(F("setting"), Value(""))
        case _:
            return F(f"patient__{key}")


def _iga_in_force() -> Any:
    results = IgaResult.objects.in_force_on(OuterRef("local_day")).filter(patient=OuterRef("patient_id"))
    return Coalesce(Subquery(results.values("status")[:1]), Value(str(Status.NOT_TESTED)))


def _premedication_class() -> Case:
    def given(drugs: list[str]) -> Exists:
        return Exists(Premedication.objects.filter(infusion=OuterRef("pk"), drug__in=drugs))

    named = PremedicationClass
    return Case(
        When(premedication_record=PremedicationRecord.NONE, then=Value(str(named.NONE))),
        When(premedication_record=PremedicationRecord.NOT_RECORDED, then=Value(str(named.NOT_RECORDED))),
        When(given(CORTICOSTEROIDS), then=Value(str(named.CORTICOSTEROID))),
        When(given(ANTIPYRETICS_AND_ANTIHISTAMINES), then=Value(str(named.ANTIPYRETIC_ANTIHISTAMINE))),
        default=Value(str(named.OTHER)),
        output_field=CharField(),
    )


def _symptoms(question: Question) -> QuerySet[Symptom]:
    """Symptoms of the infusion at hand that make it an event. A symptom without an onset has its reaction's."""
    symptoms = Symptom.objects.filter(reaction__infusion=OuterRef("pk"), reaction__voided_at=None)
    symptoms = symptoms.annotate(began=Coalesce("onset_at", "reaction__onset_at"))
    if question.term:
        symptoms = symptoms.filter(term=question.term)
    if question.min_grade is not None:
        symptoms = symptoms.filter(grade__gte=question.min_grade)
    start, end = F("reaction__infusion__started_at"), F("reaction__infusion__ended_at")
    match question.window:
        case "label72":
            still_running = Q(reaction__infusion__ended_at=None)
            in_time = still_running | Q(began__lte=end + LABEL_WINDOW_AFTER_END)
            return symptoms.filter(Q(began=None) | Q(began__gte=start) & in_time)
        case "immediate":
            return symptoms.filter(began__gte=start, began__lte=start + IMMEDIATE_WITHIN)
        case "delayed":
            return symptoms.filter(began__gt=start + IMMEDIATE_WITHIN, began__lte=start + DELAYED_WITHIN)
        case _:
            return symptoms


def _without_onset(question: Question, infusions: QuerySet[Infusion]) -> int:
    """How many of the infusions have a matching reaction of which nobody wrote down when it began.

    They are events in the windows that are open at the start (WITHOUT_ONSET_COUNTS), and cannot be placed in others.
    """
    anywhere = replace(question, window="any")
    unknown = _symptoms(anywhere).filter(onset_at=None, reaction__onset_at=None)
    return infusions.filter(Exists(unknown)).count()
