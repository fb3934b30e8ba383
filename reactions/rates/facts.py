"""What is known of each infusion, in rows of its own, so that the database writes it, compares it and adds it up.

Signatures
    can_tell(question, groupings) -> bool
    write(patients)                                  puts the rows that the records give in the place of those there are
    differing(patients) -> set[int]                  the patients whose rows are not those that the records give
    rows_of(question, clinics) -> QuerySet           the rows within the limits of the question
    add_up(rows, groupings, units, clinics) -> Read  the figures of the rows, of what is kept, and the marks
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any
from zoneinfo import ZoneInfo

from django.db import connection
from django.db.models import QuerySet

from patients.iga import Status
from patients.models import Clinic, Patient
from reactions.models import Product, RateFacts
from reactions.rates.question import UNITS, Question
from reactions.rates.strata import days_of, infusions_of, known_of, without_onset
from reactions.rates.sums import COMPARED, COMPARED_AT_FIRST, COMPARED_BY, UNTIMED, Figures, Sums, add, unpack
from reactions.vocabulary import PremedicationClass

# The keys that a row holds, each in a column of its name. What is one of a few is the place of its value among
# them; a product is the least number among the rows of its name, one for each version of its label.
KEYS = ("iga", "premedication", "product", "first_infusion", "prior_reaction")
TRUE_OR_FALSE = ("first_infusion", "prior_reaction")
CODES: dict[str, Sequence[object]] = {
    "iga": tuple(map(str, Status)),
    "premedication": tuple(map(str, PremedicationClass)),
    **dict.fromkeys(TRUE_OR_FALSE, (False, True)),
}
# What is told of an infusion by 1 or 0; `silent`: it has no event, and nobody said so.
COUNTED = ("reacted", "looked", "asked", "answered", "silent")
FLAGS = (*COUNTED, "untimed")
COLUMNS = ("clinic_id", "patient_id", "course_id", "infusion_id", "started_at", *KEYS, *FLAGS)
MARKED = "SELECT patient_id FROM reactions_stalerates"
UNTREATED, NOT_TOLD = str(PremedicationClass.NONE), str(PremedicationClass.NOT_RECORDED)
# When a course or a patient is told to be so, by sums over infusions.
HOLDS = {
    "reacted": "reacted > 0",
    "looked": "looked > 0",
    "asked": "asked > 0",
    "answered": "answered > 0",
    "silent": "reacted = 0 AND silent > 0",
}
# How many sums there are of a unit besides the patients.
OF_UNIT = len(Sums._fields) - 1


def can_tell(question: Question, groupings: Iterable[tuple[str, ...]]) -> bool:
    """The question is limited by days or to a product at most, and divided by keys that the rows hold."""
    plain = Question(first_day=question.first_day, last_day=question.last_day, product=question.product)
    asked = replace(question, by=(), unit=plain.unit, interval=plain.interval)
    return asked == plain and all(key in KEYS for by in groupings for key in by)


def write(patients: Collection[int]) -> None:
    """Put the rows that the records give in the place of those there are. At most a few hundred patients at once."""
    RateFacts.objects.filter(patient__in=patients).delete()
    if records := _of_records(patients):
        select, values = records
        with connection.cursor() as cursor:
            cursor.execute(f"INSERT INTO reactions_ratefacts ({', '.join(COLUMNS)}) {select}", values)


def differing(patients: Collection[int]) -> set[int]:
    """The patients whose rows are not those that the records give. At most a few hundred patients at once."""
    there, own = RateFacts.objects.filter(patient__in=patients).values(*COLUMNS).order_by().query.sql_with_params()
    if not (records := _of_records(patients)):
        return set(RateFacts.objects.filter(patient__in=patients).values_list("patient_id", flat=True))
    select, values = records
    with connection.cursor() as cursor:
        cursor.execute(
            f"WITH there AS ({there}), wanted AS ({select})"
            " SELECT patient_id FROM (SELECT * FROM there EXCEPT SELECT * FROM wanted) AS too_much"
            " UNION SELECT patient_id FROM (SELECT * FROM wanted EXCEPT SELECT * FROM there) AS lacking",
            [*own, *values],
        )
        return {patient for (patient,) in cursor.fetchall()}


def _of_records(patients: Collection[int]) -> tuple[str, tuple[Any, ...]] | None:
    """A SELECT of the COLUMNS as the records of the patients have it; None of nobody."""
    clinics = list(Clinic.objects.filter(pk__in=Patient.objects.filter(pk__in=patients).order_by().values("clinic")))
    if not clinics:
        return None
    plain = Question()
    infusions = known_of(plain, infusions_of(plain, clinics, KEYS)).filter(patient__in=patients)
    keys = [f"key_{number}" for number in range(len(KEYS))]
    own = ("patient__clinic_id", "patient_id", "course_id", "pk", "started_at")
    flags = ("reacted", "looked", "asked", "answered", "undecided", "untimed")
    rows = infusions.annotate(untimed=without_onset(plain)).order_by().values(*own, *keys, *flags)
    select, values = rows.query.sql_with_params()
    codes = [_code(key, name) for key, name in zip(KEYS, keys, strict=True)]
    known = [
        f"CASE WHEN {so} THEN 1 ELSE 0 END"
        for so in (
            "reacted",
            "reacted OR looked",
            "asked OR answered",
            "answered",
            "NOT reacted AND (undecided OR NOT answered)",
            "untimed",
        )
    ]
    chosen = ", ".join([*own, *codes, *known])
    return f"SELECT {chosen} FROM ({select}) AS known", values


def _code(key: str, name: str) -> str:
    if key == "product":
        return f"(SELECT MIN(p.id) FROM reactions_product AS p WHERE p.name = known.{name})"
    if key in TRUE_OR_FALSE:
        return f"CASE WHEN {name} THEN 1 ELSE 0 END"
    places = " ".join(f"WHEN '{value}' THEN {code}" for code, value in enumerate(CODES[key]))
    return f"CASE {name} {places} END"


def rows_of(question: Question, clinics: Iterable[Clinic]) -> list[QuerySet[RateFacts]]:
    """The rows of the clinics within the limits of the question, of each time zone apart: an index serves each."""
    zones: dict[str, list[int]] = defaultdict(list)
    for clinic in clinics:
        zones[clinic.time_zone].append(clinic.pk)
    limits: dict[str, Any] = {}
    if question.product:
        limits["product__in"] = Product.objects.filter(name=question.product).order_by().values("pk")
    return [
        RateFacts.objects.filter(days_of(question, ZoneInfo(zone)), clinic__in=ids, **limits)
        for zone, ids in zones.items()
    ]


@dataclass(frozen=True)
class Read:
    """What one statement, so one view of the database, says: of the rows, of what is kept, and who bears a mark."""

    of_rows: Figures
    kept: Figures
    marked: set[int]


def add_up(
    rows: Sequence[QuerySet[RateFacts]],
    groupings: Sequence[tuple[str, ...]],
    units: Collection[str],
    clinics: Collection[int] = (),
) -> Read:
    """The figures of the rows, those that are kept of the clinics, and the marks.

    The rows are read once, and of them the columns that are asked for. Each grouping is summed within courses, from the
    smallest table that tells its keys, then within patients, whose sums are what adds up: that gives the sums per
    infusion, per course and per patient at once.
    """
    keys = tuple(sorted({key for by in groupings for key in by}))
    with_courses = "course" in units
    told_apart = ("patient_id", *(("course_id",) if with_courses else ()))
    chosen_columns = (*told_apart, *keys, *FLAGS)
    selects = [one.order_by().values(*chosen_columns).query.sql_with_params() for one in rows]
    chosen, values = " UNION ALL ".join(select for select, _ in selects), [one for _, own in selects for one in own]
    cells_of = ", ".join((*told_apart, *keys))
    tables = [
        f"cells AS MATERIALIZED (SELECT {cells_of}, {_whole('COUNT(*)', 'n')}, {_summed(FLAGS)}"
        f" FROM ({chosen}) AS chosen GROUP BY {cells_of})"
    ]
    # Of each table, the keys that it tells.
    telling: dict[str, tuple[str, ...]] = {"cells": keys}
    width = max(4, *map(len, groupings))
    parts = []
    for place, by in sorted(enumerate(groupings), key=lambda one: -len(one[1])):
        source = min(
            (name for name, told in telling.items() if set(by) <= set(told)), key=lambda one: len(telling[one])
        )
        if with_courses and len(telling[source]) > len(by):
            members = ", ".join((*told_apart, *by))
            tables.append(
                f"members_{place} AS (SELECT {members}, {_summed(('n', *FLAGS))} FROM {source} GROUP BY {members})"
            )
            source = f"members_{place}"
            telling[source] = by
        parts.append(_part(place, by, source, width, with_courses=with_courses))
    if COMPARED_BY in groupings and "infusion" in units:
        parts += [_of_both(COMPARED, width), _of_both(COMPARED_AT_FIRST, width, "WHERE first_infusion = 1")]
    parts.append(_single(UNTIMED[0], width, "SUM(untimed)", "FROM cells"))
    parts.append(_single("marked", width, "patient_id", f"FROM ({MARKED} GROUP BY patient_id) AS marks"))
    if clinics:
        numbers = ", ".join(map(str, clinics))
        parts.append(_single("kept", width, "0", f"FROM reactions_ratesums WHERE clinic_id IN ({numbers})", "figures"))
    read = Read({}, {}, set())
    with connection.cursor() as cursor:
        cursor.execute(f"WITH {', '.join(tables)} {' UNION ALL '.join(parts)}", values)
        for kind, place, *rest, text in cursor.fetchall():
            codes, (first, *sums) = rest[:width], [int(one or 0) for one in rest[width:]]
            if kind == "marked":
                read.marked.add(first)
            elif kind == "kept":
                add(read.kept, unpack(text))
            elif kind == UNTIMED[0]:
                add(read.of_rows, {UNTIMED: Sums(total=first)})
            elif kind in {COMPARED, COMPARED_AT_FIRST}:
                read.of_rows[kind, COMPARED_BY, tuple(codes[:4])] = Sums(patients=first)
            elif first:
                by = groupings[place]
                stratum = tuple(_value(key, code) for key, code in zip(by, codes, strict=False))
                for number, unit in enumerate(UNITS):
                    if unit in units:
                        own = sums[number * OF_UNIT : (number + 1) * OF_UNIT]
                        read.of_rows[unit, by, stratum] = Sums(first, *own)
    return read


def _part(place: int, by: tuple[str, ...], source: str, width: int, *, with_courses: bool) -> str:
    """SELECT the grouping's place, the codes of its keys, patients, and the other sums per infusion, course, patient.

    A course counts as an event when one of its infusions has one, and as silent when it has none and one of its
    infusions is silent; a patient likewise.
    """
    named = "".join(f", {key}" for key in by)
    of_courses = ", 1 AS c_n, 0 AS c_reacted, 0 AS c_looked, 0 AS c_asked, 0 AS c_answered, 0 AS c_silent"
    if with_courses:
        of_courses = f", {_whole('COUNT(*)', 'c_n')}" + "".join(
            f", {_whole(f'COUNT(CASE WHEN {condition} THEN 1 END)', f'c_{name}')}" for name, condition in HOLDS.items()
        )
    of_patients = (
        f"SELECT patient_id{named}, {_summed(('n', *COUNTED))}{of_courses} FROM {source} GROUP BY patient_id{named}"
    )
    sums = [_sums_of_unit("n", {name: name for name in COUNTED})]
    sums.append(_sums_of_unit("c_n", {name: f"c_{name}" for name in COUNTED}))
    flags = {name: f"CASE WHEN {condition} THEN 1 ELSE 0 END" for name, condition in HOLDS.items()}
    events, looked = f"SUM({flags['reacted']})", f"SUM({flags['looked']})"
    of_flags = ", ".join(f"SUM({flags[name]})" for name in ("asked", "answered", "silent"))
    sums.append(f"{events}, COUNT(*), {events}, {events}, COUNT(*), COUNT(*) - {looked}, {of_flags}")
    divided = f" GROUP BY {', '.join(by)}" if by else ""
    return (
        f"SELECT 'strata', {place}{named}{', 0' * (width - len(by))}, COUNT(*), {', '.join(sums)}, ''"
        f" FROM ({of_patients}) AS patients{divided}"
    )


def _sums_of_unit(n: str, named: dict[str, str]) -> str:
    """The sums of Sums after the patients, in its order, of patients with n units each."""
    x = named["reacted"]
    squares = f"SUM({x} * {x}), SUM({x} * {n}), SUM({n} * {n})"
    rest = ", ".join(f"SUM({named[name]})" for name in ("asked", "answered", "silent"))
    return f"SUM({x}), SUM({n}), {squares}, SUM({n} - {named['looked']}), {rest}"


def _of_both(unit: str, width: int, where: str = "") -> str:
    """How many patients have a events of n1 infusions with premedication and c of n0 without."""
    none, silent = (CODES["premedication"].index(group) for group in (UNTREATED, NOT_TOLD))
    given, without = f"premedication NOT IN ({none}, {silent})", f"premedication = {none}"
    numbers = [(what, side) for side in (given, without) for what in ("reacted", "n")]
    table = ", ".join(
        _whole(f"SUM(CASE WHEN {side} THEN {what} ELSE 0 END)", f"t{place}")
        for place, (what, side) in enumerate(numbers)
    )
    return (
        f"SELECT '{unit}', 0, t0, t1, t2, t3{', 0' * (width - 4)}, COUNT(*){', 0' * (OF_UNIT * len(UNITS))}, ''"
        f" FROM (SELECT patient_id, {table} FROM cells {where} GROUP BY patient_id) AS patients"
        " WHERE t1 + t3 > 0 GROUP BY t0, t1, t2, t3"
    )


def _single(kind: str, width: int, number: str, source: str, text: str = "''") -> str:
    """SELECT one number or one text in the columns of the other parts."""
    return f"SELECT '{kind}', 0{', 0' * width}, {number}{', 0' * (OF_UNIT * len(UNITS))}, {text} {source}"


def _summed(names: Iterable[str]) -> str:
    return ", ".join(_whole(f"SUM({name})", name) for name in names)


def _whole(what: str, name: str) -> str:
    """As a number of four bytes: on PostgreSQL sums of sums become numerics, which take several times as long."""
    return f"CAST({what} AS integer) AS {name}"


def _value(key: str, code: int) -> object:
    return code if key == "product" else CODES[key][code]
