"""Reading what is kept ready: the same columns as from the records at every moment, without reading the infusions.

Of the plain question the columns of each clinic and month are kept. A patient of whom something changed bears a mark:
what is kept of such a patient is left out, and read from the records instead. Nothing is written here, so it is exact
inside a transaction and on a database that can only be read.

Rules, marks and columns are read by one statement, so by one view of the database: every infusion is counted once, as
kept or from the records, while others write and `keeping` tidies up.
"""

import hashlib
import json
import zoneinfo
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import lru_cache
from importlib import metadata
from operator import itemgetter
from pathlib import Path
from typing import Any

import numpy as np
from django.db import connection, connections
from django.db.models import Q

from patients.models import Clinic
from reactions.rates.columns import COUNTED, OF_INFUSION, Chosen, Columns, Key, Numbers, in_blocks
from reactions.rates.question import KEYS, Question
from reactions.rates.strata import from_records, known_of, second_of, span_of

# What is kept: the plain question, divided by every key that is not a drug; a clinic's columns are of one site.
PLAIN = Question()
KEPT_KEYS = tuple(key for key in KEYS if key != "clinic")
# Count it up when columns are packed or bits are meant in another way; changed statements tell themselves.
RULES = 2
# With more patients than these out of date, everything is read from the records. This project's own: as many as change
# in some minutes of a very large service, and far fewer than a statement can name.
MOST_STALE = 1_000


def columns_of(
    question: Question, keys: Sequence[str], clinics: Iterable[Clinic], names: Collection[str] = COUNTED
) -> list[Columns]:
    """These columns of the infusions that the question is about, and keys, in blocks: each with patients of its own.

    They come from what is kept where the question allows, else from the records.
    """
    clinics = list(clinics)
    if clinics and is_kept(question, keys):
        kept = read(question, keys, clinics, names)
        if kept is not None:
            return kept
    return [from_records(question, keys, clinics).only(names)]


def is_kept(question: Question, keys: Iterable[str]) -> bool:
    """The question is limited by days or to a product at most, and no key is a drug."""
    plain = replace(PLAIN, first_day=question.first_day, last_day=question.last_day, product=question.product)
    asked = replace(question, by=(), unit=PLAIN.unit, interval=PLAIN.interval)
    return asked == plain and all(key in KEYS for key in keys)


def read(
    question: Question, keys: Sequence[str], clinics: Sequence[Clinic], names: Collection[str] = COUNTED
) -> list[Columns] | None:
    """The columns in blocks, none of which is empty.

    None where what is kept is of other rules or incomplete, or too much of it is out of date.
    """
    spans = {clinic.pk: _Span.of(question, clinic) for clinic in clinics}
    fields = sorted(
        {
            *names,
            *(key for key in keys if key != "clinic"),
            *(["product"] if question.product else []),
            *(["started"] if question.first_day or question.last_day else []),
        }
    )
    first, *rows = sorted(_fetch(_statement(fields, spans)), key=itemgetter(2, 3)) or [None]
    if first is None or first[0] != fingerprint():
        return None
    marked = [int(number) for number in (first[1] or "").split()]
    if len(marked) > MOST_STALE:
        return None
    slugs = {clinic.pk: clinic.slug for clinic in clinics}
    groups = defaultdict(list)
    for _, _, clinic, month, infusions, values, *packed in rows:
        if infusions:
            part = unpacked(month, infusions, values, dict(zip(fields, packed, strict=True)))
            chosen = spans[clinic].chosen(part, month)
            if marked:
                chosen &= ~np.isin(part.patient, marked)
            if question.product:
                chosen &= part.keys["product"].has(question.product)
            site = Key((slugs[clinic],), np.zeros(infusions, dtype=np.uint8))
            part = Columns(part.only(names).numbers, {key: part.keys.get(key, site) for key in keys})
            groups[clinic].append(part if chosen.all() else part.where(chosen))
    if marked:
        anew = from_records(question, keys, clinics, Q(patient__in=marked))
        groups[None].append(anew.where(np.argsort(anew.patient, kind="stable")).only(names))
    return in_blocks(groups.values())


def _fetch(statement: str) -> list[Any]:
    """The rows of the statement, with bytes as they are: psycopg's usual cursor has them spelt out in hexadecimal."""
    with connection.cursor() as cursor:
        if connection.vendor != "postgresql":
            cursor.execute(statement)
            return cursor.fetchall()
        from psycopg import Cursor  # noqa: PLC0415 - nobody needs it with SQLite

        with connection.wrap_database_errors, Cursor(connection.connection) as binary:
            # Row by row: never are all bytes in memory twice.
            return list(binary.stream(statement, binary=True))


@dataclass(frozen=True)
class _Span:
    """From which second on and before which infusions of a clinic count, and the months that these lie in."""

    start: int | None
    end: int | None

    @classmethod
    def of(cls, question: Question, clinic: Clinic) -> "_Span":
        start, end = span_of(question, clinic.time_zone)
        return cls(second_of(start) if start else None, second_of(end) if end else None)

    def chosen(self, part: Columns, month: int) -> Chosen:
        """Which of the month's infusions count: in a month that lies within, all."""
        chosen = np.ones(len(part), dtype=np.bool_)
        if "started" in part.numbers:
            if self.start is not None and month_of(self.start) == month:
                chosen &= part.started >= self.start
            if self.end is not None and month_of(self.end) == month:
                chosen &= part.started < self.end
        return chosen

    @property
    def months(self) -> str:
        """The condition on a row's month."""
        first = f" AND c.month >= {month_of(self.start)}" if self.start is not None else ""
        return first + (f" AND c.month <= {month_of(self.end)}" if self.end is not None else "")


