"""An infusion log as rows: its columns, and reading a whole file with every problem in it. No database."""

import csv
import io
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from functools import lru_cache, partial
from typing import Any
from zoneinfo import ZoneInfo

from django.core.exceptions import ValidationError
from django.core.validators import validate_email

from patients.iga import Reading, is_implausible
from patients.words import AntiIga, Sex
from reactions.exchange import log_cells as cells
from reactions.exchange.log_cells import BadCell, DrugCell, LotCell, SymptomCell
from reactions.exchange.log_drugs import NO_PREMEDICATIONS, premedication_of
from reactions.vocabulary import Outcome, PremedicationRecord, ReactionRecord, Setting

COLUMNS = (
    "patient",
    "given_name",
    "family_name",
    "birth_date",
    "sex",
    "email",
    "diagnosis",
    "iga",
    "iga_date",
    "anti_iga",
    "course",
    "day",
    "days",
    "setting",
    "product",
    "lots",
    "dose_g",
    "weight_kg",
    "started_at",
    "ended_at",
    "premedication",
    "reactions",
    "serious",
    "outcome",
)
REQUIRED = ("patient", "product", "dose_g", "started_at", "ended_at")
# Of one patient these must be the same in every row that has them.
IDENTITY = ("given_name", "family_name", "birth_date", "sex")
# What may differ: the first that is known counts, and a warning names the rest.
DETAILS = ("email", "diagnosis")
LATE_ONSET_MINUTES = timedelta(days=60) / timedelta(minutes=1)
LONGEST_QUOTE = 80
# After how many rows the reader of a file says how far it is.
STRIDE = 2_000
# Cells of a column that are remembered with what they say: far more than most columns have different ones.
REMEMBERED = 10_000
# {column: what reads one of its cells, which raises BadCell}
Readers = dict[str, Callable[[str], Any]]


