"""What is known of each infusion, kept in rows of its own, so that a question with limits is added up by the database.

One statement reads the rows and the marks: patients whose rows are out of date are left out and named.

Signatures
    can_tell(question, groupings) -> bool
    add_up(question, groupings, clinics, units) -> (Figures, patients that are left out)
    cells(question, clinics, leave_out) -> (patient, stratum, events, infusions) of each
    from_scratch(patients, clinics) -> list[RateFacts]      what the rows of these patients should be
    by_patient(rows) -> {patient: the values of the rows}   to compare them
"""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import reduce
from operator import or_
from zoneinfo import ZoneInfo

from django.db import connection
from django.db.models import Count, Q, QuerySet, Sum

from patients.models import Clinic
from reactions.models import Infusion, RateFacts
from reactions.rates.question import Question
from reactions.rates.strata import ANSWERED, ASKED, LOOKED, REACTED, days_of, infusions_of, rows_of, without_onset
from reactions.rates.sums import UNTIMED, Figures, Sums

# The keys that a row holds, each in a column of its name.
KEYS = ("iga", "premedication", "product", "first_infusion", "prior_reaction")
TRUE_OR_FALSE = frozenset({"first_infusion", "prior_reaction"})
FLAGS = ("reacted", "looked", "asked", "answered")
# By what members of a unit are told apart within a patient; an infusion is a row.
MEMBERS = {"course": ["patient_id", "course_id"], "patient": ["patient_id"]}
VALUES = ("clinic_id", "course_id", "started_at", *KEYS, *FLAGS, "untimed")


def can_tell(question: Question, groupings: Iterable[tuple[str, ...]]) -> bool:
    """The question is limited by days or to a product at most, and divided by keys that the rows hold."""
    plain = Question(first_day=question.first_day, last_day=question.last_day, product=question.product)
    asked = replace(question, by=(), unit=plain.unit, interval=plain.interval)
    return asked == plain and all(key in KEYS for by in groupings for key in by)


def add_up(
    question: Question, groupings: Sequence[tuple[str, ...]], clinics: Iterable[Clinic], units: Collection[str]
) -> tuple[Figures, set[int]]:
    """The figures of all patients whose rows are up to date, and which of all patients bear a mark. One query.

    Each grouping is summed within patients first: their sums are what adds up.
    """
    rows = _rows_within(question, clinics)
    if rows is None:
        return {}, set()
    keys = sorted({key for by in groupings for key in by})
    columns = rows.order_by().values("patient_id", "course_id", *keys, *FLAGS, "untimed")
    chosen, values = columns.query.sql_with_params()
    width = max(len(by) for by in groupings)
    parts = [_part(unit, place, by, width) for unit in sorted(units) for place, by in enumerate(groupings)]
    empty = "".join(", ''" for _ in range(width))
    parts.append(f"SELECT 'untimed', 0{empty}, 0, 0, SUM(untimed), 0, 0, 0, 0, 0, 0, 0 FROM known")  # noqa: S608
    parts.append(
        f"SELECT 'marked', 0{empty}, patient_id, 0, 0, 0, 0, 0, 0, 0, 0, 0 FROM"  # noqa: S608
        " (SELECT DISTINCT patient_id FROM reactions_stalerates) AS marks"
    )
    # Written into each part, where an index can answer it, instead of being gathered once.
    known = "SELECT * FROM chosen WHERE patient_id NOT IN (SELECT patient_id FROM reactions_stalerates)"
    tables = f"WITH chosen AS NOT MATERIALIZED ({chosen}), known AS NOT MATERIALIZED ({known})"
    statement = f"{tables} {' UNION ALL '.join(parts)}"
    figures: Figures = {}
    marked = set()
    with connection.cursor() as cursor:
        cursor.execute(statement, values)
        for unit, place, *stratum_and_sums in cursor.fetchall():
            stratum, sums = stratum_and_sums[:width], Sums(*(int(one or 0) for one in stratum_and_sums[width:]))
            if unit == "marked":
                marked.add(sums.patients)
            elif unit == "untimed":
                figures[UNTIMED] = sums
            elif sums.total:
                by = groupings[place]
                figures[unit, by, tuple(_value(key, text) for key, text in zip(by, stratum, strict=False))] = sums
    return figures, marked


