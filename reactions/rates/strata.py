"""From rows to strata: which infusions count, in which stratum, with or without a reaction.

An infusion counts unless it or its patient is void. Its IgA status is the result in force on its day, on the clinic's
clocks. It counts as an event when a symptom of a reaction that is not void matches the question and began in the
question's window.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, time, timedelta
from functools import reduce
from operator import or_
from typing import Any
from zoneinfo import ZoneInfo

from django.db.models import (
    BooleanField,
    Case,
    CharField,
    DateField,
    Exists,
    F,
    FloatField,
    OuterRef,
    Q,
    QuerySet,
    Subquery,
    Value,
    When,
)
from django.db.models.functions import Cast, Coalesce, TruncDate
from django.db.models.lookups import IsNull, LessThanOrEqual

from patients.iga import Status
from patients.models import Clinic, IgaResult
from reactions.clinical.onset import DELAYED_WITHIN, IMMEDIATE_WITHIN, LABEL_WINDOW_AFTER_END
from reactions.models import (
    Answer,
    CheckIn,
    Infusion,
    Premedication,
    RateStep,
    Reaction,
    ReviewDecision,
    Symptom,
)
from reactions.rates.question import DRUG_PREFIX, NOT_RECORDED, RATE_BANDS, UNITS, WATCHED, Question
from reactions.rates.sums import Sums
from reactions.vocabulary import (
    DRUGS,
    CheckInKind,
    DrugGroup,
    PremedicationClass,
    PremedicationRecord,
    ReactionRecord,
)

Stratum = tuple[object, ...]
# What is known of a unit, as bits: it had an event; somebody of the clinic watched; a check-in about its course left;
# the patient answered one; nobody said that there was none.
REACTED, LOOKED, ASKED, ANSWERED, SILENT = 1, 2, 4, 8, 16
# (patient, unit): its bits
Units = dict[tuple[int, int], int]

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
    # Units whose course a check-in asked about, and those of them that a patient answered.
    asked: int = 0
    answered: int = 0
    # Units without an event, with an infusion of which nobody said that there was none: who watched in the windows in
    # which somebody of the clinic is there, the patient in the others. A problem that a patient told and about which
    # nobody has decided is no “none”.
    silent: int = 0

    @property
    def events(self) -> int:
        return sum(events for events, _ in self.by_patient.values())

    @property
    def total(self) -> int:
        return sum(units for _, units in self.by_patient.values())

    def sums(self) -> Sums:
        """The same without the patients: all that a rate and its interval need."""
        cells = self.by_patient.values()
        return Sums(
            patients=len(cells),
            events=self.events,
            total=self.total,
            events_squared=sum(events * events for events, _ in cells),
            events_by_total=sum(events * units for events, units in cells),
            total_squared=sum(units * units for _, units in cells),
            not_recorded=self.not_recorded,
            asked=self.asked,
            answered=self.answered,
            silent=self.silent,
        )


@dataclass
class Counted:
    """Every stratum that has infusions, and all together."""

    strata: dict[Stratum, Counts]
    everything: Counts
    without_onset: int


def count(question: Question, clinics: Iterable[Clinic]) -> Counted:
    """Count the question's units in the given clinics, divided by its keys."""
    return count_units(question, [question.by], clinics, [question.unit])[question.unit][0]