@dataclass(slots=True)
class LogRow:
    """One infusion of the log, with its cells read. `line` is where it stands in the file."""

    line: int
    patient: str
    product: str
    dose_g: Decimal
    started_at: datetime
    ended_at: datetime
    given_name: str = ""
    family_name: str = ""
    birth_date: date | None = None
    sex: Sex = Sex.UNKNOWN
    email: str = ""
    diagnosis: str = ""
    iga: Reading | None = None
    iga_pending: bool = False
    iga_date: date | None = None
    anti_iga: AntiIga = AntiIga.NOT_DONE
    course: str = ""
    day: int = 1
    days: int | None = None
    setting: Setting = Setting.CLINIC
    lots: tuple[LotCell, ...] = ()
    weight_kg: Decimal | None = None
    premedication_record: PremedicationRecord = PremedicationRecord.NOT_RECORDED
    premedications: tuple[DrugCell, ...] = ()
    reaction_record: ReactionRecord = ReactionRecord.NOT_RECORDED
    reactions: tuple[tuple[SymptomCell, ...], ...] = ()
    is_serious: bool | None = None
    outcome: Outcome = Outcome.UNKNOWN


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that keeps the file from being imported: the line, the column (or empty), and what is wrong."""

    line: int
    column: str
    message: str

    def __str__(self) -> str:
        where = f"line {self.line}, {self.column}" if self.column else f"line {self.line}"
        return f"{where}: {self.message}"


@dataclass
class Log:
    """A file's rows, and its problems; with any problem nothing is to be imported.

    `warnings` are worth a second look: what, and the line.
    """

    rows: list[LogRow] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    warnings: list[tuple[str, int]] = field(default_factory=list)


def read_log(
    data: bytes, *, zone: ZoneInfo, ctcae_version: str, now: datetime, progress: Callable[[int], None] | None = None
) -> Log:
    """Read a file. `zone` is the clinic's, for times without an offset; `now` refuses what lies in the future.

    `progress` is called with the number of rows read so far.
    """
    log = Log()
    text = _decoded(data, log)
    if text is None:
        return log
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        header = [name.strip().lower() for name in next(reader, [])]
        log.problems += _header_problems(header)
        if log.problems:
            return log
        readers = _readers(zone, ctcae_version, now)
        for count, (line, values) in enumerate(_lines(reader), start=1):
            _read_line(log, line, header, values, readers, zone, now)
            if progress and count % STRIDE == 0:
                progress(count)
    except csv.Error as error:
        log.problems.append(Problem(reader.line_num, "", f"the file cannot be read from here on: {error}"))
    _check_across_rows(log, zone)
    return log


def _decoded(data: bytes, log: Log) -> str | None:
    if b"\x00" in data:
        line = data[: data.index(b"\x00")].count(b"\n") + 1
        log.problems.append(Problem(line, "", "holds a NUL byte: is this a CSV file in UTF-8?"))
        return None
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        said = f"byte 0x{data[error.start]:02x} is not UTF-8. Save the file as “CSV UTF-8” and try again."
        log.problems.append(Problem(line, "", said))
        return None


def _header_problems(header: list[str]) -> list[Problem]:
    if not any(header):
        return [Problem(1, "", f"the file is empty. Its first line names the columns: {', '.join(COLUMNS)}.")]
    if len(header) == 1 and ";" in header[0]:
        return [Problem(1, "", "the columns are separated by semicolons; separate them by commas.")]
    problems = []
    unknown = [name for name in header if name not in COLUMNS]
    if unknown:
        named = ", ".join(f"“{name}”" for name in unknown)
        problems.append(Problem(1, "", f"unknown column {named}. Known: {', '.join(COLUMNS)}."))
    twice = sorted({name for name in header if header.count(name) > 1 and name in COLUMNS})
    if twice:
        problems.append(Problem(1, "", f"the column {', '.join(twice)} stands twice."))
    missing = [name for name in REQUIRED if name not in header]
    if missing:
        problems.append(Problem(1, "", f"the column {', '.join(missing)} is missing."))
    return problems


def _lines(reader: Any) -> Iterator[tuple[int, list[str]]]:
    """(line on which the row begins, cells) of every row that is not blank."""
    begins = reader.line_num + 1
    for values in reader:
        if any(value.strip() for value in values):
            yield begins, values
        begins = reader.line_num + 1


def _readers(zone: ZoneInfo, version: str, now: datetime) -> Readers:
    """How the cells of each column are read. Most columns have few different ones, and each of these is read once."""
    moment = partial(cells.moment_of, zone=zone, now=now)
    of_few: Readers = {
        "patient": _text(40),
        "product": cells.product_of,
        "dose_g": cells.dose_of,
        "given_name": _text(150),
        "family_name": _text(150),
        "birth_date": cells.birth_of,
        "sex": cells.sex_of,
        "email": _email,
        "diagnosis": _text(200),
        "iga": cells.iga_of,
        "iga_date": cells.sample_day_of,
        "anti_iga": cells.anti_iga_of,
        "course": _text(60),
        "day": cells.count_of,
        "days": cells.count_of,
        "setting": cells.setting_of,
        "lots": cells.lots_of,
        "weight_kg": cells.weight_of,
        "premedication": premedication_of,
        "reactions": partial(cells.reactions_of, version=version),
        "serious": cells.serious_of,
        "outcome": cells.outcome_of,
    }
    remembered = {column: lru_cache(maxsize=REMEMBERED)(read) for column, read in of_few.items()}
    return {**remembered, "started_at": moment, "ended_at": moment}


def _read_line(
    log: Log, line: int, header: list[str], values: list[str], readers: Readers, zone: ZoneInfo, now: datetime
) -> None:
    if len(values) != len(header):
        log.problems.append(Problem(line, "", f"has {len(values)} cells where the first line has {len(header)}."))
        return
    row = _Row(line, dict(zip(header, values, strict=True)), readers, log)
    found = row.read(zone, now)
    if found:
        log.rows.append(found)


class _Row:
    """Reads the cells of one line, writing down what is wrong with each."""

    def __init__(self, line: int, cells_by_column: dict[str, str], readers: Readers, log: Log) -> None:
        self.line, self.cells, self.readers, self.log = line, cells_by_column, readers, log
        self.is_good = True

    def get(self, column: str, otherwise: Any) -> Any:
        cell = self.cells.get(column, "").strip()
        try:
            if not cell and column in REQUIRED:
                raise BadCell("is empty, and is needed")
            return self.readers[column](cell)
        except BadCell as error:
            said = str(error)
            if len(cell) > LONGEST_QUOTE:
                said = said.replace(cell, f"{cell[:LONGEST_QUOTE]}…")
            self.refuse(column, said)
            return otherwise

    def refuse(self, column: str, message: str) -> None:
        self.log.problems.append(Problem(self.line, column, message))
        self.is_good = False

    def read(self, zone: ZoneInfo, now: datetime) -> LogRow | None:
        get = self.get
        premedication_record, premedications = get("premedication", NO_PREMEDICATIONS)
        reaction_record, reactions = get("reactions", cells.NO_REACTIONS)
        row = LogRow(
            line=self.line,
            patient=get("patient", ""),
            product=get("product", ""),
            dose_g=get("dose_g", Decimal(0)),
            started_at=get("started_at", now),
            ended_at=get("ended_at", now),
            given_name=get("given_name", ""),
            family_name=get("family_name", ""),
            birth_date=get("birth_date", None),
            sex=get("sex", Sex.UNKNOWN),
            email=get("email", ""),
            diagnosis=get("diagnosis", ""),
            iga=get("iga", None),
            iga_pending=cells.is_pending(self.cells.get("iga", "").strip()),
            iga_date=get("iga_date", None),
            anti_iga=get("anti_iga", AntiIga.NOT_DONE),
            course=get("course", ""),
            day=get("day", None) or 1,
            days=get("days", None),
            setting=get("setting", Setting.CLINIC),
            lots=get("lots", ()),
            weight_kg=get("weight_kg", None),
            premedication_record=premedication_record,
            premedications=premedications,
            reaction_record=reaction_record,
            reactions=reactions,
            is_serious=get("serious", None),
            outcome=get("outcome", Outcome.UNKNOWN),
        )
        if self.is_good:
            self.check(row, zone, now)
            self.look_twice(row, now)
        return row if self.is_good else None

    def check(self, row: LogRow, zone: ZoneInfo, now: datetime) -> None:
        """What only several cells together show."""
        if row.ended_at <= row.started_at:
            self.refuse("ended_at", "must be after started_at")
        if row.days is not None and row.day > row.days:
            self.refuse("day", f"day {row.day} of a course of {row.days} cannot be")
        if row.iga_date and row.iga_date > now.astimezone(zone).date():
            self.refuse("iga_date", "lies in the future")
        has_iga = row.iga is not None or row.iga_pending
        if row.iga_date and not has_iga:
            self.refuse("iga_date", "stands without iga; write the result beside it")
        if row.anti_iga != AntiIga.NOT_DONE and not has_iga:
            self.refuse("anti_iga", "stands without iga; write the IgA result, or “pending”, beside it")
        if (row.is_serious is not None or row.outcome != Outcome.UNKNOWN) and not row.reactions:
            self.refuse("serious" if row.is_serious is not None else "outcome", "stands without a reaction")

    def look_twice(self, row: LogRow, now: datetime) -> None:
        """What is taken all the same."""
        if row.iga and is_implausible(row.iga):
            self.warn("An IgA above 15 g/L; was it written in another unit?")
        latest = max(_onsets(row), default=0)
        if latest > LATE_ONSET_MINUTES:
            self.warn("A reaction that began more than 60 days after the start; are these minutes?")
        if row.started_at + timedelta(minutes=latest) > now + cells.FUTURE_SLACK:
            self.warn("A reaction that begins in the future; are these minutes?")
        for drug in row.premedications:
            if drug.is_taken_as_other:
                self.warn(f"“{drug.other_drug}” is no drug known here; recorded under this name as another drug.")

    def warn(self, message: str) -> None:
        self.log.warnings.append((message, self.line))


def _onsets(row: LogRow) -> Iterator[float]:
    """Minutes from the start, of every symptom that has them."""
    return (symptom.minutes for episode in row.reactions for symptom in episode if symptom.minutes is not None)


def _text(longest: int) -> Callable[[str], str]:
    return lambda cell: cells.text_of(cell, longest=longest)


def _email(cell: str) -> str:
    address = cells.text_of(cell, longest=254)
    if address:
        try:
            validate_email(address)
        except ValidationError:
            raise BadCell(f"“{address}” is not an email address") from None
    return address


def _check_across_rows(log: Log, zone: ZoneInfo) -> None:
    """The same infusion twice, a patient who is two people, and what lies before the patient's birth.

    Afterwards every row of a patient carries all that is known of the person, whichever row is written first.
    """
    starts: dict[tuple[str, datetime], int] = {}
    people: dict[str, LogRow] = {}
    for row in log.rows:
        key = (row.patient, row.started_at)
        if key in starts:
            said = f"repeats line {starts[key]}: the same patient and start"
            log.problems.append(Problem(row.line, "started_at", said))
        starts.setdefault(key, row.line)
        _check_person(log, row, people.setdefault(row.patient, row))
    for row in log.rows:
        for column in (*IDENTITY, *DETAILS):
            setattr(row, column, getattr(people[row.patient], column))
        log.problems += before_birth(row, row.birth_date, zone)
    log.problems.sort(key=lambda problem: problem.line)


def _check_person(log: Log, row: LogRow, first: LogRow) -> None:
    """Compare a row with the first of the same patient, and complete the first from it."""
    for column in (*IDENTITY, *DETAILS):
        here, there = getattr(row, column), getattr(first, column)
        if not is_known(here) or here == there:
            continue
        if not is_known(there):
            setattr(first, column, here)
        elif column in IDENTITY:
            said = f"“{here}” differs from “{there}” in line {first.line} for the same patient"
            log.problems.append(Problem(row.line, column, said))
        else:
            said = f"Another {column} than in an earlier row of the same patient, which counts."
            log.warnings.append((said, row.line))


def before_birth(row: LogRow, birth_date: date | None, zone: ZoneInfo) -> list[Problem]:
    """What a row says of a time before the person was born. Days are those of the clinic's zone."""
    if birth_date is None:
        return []
    problems = []
    if birth_date > row.started_at.astimezone(zone).date():
        problems.append(Problem(row.line, "birth_date", f"{birth_date} lies after the infusion"))
    if row.iga_date and row.iga_date < birth_date:
        problems.append(Problem(row.line, "iga_date", f"lies before the birth date {birth_date}"))
    return problems


def is_known(value: object) -> bool:
    return value not in ("", None, Sex.UNKNOWN)


def patients_in(rows: Iterable[LogRow]) -> dict[str, LogRow]:
    """The first row of each patient, by record number."""
    first: dict[str, LogRow] = {}
    for row in rows:
        first.setdefault(row.patient, row)
    return first
