"""From rows to columns: which infusions count, in which stratum, with or without a reaction.

An infusion counts unless it or its patient is void. Its IgA status is the result in force on its day, on the clinic's
clocks. It counts as an event when a symptom of a reaction that is not void matches the question and began in the
question's window.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from functools import reduce
from operator import or_
from typing import Any
from zoneinfo import ZoneInfo

from django.db import connection, transaction
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
from reactions.models.infusion import OVERDUE_AFTER
from reactions.rates.columns import ANSWERED, ASKED, LOOKED, REACTED, SILENT, UNCLEAR, UNTIMED, Columns, of_rows
from reactions.rates.question import DRUG_PREFIX, NOT_RECORDED, RATE_BANDS, WATCHED, Question
from reactions.vocabulary import (
    DRUGS,
    CheckInKind,
    DrugGroup,
    PremedicationClass,
    PremedicationRecord,
    ReactionRecord,
)

EPOCH, SECOND = datetime(1970, 1, 1, tzinfo=UTC), timedelta(seconds=1)
CORTICOSTEROIDS = [code for code, (_, group) in DRUGS.items() if group == DrugGroup.CORTICOSTEROID]
ANTIPYRETICS_AND_ANTIHISTAMINES = [
    code for code, (_, group) in DRUGS.items() if group in {DrugGroup.ANTIPYRETIC, DrugGroup.ANTIHISTAMINE}
]


# Windows in which a reaction without an onset counts as an event.
WITHOUT_ONSET_COUNTS = frozenset({"label72", "any"})


def from_records(question: Question, keys: Sequence[str], clinics: Iterable[Clinic], among: Q | None = None) -> Columns:
    """Every infusion that the question is about, of those that `among` chooses, read from the records in one query."""
    with nullcontext() if among is None else _looked_up_one_by_one():
        return of_rows(_rows(question, known_of(question, keys, clinics, among or Q())), keys)


@contextmanager
def _looked_up_one_by_one() -> Iterator[None]:
    """PostgreSQL looks up what belongs to a row when that row comes, as is quick for few of many.

    Else it reads whole tables first wherever there is memory for them, and compiles a statement as long as this one.
    """
    if connection.vendor != "postgresql":
        yield
        return
    settings = {"jit": "off", "work_mem": "64kB", "hash_mem_multiplier": "1"}
    read = ", ".join(f"current_setting('{name}')" for name in settings)
    write = ", ".join(f"set_config('{name}', %s, true)" for name in settings)
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(f"SELECT {read}")
        before = cursor.fetchone()
        cursor.execute(f"SELECT {write}", list(settings.values()))
        yield
        cursor.execute(f"SELECT {write}", before)


def known_of(question: Question, keys: Sequence[str], clinics: Iterable[Clinic], among: Q) -> QuerySet[Infusion, Any]:
    """What is read of each infusion: what OF_INFUSION names, and its values of the keys."""
    about = CheckIn.objects.filter(course=OuterRef("course_id"), infusion__voided_at=None)
    asked = about.filter(sent_at__isnull=False).exclude(kind=CheckInKind.REPORT)
    answers = Answer.objects.filter(checkin__course=OuterRef("course_id"), checkin__infusion__voided_at=None)
    answered = answers.exclude(checkin__kind=CheckInKind.REPORT)
    undecided = answered.filter(~Exists(ReviewDecision.objects.filter(checkin=OuterRef("checkin"))), has_problem=True)
    looked = Case(When(reaction_record=ReactionRecord.OBSERVED, then=True), default=False, output_field=BooleanField())
    infusions = (
        infusions_of(question, clinics, tuple(keys))
        .filter(among)
        .annotate(
            reacted=Exists(events_of(question)),
            untimed=Exists(_events_without_onset(question)),
            looked=looked,
            asked=Exists(asked),
            answered=Exists(answered),
            undecided=Exists(undecided),
            unclear=Exists(_unclear_events(question)) if question.leaves_unclear else Value(False),
        )
    )
    own = ("pk", "patient_id", "course_id", "started_at")
    known = ("reacted", "untimed", "looked", "asked", "answered", "undecided", "unclear")
    return infusions.order_by().values_list(*own, *known, *(f"key_{number}" for number in range(len(keys))))


def _rows(question: Question, infusions: QuerySet[Infusion, Any]) -> Iterator[tuple[Any, ...]]:
    """What OF_INFUSION names, and the values of the keys, of each."""
    for infusion, patient, course, started_at, *told in infusions.iterator(chunk_size=10_000):
        reacted, untimed, looked, was_asked, did_answer, is_undecided, unclear, *values = told
        bits = REACTED | LOOKED if reacted else LOOKED if looked else 0
        # What was taken down by telephone was asked as well.
        bits |= (ASKED | ANSWERED) if did_answer else ASKED if was_asked else 0
        heard = looked if question.window in WATCHED else did_answer and not is_undecided
        is_unclear = unclear and not reacted
        bits |= (0 if heard and not is_unclear else SILENT) | (UNTIMED if untimed else 0)
        bits |= UNCLEAR if is_unclear else 0
        yield infusion, patient, course, second_of(started_at), bits, *values


def second_of(moment: datetime) -> int:
    """The whole second since 1970 in which the moment lies. No midnight comes to lie between."""
    return int((moment - EPOCH) // SECOND)


def moment_of(second: int) -> datetime:
    """The moment at which a second since 1970 begins, UTC."""
    return EPOCH + second * SECOND


def infusions_of(question: Question, clinics: Iterable[Clinic], by: tuple[str, ...] = ()) -> QuerySet[Infusion]:
    """The infusions that the question is about, each with its day on its clinic's clocks (`local_day`).

    With `key_0`, `key_1` … for the keys of `by`.
    """
    zones: dict[str, list[int]] = defaultdict(list)
    for clinic in clinics:
        zones[clinic.time_zone].append(clinic.pk)
    zones = zones or {"UTC": []}  # nobody's infusions
    infusions = Infusion.objects.counted().filter(
        reduce(or_, (Q(patient__clinic__in=ids) & _days(question, zone) for zone, ids in zones.items()))
    )
    if question.product:
        infusions = infusions.filter(product__name=question.product)
    days = [When(patient__clinic__in=ids, then=_day(zone)) for zone, ids in zones.items()]
    day = _day(next(iter(zones))) if len(zones) == 1 else Case(*days, output_field=DateField())
    infusions = infusions.annotate(local_day=day)
    return infusions.annotate(**{f"key_{number}": _value_of(key) for number, key in enumerate(by)})


def _day(zone: str) -> TruncDate:
    return TruncDate("started_at", tzinfo=ZoneInfo(zone))


def _days(question: Question, zone: str) -> Q:
    start, end = span_of(question, zone)
    return (Q(started_at__gte=start) if start else Q()) & (Q(started_at__lt=end) if end else Q())


def span_of(question: Question, zone: str) -> tuple[datetime | None, datetime | None]:
    """From when on and before when infusions begin that the question is about, by a zone's clocks; None: no limit."""
    first, last = question.first_day, question.last_day
    return (
        datetime.combine(first, time.min, ZoneInfo(zone)) if first else None,
        datetime.combine(last + timedelta(days=1), time.min, ZoneInfo(zone)) if last else None,
    )


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
            # One to an earlier infusion that began before this one: what came later nobody knew at its start.
            earlier_reactions = Reaction.objects.counted().filter(
                infusion__patient=OuterRef("patient_id"), infusion__started_at__lt=OuterRef("started_at")
            )
            began = Coalesce("onset_at", "infusion__started_at")
            return Exists(earlier_reactions.alias(began=began).filter(began__lt=OuterRef("started_at")))
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
    start = F("reaction__infusion__started_at")
    # One that is running has reached its end last now; one that nobody closed ended within a day.
    end = Coalesce("reaction__infusion__ended_at", start + OVERDUE_AFTER)
    match question.window:
        case "label72":
            in_time = Q(began__lte=end + LABEL_WINDOW_AFTER_END)
            return symptoms.filter(Q(began=None) | Q(began__gte=start) & in_time)
        case "during":
            return symptoms.filter(began__gte=start, began__lte=end)
        case "immediate":
            return symptoms.filter(began__gte=start, began__lte=start + IMMEDIATE_WITHIN)
        case "delayed":
            return symptoms.filter(began__gt=start + IMMEDIATE_WITHIN, began__lte=start + DELAYED_WITHIN)
        case _:
            return symptoms


def _unclear_events(question: Question) -> QuerySet[Symptom]:
    """Symptoms of the infusion at hand that may make it an event: nobody said how grave or whether serious."""
    asked = replace(question, min_grade=None, serious=False)
    found = events_of(asked)
    if question.min_grade is not None:
        found = found.filter(Q(grade=None) | Q(grade__gte=question.min_grade))
    if question.serious:
        found = found.filter(Q(reaction__is_serious=None) | Q(reaction__is_serious=True))
    return found


def _events_without_onset(question: Question) -> QuerySet[Symptom]:
    """Symptoms of the infusion at hand that match, of which nobody wrote down when they began.

    They make an event in the windows that are open at the start (WITHOUT_ONSET_COUNTS), and cannot be placed in others.
    """
    return events_of(replace(question, window="any")).filter(onset_at=None, reaction__onset_at=None)