def count_units(
    question: Question,
    groupings: Sequence[tuple[str, ...]],
    clinics: Iterable[Clinic],
    units: Collection[str] = UNITS,
    patients: Collection[int] | None = None,
) -> dict[str, list[Counted]]:
    """Count several units in one pass, each divided by each of the groupings, as a table and its margins.

    Of these patients alone where some are given, a few hundred at most.
    Two queries. A course or a patient counts once in every stratum in which it has an infusion, and as an event there
    when one of those infusions has one.
    """
    keys = tuple(dict.fromkeys(key for grouping in groupings for key in grouping))
    places = [tuple(keys.index(key) for key in grouping) for grouping in groupings]
    divided: dict[str, list[dict[Stratum, Units]]] = {unit: [defaultdict(dict) for _ in groupings] for unit in units}
    everything: dict[str, Units] = {unit: {} for unit in units}
    infusions = infusions_of(question, clinics, keys)
    if patients is not None:
        infusions = infusions.filter(patient__in=patients)
    for infusion, course, patient, bits, values in _rows(question, keys, infusions):
        strata = [tuple(values[place] for place in chosen) for chosen in places]
        numbers = {"infusion": infusion, "course": course, "patient": patient}
        for unit in units:
            member = (patient, numbers[unit])
            for division, stratum in zip(divided[unit], strata, strict=True):
                seen = division[stratum]
                seen[member] = seen.get(member, 0) | bits
            everything[unit][member] = everything[unit].get(member, 0) | bits
    untimed = infusions.filter(without_onset(question)).count()
    found: dict[str, list[Counted]] = {}
    for unit in units:
        total = _counts(question, everything[unit])
        found[unit] = [
            Counted({stratum: _counts(question, seen) for stratum, seen in strata.items()}, total, untimed)
            for strata in divided[unit]
        ]
    return found


def _counts(question: Question, units: Units) -> Counts:
    counts = Counts()
    for (patient, _), bits in units.items():
        cell = counts.by_patient[patient]
        cell[0] += bits & REACTED
        cell[1] += 1
        counts.not_recorded += not bits & LOOKED
        counts.asked += bool(bits & ASKED)
        counts.answered += bool(bits & ANSWERED)
        counts.silent += bool(bits & SILENT) and not bits & REACTED
    return counts


def _rows(
    question: Question, by: tuple[str, ...], infusions: QuerySet[Infusion]
) -> Iterator[tuple[int, int, int, int, list[Any]]]:
    """(infusion, course, patient, what is known of it, its values of the keys) of each."""
    keys = [f"key_{number}" for number in range(len(by))]
    known = ("pk", "course_id", "patient_id", "reacted", "looked", "asked", "answered", "undecided")
    each = known_of(question, infusions).order_by().values_list(*known, *keys).iterator(chunk_size=10_000)
    for infusion, course, patient, reacted, was_looked, was_asked, did_answer, is_undecided, *values in each:
        # Who reacted was looked at.
        bits = REACTED | LOOKED if reacted else LOOKED if was_looked else 0
        # What was taken down by telephone was asked as well.
        bits |= (ASKED | ANSWERED) if did_answer else ASKED if was_asked else 0
        heard = was_looked if question.window in WATCHED else did_answer and not is_undecided
        bits |= 0 if heard else SILENT
        yield infusion, course, patient, bits, values


def known_of(question: Question, infusions: QuerySet[Infusion]) -> QuerySet[Infusion]:
    """With `reacted`, `looked`, `asked`, `answered` and `undecided`, each as it was written down."""
    about = CheckIn.objects.filter(course=OuterRef("course_id"), infusion__voided_at=None)
    asked = about.filter(sent_at__isnull=False).exclude(kind=CheckInKind.REPORT)
    answers = Answer.objects.filter(checkin__course=OuterRef("course_id"), checkin__infusion__voided_at=None)
    answered = answers.exclude(checkin__kind=CheckInKind.REPORT)
    undecided = answered.filter(~Exists(ReviewDecision.objects.filter(checkin=OuterRef("checkin"))), has_problem=True)
    looked = Case(When(reaction_record=ReactionRecord.OBSERVED, then=True), default=False, output_field=BooleanField())
    return infusions.annotate(
        reacted=Exists(events_of(question)),
        looked=looked,
        asked=Exists(asked),
        answered=Exists(answered),
        undecided=Exists(undecided),
    )


def infusions_of(question: Question, clinics: Iterable[Clinic], by: tuple[str, ...] = ()) -> QuerySet[Infusion]:
    """The infusions that the question is about, each with its day on its clinic's clocks (`local_day`).

    With `key_0`, `key_1` … for the keys of `by`.
    """
    zones: dict[str, list[int]] = defaultdict(list)
    for clinic in clinics:
        zones[clinic.time_zone].append(clinic.pk)
    zones = zones or {"UTC": []}  # nobody's infusions
    infusions = Infusion.objects.counted().filter(
        reduce(or_, (Q(patient__clinic__in=ids) & days_of(question, ZoneInfo(zone)) for zone, ids in zones.items()))
    )
    if question.product:
        infusions = infusions.filter(product__name=question.product)
    days = [When(patient__clinic__in=ids, then=_day(zone)) for zone, ids in zones.items()]
    day = _day(next(iter(zones))) if len(zones) == 1 else Case(*days, output_field=DateField())
    infusions = infusions.annotate(local_day=day)
    return infusions.annotate(**{f"key_{number}": _value_of(key) for number, key in enumerate(by)})


