"""What is known of each infusion, in rows of its own, so that the database writes it, compares it and adds it up.

Signatures
    can_tell(question, groupings) -> bool
    write(patients)                                  puts the rows that the records give in the place of those there are
    differing(patients) -> set[int]                  the patients whose rows are not those that the records give
    rows_of(question, clinics) -> QuerySet           the rows within the limits of the question
    add_up(rows, groupings, units, clinics) -> Read  the figures of the rows, of what is kept, and the marks
"""

import json
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
from reactions.rates.question import Question
from reactions.rates.strata import (
    ANSWERED,
    ASKED,
    LOOKED,
    REACTED,
    SILENT,
    days_of,
    infusions_of,
    known_of,
    without_onset,
)
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
COLUMNS = ("clinic_id", "patient_id", "course_id", "infusion_id", "started_at", *KEYS, "known")
# What is `known` of an infusion, as bits: those of `strata`, where it is silent only without an event, and this.
UNTIMED_BIT = 32
# The places in Sums of what adds up over infusions: events, total, not_recorded, asked, answered, silent.
LINEAR = (1, 2, 6, 7, 8, 9)
# Of infusions, two numbers in each of two sums: looked and asked about, answered and silent.
_COUNTED = (
    f", CAST(SUM(((known & {LOOKED}) << 15) + ((known & {ASKED}) >> 2)) AS integer) AS told"
    f", CAST(SUM(((known & {ANSWERED}) << 13) + ((known & {SILENT}) >> 4)) AS integer) AS heard"
    f", CAST(SUM((known & {UNTIMED_BIT}) >> 5) AS integer) AS untimed"
)
# What an infusion weighs, so that one sum tells how many there are and how many have an event: that adds 1.
UNIT = 65536
MARKED = "SELECT patient_id FROM reactions_stalerates"
UNTREATED, NOT_TOLD = str(PremedicationClass.NONE), str(PremedicationClass.NOT_RECORDED)


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
    bits = {
        REACTED: "reacted",
        LOOKED: "reacted OR looked",
        ASKED: "asked OR answered",
        ANSWERED: "answered",
        SILENT: "NOT reacted AND (undecided OR NOT answered)",
        UNTIMED_BIT: "untimed",
    }
    known = " + ".join(f"CASE WHEN {so} THEN {bit} ELSE 0 END" for bit, so in bits.items())
    chosen = ", ".join([*own, *codes, known])
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

    The rows are read once, and of them the columns that are asked for. Each grouping is drawn together within courses,
    from the smallest table that tells its keys, then within patients. How many patients are alike comes back, and how
    many infusions and courses are known the same of: the sums are worked out from these few rows.
    """
    keys = tuple(sorted({key for by in groupings for key in by}))
    told_apart = ("patient_id", *(("course_id",) if "course" in units else ()))
    selects = [one.order_by().values(*told_apart, *keys, "known").query.sql_with_params() for one in rows]
    chosen, values = " UNION ALL ".join(select for select, _ in selects), [one for _, own in selects for one in own]
    width = max(4, len(keys))
    tables = [_members("cells", told_apart, keys, f"({chosen}) AS chosen", more=_COUNTED)]
    # Of each table, the keys that it tells.
    telling: dict[str, tuple[str, ...]] = {"cells": keys}
    parts = [_of_infusions(keys, width)]
    for place, by in sorted(enumerate(groupings), key=lambda one: -len(one[1])):
        source = min(
            (name for name, told in telling.items() if set(by) <= set(told)), key=lambda one: len(telling[one])
        )
        if len(telling[source]) > len(by):
            tables.append(_members(f"members_{place}", told_apart, by, source))
            source = f"members_{place}"
            telling[source] = by
        parts += _parts(place, by, source, width, with_courses="course" in units)
    if COMPARED_BY in groupings and "infusion" in units:
        parts += [_of_both(COMPARED, width), _of_both(COMPARED_AT_FIRST, width, "WHERE first_infusion = 1")]
    parts.append(_single("marked", width, "patient_id", f"FROM ({MARKED} GROUP BY patient_id) AS marks"))
    if clinics:
        numbers = ", ".join(map(str, clinics))
        parts.append(_single("kept", width, "0", f"FROM reactions_ratesums WHERE clinic_id IN ({numbers})", "figures"))
    read, found = Read({}, {}, set()), _Tally(groupings, units, keys)
    with connection.cursor() as cursor:
        cursor.execute(f"WITH {', '.join(tables)} {' UNION ALL '.join(parts)}", values)
        for kind, place, *rest, number, text in cursor.fetchall():
            codes, own = rest[:width], rest[width:]
            match kind:
                case "marked":
                    read.marked.add(number)
                case "kept":
                    add(read.kept, unpack(text))
                case "known":
                    found.infusions(codes, json.loads(text))
                case "courses":
                    found.courses(place, codes, own[0], number)
                case "patients":
                    found.patients(place, codes, own, number)
                case _:
                    read.of_rows[kind, COMPARED_BY, tuple(codes[:4])] = Sums(patients=number)
    add(read.of_rows, found.figures())
    return read


class _Tally:
    """Sums, worked out from how many infusions, courses and patients are alike."""

    def __init__(self, groupings: Sequence[tuple[str, ...]], units: Collection[str], keys: tuple[str, ...]) -> None:
        self.groupings, self.units = groupings, units
        self.places = [tuple(keys.index(key) for key in by) for by in groupings]
        self.sums: dict[tuple[str, int, tuple[int, ...]], list[int]] = defaultdict(lambda: [0] * len(Sums._fields))
        self.untimed = 0

    def infusions(self, codes: Sequence[int], own: Sequence[int]) -> None:
        *numbers, untimed = own
        self.untimed += untimed
        if "infusion" in self.units:
            for place, chosen in enumerate(self.places):
                sums = self.sums["infusion", place, tuple(codes[one] for one in chosen)]
                for number, field in zip(numbers, LINEAR, strict=True):
                    sums[field] += number

    def courses(self, place: int, codes: Sequence[int], known: int, number: int) -> None:
        self._known("course", place, tuple(codes[: len(self.groupings[place])]), known, number)

    def patients(self, place: int, codes: Sequence[int], own: Sequence[int], number: int) -> None:
        stratum = tuple(codes[: len(self.groupings[place])])
        known, *weights = own
        for unit, weight in zip(("infusion", "course"), weights, strict=True):
            if unit in self.units:
                total, events = divmod(weight, UNIT)
                self._squares(unit, place, stratum, events, total, number)
        if "patient" in self.units:
            self._known("patient", place, stratum, known, number)
            self._squares("patient", place, stratum, known & REACTED, 1, number)

    def _known(self, unit: str, place: int, stratum: tuple[int, ...], known: int, number: int) -> None:
        sums, reacted = self.sums[unit, place, stratum], known & REACTED
        sums[1] += number if reacted else 0
        sums[2] += number
        sums[6] += 0 if known & LOOKED else number
        sums[7] += number if known & ASKED else 0
        sums[8] += number if known & ANSWERED else 0
        sums[9] += number if known & SILENT and not reacted else 0

    def _squares(self, unit: str, place: int, stratum: tuple[int, ...], x: int, n: int, number: int) -> None:
        sums = self.sums[unit, place, stratum]
        sums[0] += number
        sums[3] += x * x * number
        sums[4] += x * n * number
        sums[5] += n * n * number

    def figures(self) -> Figures:
        found: Figures = {}
        for (unit, place, codes), sums in self.sums.items():
            by = self.groupings[place]
            found[unit, by, tuple(_value(key, code) for key, code in zip(by, codes, strict=True))] = Sums(*sums)
        return found | ({UNTIMED: Sums(total=self.untimed)} if self.untimed else {})


def _members(name: str, told_apart: Sequence[str], by: Sequence[str], source: str, more: str = "") -> str:
    """A table of what is told apart: `weight` of its infusions, and what is `known` of any of them."""
    columns = ", ".join((*told_apart, *by))
    weight = f"{UNIT} + (known & {REACTED})" if more else "weight"
    return (
        f"{name} AS MATERIALIZED (SELECT {columns}, CAST(SUM({weight}) AS integer) AS weight, {_any_known()} AS known"
        f"{more} FROM {source} GROUP BY {columns})"
    )


def _of_infusions(keys: Sequence[str], width: int) -> str:
    """SELECT of each stratum of all keys the sums of LINEAR, and how many have a reaction without an onset, as JSON."""
    divided = "".join(f", {key}" for key in keys)
    numbers = [
        f"SUM(weight & {UNIT - 1})",
        "SUM(weight >> 16)",
        "SUM((weight >> 16) - (told >> 16))",
        f"SUM(told & {UNIT - 1})",
        "SUM(heard >> 16)",
        f"SUM(heard & {UNIT - 1})",
        "SUM(untimed)",
    ]
    text = " || ',' || ".join(numbers)
    grouped = f" GROUP BY {divided[2:]}" if keys else " HAVING COUNT(*) > 0"
    return (
        f"SELECT 'known', 0{divided}{', 0' * (width - len(keys))}, 0, 0, 0, 0, '[' || {text} || ']' FROM cells{grouped}"
    )


def _any_known() -> str:
    if connection.vendor == "postgresql":
        return "BIT_OR(known)"
    return " + ".join(f"MAX(known & {1 << place})" for place in range(6))


def _parts(place: int, by: tuple[str, ...], source: str, width: int, *, with_courses: bool) -> list[str]:
    """SELECTs of how many patients of a stratum have the same weights, and of how many courses the same is known."""
    named = "".join(f", {key}" for key in by)
    codes = f"{place}{named}{', 0' * (width - len(by))}"
    if not with_courses:
        alike = f"{source} GROUP BY known, weight{named}"
        return [f"SELECT 'patients', {codes}, known, weight, 0, COUNT(*), '' FROM {alike}"]
    of_patients = (
        f"SELECT patient_id{named}, {_any_known()} AS known, SUM(weight) AS weight,"
        f" SUM({UNIT} + (known & {REACTED})) AS of_courses FROM {source} GROUP BY patient_id{named}"
    )
    return [
        f"SELECT 'courses', {codes}, known, 0, 0, COUNT(*), '' FROM {source} GROUP BY known{named}",
        f"SELECT 'patients', {codes}, known, weight, of_courses, COUNT(*), '' FROM ({of_patients}) AS patients"
        f" GROUP BY known, weight, of_courses{named}",
    ]


def _of_both(unit: str, width: int, where: str = "") -> str:
    """How many patients have a events of n1 infusions with premedication and c of n0 without."""
    none, silent = (CODES["premedication"].index(group) for group in (UNTREATED, NOT_TOLD))
    sides = (f"premedication NOT IN ({none}, {silent})", f"premedication = {none}")
    weights = ", ".join(
        f"CAST(SUM(CASE WHEN {side} THEN weight ELSE 0 END) AS integer) AS w{number}"
        for number, side in enumerate(sides)
    )
    table = f"w0 & {UNIT - 1}, w0 / {UNIT}, w1 & {UNIT - 1}, w1 / {UNIT}"
    return (
        f"SELECT '{unit}', 0, {table}{', 0' * (width - 4)}, 0, 0, 0, COUNT(*), ''"
        f" FROM (SELECT patient_id, {weights} FROM cells {where} GROUP BY patient_id) AS patients"
        " WHERE w0 + w1 > 0 GROUP BY w0, w1"
    )


def _single(kind: str, width: int, number: str, source: str, text: str = "''") -> str:
    """SELECT one number or one text in the columns of the other parts."""
    return f"SELECT '{kind}', 0{', 0' * width}, 0, 0, 0, {number}, {text} {source}"


def _value(key: str, code: int) -> object:
    return code if key == "product" else CODES[key][code]