def cells(
    question: Question, clinics: Iterable[Clinic], leave_out: Collection[int]
) -> Iterator[tuple[int, tuple[object, ...], int, int]]:
    """(patient, stratum by the question's keys, infusions with an event, infusions) of all patients but some."""
    rows = _rows_within(question, clinics)
    if rows is None:
        return
    of_patients = rows.exclude(patient__in=leave_out).order_by().values_list("patient_id", *question.by)
    for patient, *texts, events, total in of_patients.annotate(events=Sum("reacted"), total=Count("pk")):
        yield patient, tuple(_value(key, text) for key, text in zip(question.by, texts, strict=True)), events, total


def _rows_within(question: Question, clinics: Iterable[Clinic]) -> QuerySet[RateFacts] | None:
    """The rows of the clinics within the limits of the question; None without a clinic."""
    zones: dict[str, list[int]] = defaultdict(list)
    for clinic in clinics:
        zones[clinic.time_zone].append(clinic.pk)
    if not zones:
        return None
    within = (Q(clinic__in=ids) & days_of(question, ZoneInfo(zone)) for zone, ids in zones.items())
    rows = RateFacts.objects.filter(reduce(or_, within))
    return rows.filter(product=question.product) if question.product else rows


def _part(unit: str, place: int, by: tuple[str, ...], width: int) -> str:
    """SELECT the unit, the grouping's place, the values of its keys, and the ten sums in the order of Sums."""
    named = "".join(f", {key}" for key in by)
    padded = named + ", ''" * (width - len(by))
    members = "known"
    if unit in MEMBERS:
        told_apart = ", ".join([*MEMBERS[unit], *by])
        most = ", ".join(f"MAX({flag}) AS {flag}" for flag in FLAGS)
        members = f"(SELECT {told_apart}, {most} FROM known GROUP BY {told_apart}) AS members"  # noqa: S608
    of_patients = (
        f"SELECT patient_id{named}, SUM(reacted) AS x, COUNT(*) AS n, SUM(1 - looked) AS not_recorded,"  # noqa: S608
        " SUM(asked) AS asked, SUM(answered) AS answered,"
        " SUM(CASE WHEN reacted = 0 AND answered = 0 THEN 1 ELSE 0 END) AS silent"
        f" FROM {members} GROUP BY patient_id{named}"
    )
    divided = f" GROUP BY {', '.join(by)}" if by else ""
    return (
        f"SELECT '{unit}', {place}{padded}, COUNT(*), SUM(x), SUM(n), SUM(x * x), SUM(x * n), SUM(n * n),"  # noqa: S608
        f" SUM(not_recorded), SUM(asked), SUM(answered), SUM(silent) FROM ({of_patients}) AS patients{divided}"
    )


def _value(key: str, text: str) -> object:
    return text == "true" if key in TRUE_OR_FALSE else text


def from_scratch(patients: Collection[int], clinics: Iterable[Clinic]) -> list[RateFacts]:
    """The rows of the patients as the records have it. At most a few hundred patients at once."""
    plain = Question()
    infusions = infusions_of(plain, clinics, KEYS).filter(patient__in=patients)
    untimed = set(without_onset(plain, infusions).order_by().values_list("pk", flat=True))
    begun = {
        pk: (started_at, clinic)
        for pk, started_at, clinic in Infusion.objects.filter(patient__in=patients)
        .order_by()
        .values_list("pk", "started_at", "patient__clinic")
    }
    found = []
    for infusion, course, patient, bits, values in rows_of(plain, KEYS, infusions):
        if infusion not in begun:
            continue  # Written down this moment: its patient bears a mark.
        started_at, clinic = begun[infusion]
        found.append(
            RateFacts(
                clinic_id=clinic,
                patient_id=patient,
                course_id=course,
                started_at=started_at,
                reacted=int(bool(bits & REACTED)),
                looked=int(bool(bits & LOOKED)),
                asked=int(bool(bits & ASKED)),
                answered=int(bool(bits & ANSWERED)),
                untimed=int(infusion in untimed),
                **{key: _text(key, value) for key, value in zip(KEYS, values, strict=True)},
            )
        )
    return found


def _text(key: str, value: object) -> str:
    return ("true" if value else "false") if key in TRUE_OR_FALSE else str(value)


def by_patient(rows: Iterable[RateFacts]) -> dict[int, Counter[tuple[object, ...]]]:
    """Of each patient the values of the rows, in no order."""
    found: dict[int, Counter[tuple[object, ...]]] = defaultdict(Counter)
    for row in rows:
        found[row.patient_id][tuple(getattr(row, name) for name in VALUES)] += 1
    return dict(found)