def _statement(fields: Sequence[str], spans: Mapping[int, _Span]) -> str:
    """By one statement a row with the fingerprint and the marked patients, and one for each month of a clinic."""
    clinics = defaultdict(list)
    for clinic, span in spans.items():
        clinics[span.months].append(str(clinic))
    months = " OR ".join(f"(c.clinic_id IN ({', '.join(ids)}){span})" for span, ids in clinics.items())
    together = "STRING_AGG" if connection.vendor == "postgresql" else "GROUP_CONCAT"
    marks = f"SELECT DISTINCT patient_id FROM reactions_stalerates LIMIT {MOST_STALE + 1}"
    told = f"SELECT {together}(CAST(patient_id AS text), ' ') FROM ({marks}) AS marks"
    columns = ("clinic_id", "month", "infusions", '"values"', *fields)
    return (
        f"SELECT fingerprint, ({told}), 0, 0, 0{', NULL' * (len(columns) - 3)} FROM reactions_rateskept"
        f" UNION ALL SELECT NULL, NULL, {', '.join(f'c.{name}' for name in columns)}"
        f" FROM reactions_ratecolumns AS c WHERE ({months}) AND c.fingerprint = '{fingerprint()}'"
    )


def month_of(second: int) -> int:
    """The month, UTC, in which a second since 1970 lies, counted from January of the year 0."""
    return int(months_of(np.array([second]))[0])


def months_of(seconds: Numbers) -> Numbers:
    """`month_of` each of them."""
    return seconds.astype("datetime64[s]").astype("datetime64[M]").astype(np.int64) + 1970 * 12


def start_of(month: int) -> datetime:
    return datetime(month // 12, month % 12 + 1, 1, tzinfo=UTC)


def packed(columns: Columns, month: int) -> dict[str, Any]:
    """The fields of a row that keeps the columns of a month: each in the smallest unsigned numbers that hold it.

    Patients are in rising order, and kept as the steps from each to the next.
    """
    columns = columns.where(np.argsort(columns.patient, kind="stable"))
    numbers = {**columns.numbers, "started": columns.started - second_of(start_of(month))}
    values: dict[str, list[Any]] = {"patient": columns.patient[[0, -1]].tolist() if len(columns) else [0, 0]}
    numbers["patient"] = np.diff(columns.patient, prepend=columns.patient[:1])
    for name, key in columns.keys.items():
        # In one order in every month, so that months are joined without a look at each infusion.
        used = sorted(np.unique(key.places).tolist(), key=lambda place: str(key.values[place]))
        values[name] = [key.values[place] for place in used]
        place_of = np.zeros(len(key.values), dtype=np.int64)
        place_of[used] = np.arange(len(used))
        numbers[name] = place_of[key.places]
    return {"infusions": len(columns), "values": json.dumps(values)} | {
        name: np.ascontiguousarray(column, dtype=_smallest(column)).tobytes() for name, column in numbers.items()
    }


def unpacked(month: int, infusions: int, values: str, columns: Mapping[str, bytes]) -> Columns:
    """The columns of a month that were kept, or those of them that were read."""
    numbers = {name: numbers_in(column, infusions) for name, column in columns.items()}
    known_values = json.loads(values)
    if "patient" in numbers:
        numbers["patient"] = _patients(numbers["patient"], *known_values["patient"])
    keys = {name: Key(tuple(known_values[name]), numbers[name]) for name in columns if name not in OF_INFUSION}
    own = {name: column for name, column in numbers.items() if name in OF_INFUSION}
    if "started" in own:
        own["started"] = own["started"].astype(np.int64) + second_of(start_of(month))
    return Columns(own, keys)


def patients_in(column: bytes | memoryview, infusions: int, values: str) -> Numbers:
    """The patients of a month's infusions, in rising order."""
    return _patients(numbers_in(column, infusions), *json.loads(values)["patient"])


def _patients(steps: Numbers, lowest: int, highest: int) -> Numbers:
    kind = np.uint32 if highest <= np.iinfo(np.uint32).max else np.int64
    found: Numbers = np.cumsum(steps, dtype=kind)
    found += kind(lowest)
    return found


def _smallest(numbers: Numbers) -> np.dtype[Any]:
    return np.min_scalar_type(int(numbers.max(initial=0))).newbyteorder("<")


def numbers_in(column: bytes | memoryview, infusions: int) -> Numbers:
    """The numbers of a packed column: their width follows from its length."""
    width = len(column) // infusions if infusions else 1
    # Of the widest unsigned numbers and signed ones numpy makes floats.
    return np.frombuffer(column, dtype=f"<u{width}" if width < 8 else "<i8")


def fingerprint(using: str = "default") -> str:
    """Tells the rules by which columns are made from others: what follows from no record, and would make them wrong.

    The statement that reads the records, with groups of drugs and windows, and the rules of time zones: those of this
    process and of PostgreSQL, which brings its own.
    """
    return _digest(using, getattr(connections[using], "pg_version", 0))


@lru_cache(maxsize=4)
def _digest(using: str, server: int) -> str:
    somewhere = Clinic(pk=0, time_zone="UTC")
    statement = str(known_of(PLAIN, KEPT_KEYS, [somewhere], Q()).using(using).query)
    rules = [RULES, KEPT_KEYS, statement, _time_zones(), server]
    return hashlib.sha256(json.dumps(rules).encode()).hexdigest()[:32]


def _time_zones() -> str:
    """Which version of the time zone database Python reads; empty where it does not say."""
    for folder in zoneinfo.TZPATH:
        with suppress(OSError), (Path(folder) / "tzdata.zi").open(encoding="utf-8") as file:
            return file.readline().strip()
    try:
        return metadata.version("tzdata")
    except metadata.PackageNotFoundError:
        return ""