def _day(zone: str) -> TruncDate:
    return TruncDate("started_at", tzinfo=ZoneInfo(zone))


def days_of(question: Question, zone: ZoneInfo) -> Q:
    within = Q()
    if question.first_day:
        within &= Q(started_at__gte=datetime.combine(question.first_day, time.min, zone))
    if question.last_day:
        within &= Q(started_at__lt=datetime.combine(question.last_day + timedelta(days=1), time.min, zone))
    return within


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
        case "prior_reaction":
            return Exists(
                Reaction.objects.counted().filter(
                    infusion__patient=OuterRef("patient_id"), infusion__started_at__lt=OuterRef("started_at")
                )
            )
        case "max_rate":
            return _rate_band()
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


def _rate_band() -> Case:
    """The highest rate that was recorded, by body weight. A thousandth of a mL/h more is no more: SQLite has floats."""
    steps = RateStep.objects.current().filter(infusion=OuterRef("pk")).order_by("-rate_ml_per_h")
    highest = Cast(Subquery(steps.values("rate_ml_per_h")[:1]), FloatField())
    weight = Cast(F("weight_kg"), FloatField())
    bands = [
        When(LessThanOrEqual(highest, weight * Value(end) + Value(0.001)), then=Value(code))
        for code, end in RATE_BANDS.items()
        if end is not None
    ]
    unknown = When(IsNull(highest * weight, True), then=Value(NOT_RECORDED))
    return Case(unknown, *bands, default=Value(list(RATE_BANDS)[-1]), output_field=CharField())


def events_of(question: Question) -> QuerySet[Symptom]:
    """Symptoms of the infusion at hand that make it an event."""
    return every_event_of(question).filter(reaction__infusion=OuterRef("pk"))


def every_event_of(question: Question) -> QuerySet[Symptom]:
    """Symptoms that make their infusions events, each with `began`: its onset, or else its reaction's."""
    symptoms = Symptom.objects.filter(reaction__voided_at=None)
    symptoms = symptoms.annotate(began=Coalesce("onset_at", "reaction__onset_at"))
    if question.term:
        symptoms = symptoms.filter(term=question.term)
    if question.serious:
        symptoms = symptoms.filter(reaction__is_serious=True)
    told_first = Reaction.objects.patient_confirmed_only().values("pk")
    if question.source == "patient":
        symptoms = symptoms.filter(reaction__in=told_first)
    elif question.source == "clinician":
        symptoms = symptoms.exclude(reaction__in=told_first)
    if question.min_grade is not None:
        symptoms = symptoms.filter(grade__gte=question.min_grade)
    start, end = F("reaction__infusion__started_at"), F("reaction__infusion__ended_at")
    still_running = Q(reaction__infusion__ended_at=None)
    match question.window:
        case "label72":
            in_time = still_running | Q(began__lte=end + LABEL_WINDOW_AFTER_END)
            return symptoms.filter(Q(began=None) | Q(began__gte=start) & in_time)
        case "during":
            return symptoms.filter(Q(began__gte=start) & (still_running | Q(began__lte=end)))
        case "immediate":
            return symptoms.filter(began__gte=start, began__lte=start + IMMEDIATE_WITHIN)
        case "delayed":
            return symptoms.filter(began__gt=start + IMMEDIATE_WITHIN, began__lte=start + DELAYED_WITHIN)
        case _:
            return symptoms


def without_onset(question: Question) -> Exists:
    """Of an infusion: it has a matching reaction of which nobody wrote down when it began.

    Such are events in the windows that are open at the start (WITHOUT_ONSET_COUNTS), and cannot be placed in others.
    """
    return Exists(events_of(replace(question, window="any")).filter(onset_at=None, reaction__onset_at=None))
