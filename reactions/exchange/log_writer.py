"""From a log's rows to the database, in batches: the number of queries grows with batches, not with rows.

A log is history: it makes no check-ins, so that nobody gets mail about infusions of long ago.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from difflib import get_close_matches
from functools import lru_cache
from typing import Any, TypeVar

from django.db import connection
from django.db.models import QuerySet
from django.utils import timezone

from patients.iga import Reading
from patients.models import Clinic, IgaResult, Patient, PatientMark, User, marks_to_keep
from patients.words import AntiIga
from reactions.exchange.bulk import insert_all
from reactions.exchange.log_rows import DETAILS, IDENTITY, LogRow, Problem, before_birth, is_known, patients_in
from reactions.models import Course, Infusion, Premedication, Product, Reaction, Symptom, Vial
from reactions.vocabulary import Action

BATCH = 2_000
# Record numbers in one query: SQLite takes 999 values in a statement.
ASKED_AT_ONCE = 900
NAMED_IN_A_LOG = "Named in an infusion log; no label data"
VIAL_TOLERANCE_G = Decimal("0.5")

WRITTEN = (Patient, IgaResult, Course, Infusion, Vial, Premedication, Reaction, Symptom)

IgaKey = tuple[Reading | None, AntiIga]
T = TypeVar("T")


@dataclass
class Report:
    """What was written, and what is worth a second look. Warnings are counted, each with the first line it concerns."""

    written: Counter[str] = field(default_factory=Counter)
    warnings: dict[str, list[int]] = field(default_factory=lambda: defaultdict(list))
    serious: list[Reaction] = field(default_factory=list)

    def warn(self, message: str, line: int) -> None:
        self.warnings[message].append(line)


def problems_with_records(clinic: Clinic, rows: Sequence[LogRow]) -> list[Problem]:
    """What in the log contradicts what is recorded: an infusion that is there already, a patient who is another.

    Looks only at the patients in the log, some hundred at a time.
    """
    of_patient: dict[str, list[LogRow]] = defaultdict(list)
    for row in rows:
        of_patient[row.patient].append(row)
    problems = _problems_with_products(rows)
    for mrns in _in_chunks(list(of_patient)):
        known = {patient.mrn: patient for patient in clinic.patients.current().with_number(mrns)}
        recorded = set(
            Infusion.objects.current()
            .filter(patient__in=[patient.pk for patient in known.values()])
            .values_list("patient__mrn", "started_at")
        )
        for mrn, patient in known.items():
            problems += _problems_with_patient(clinic, patient, of_patient[mrn], recorded)
    return sorted(problems, key=lambda problem: problem.line)


def _problems_with_patient(
    clinic: Clinic, patient: Patient, rows: Sequence[LogRow], recorded: set[tuple[str, datetime]]
) -> list[Problem]:
    if patient.erased_at:
        return [Problem(rows[0].line, "patient", f"{patient.mrn} was erased: nothing more is written to that record")]
    problems = []
    for row in rows:
        if (row.patient, row.started_at) in recorded:
            said = "an infusion of this patient with this start is recorded already"
            problems.append(Problem(row.line, "started_at", said))
        if not is_known(row.birth_date):
            problems += before_birth(row, patient.birth_date, clinic.zone)
    for column in IDENTITY:
        here, there = getattr(rows[0], column), getattr(patient, column)
        if is_known(here) and is_known(there) and here != there:
            said = f"“{here}” differs from “{there}”, as patient {patient.mrn} is registered"
            problems.append(Problem(rows[0].line, column, said))
    return problems


def _in_chunks(values: Sequence[T]) -> Iterator[Sequence[T]]:
    for start in range(0, len(values), ASKED_AT_ONCE):
        yield values[start : start + ASKED_AT_ONCE]


def _problems_with_products(rows: Iterable[LogRow]) -> list[Problem]:
    subcutaneous = {_plain(product.name) for product in Product.objects.filter(is_intravenous=False)}
    return [
        Problem(row.line, "product", f"{row.product} is given under the skin only, not into a vein")
        for row in rows
        if _plain(row.product) in subcutaneous
    ]


class LogWriter:
    """Writes rows for one clinic. Call `write` with batches in which each patient's rows stand in order of time.

    Of what is recorded it reads only what concerns the patients of a batch, when they first turn up.
    """

    def __init__(self, clinic: Clinic, *, by: User, now: datetime) -> None:
        self.clinic, self.by, self.now = clinic, by, now
        self.report = Report()
        self.products = {_plain(name): pk for name, pk in _products()}
        self.looked_up: set[str] = set()
        self.patients: dict[str, int] = {}
        self.registered: dict[str, Patient] = {}
        self.courses: dict[tuple[int, str], Course] = {}
        self.iga: dict[int, list[tuple[date, IgaKey]]] = defaultdict(list)

    def write(self, rows: Sequence[LogRow]) -> None:
        """Write one batch. Belongs inside the caller's transaction."""
        self._look_up(rows)
        self._add_patients(rows)
        self._add_products(rows)
        self._add_iga(rows)
        courses = self._add_courses(rows)
        infusions = [self._infusion(row, course) for row, course in zip(rows, courses, strict=True)]
        self._create(Infusion, infusions)
        self._add_vials(rows, infusions)
        self._add_premedications(rows, infusions)
        self._add_reactions(rows, infusions)

    def _look_up(self, rows: Sequence[LogRow]) -> None:
        """Learn what is recorded of the batch's patients."""
        mrns = [mrn for mrn in patients_in(rows) if mrn not in self.looked_up]
        self.looked_up.update(mrns)
        for chunk in _in_chunks(mrns):
            found = list(self.clinic.patients.current().with_number(chunk))
            if not found:
                continue
            self.registered |= {patient.mrn: patient for patient in found}
            self.patients |= {patient.mrn: patient.pk for patient in found}
            pks = [patient.pk for patient in found]
            for course in Course.objects.filter(patient__in=pks):
                self.courses[course.patient_id, course.label] = course
            results: QuerySet[IgaResult] = IgaResult.objects.current().filter(patient__in=pks)
            for result in results.order_by("in_force_from", "pk"):
                key = (result.reading(), AntiIga(result.anti_iga))
                self.iga[result.patient_id].append((result.in_force_from, key))

    def _create(self, model: Any, objects: list[Any]) -> None:
        insert_all(model, objects)
        self.report.written[str(model._meta.verbose_name_plural)] += len(objects)

    def _add_patients(self, rows: Sequence[LogRow]) -> None:
        new = [row for mrn, row in patients_in(rows).items() if mrn not in self.patients]
        patients = [
            Patient(
                clinic=self.clinic,
                mrn=row.patient,
                given_name=row.given_name,
                family_name=row.family_name,
                birth_date=row.birth_date,
                sex=row.sex,
                email=row.email,
                diagnosis=row.diagnosis,
                created_by=self.by,
            )
            for row in new
        ]
        for patient in patients:
            patient.derive()
        self._create(Patient, patients)
        insert_all(PatientMark, marks_to_keep(patients))
        self.patients |= {patient.mrn: patient.pk for patient in patients}
        for row in rows:
            if row.patient in self.registered:
                self._compare(row, self.registered[row.patient])

    def _compare(self, row: LogRow, patient: Patient) -> None:
        """A log adds infusions to a registered patient, and changes nothing about the person."""
        for column in (*IDENTITY, *DETAILS):
            here = getattr(row, column)
            if is_known(here) and here != getattr(patient, column):
                name = column.replace("_", " ")
                self.report.warn(f"The {name} is not that of the registered patient, which stays.", row.line)

    def _add_products(self, rows: Sequence[LogRow]) -> None:
        for row in rows:
            plain = _plain(row.product)
            if plain in self.products:
                continue
            near = get_close_matches(plain, self.products, n=1, cutoff=0.8)
            hint = f" Did you mean {Product.objects.get(pk=self.products[near[0]])}?" if near else ""
            self.report.warn(f"New product “{row.product}”, without label data.{hint}", row.line)
            product = Product.objects.create(name=row.product, source=NAMED_IN_A_LOG)
            self.products[plain] = product.pk
            self.report.written["products"] += 1

    def _add_iga(self, rows: Sequence[LogRow]) -> None:
        new = []
        for row in rows:
            if row.iga is None and not row.iga_pending:
                continue
            patient, key = self.patients[row.patient], (row.iga, row.anti_iga)
            day = row.iga_date or row.started_at.astimezone(self.clinic.zone).date()
            known = self.iga[patient]
            if row.iga_date:
                if (day, key) in known:
                    continue
            elif _in_force(known, day) == key:
                continue
            known.append((day, key))
            new.append(self._iga_result(patient, row, day))
        self._create(IgaResult, new)

    def _iga_result(self, patient: int, row: LogRow, day: date) -> IgaResult:
        result = IgaResult(
            patient_id=patient,
            is_pending=row.iga is None,
            measured_on=row.iga_date,
            in_force_from=day,
            anti_iga=row.anti_iga,
            created_by=self.by,
        )
        if row.iga:
            result.comparator, result.value, result.unit = row.iga.comparator, row.iga.value, row.iga.unit
            result.lab_low, result.lab_high = row.iga.low, row.iga.high
        result.derive()
        return result

    def _add_courses(self, rows: Sequence[LogRow]) -> list[Course]:
        """The course of each row; a row without one gets a course of its own, named after its start."""
        of_rows, new, grown = [], [], {}
        for row in rows:
            patient = self.patients[row.patient]
            label = row.course or f"{row.started_at.astimezone(self.clinic.zone):%Y-%m-%d %H:%M:%S}"
            days = row.days or max(row.day, 1)
            course = self.courses.get((patient, label))
            if course is None:
                course = Course(patient_id=patient, label=label, planned_days=days)
                self.courses[patient, label] = course
                new.append(course)
            elif days > course.planned_days:
                course.planned_days = days
                if course.pk:
                    grown[course.pk] = course
            of_rows.append(course)
        Course.objects.bulk_update(grown.values(), ["planned_days"], batch_size=BATCH)
        self._create(Course, new)
        return of_rows

    def _infusion(self, row: LogRow, course: Course) -> Infusion:
        if row.ended_at - row.started_at > timedelta(hours=24):
            self.report.warn("Longer than 24 hours.", row.line)
        return Infusion(
            patient_id=self.patients[row.patient],
            course_id=course.pk,
            day=row.day,
            product_id=self.products[_plain(row.product)],
            setting=row.setting,
            started_at=row.started_at,
            ended_at=row.ended_at,
            dose_g=row.dose_g,
            weight_kg=row.weight_kg,
            premedication_record=row.premedication_record,
            reaction_record=row.reaction_record,
            created_by_id=self.by.pk,
        )

    def _add_vials(self, rows: Sequence[LogRow], infusions: Sequence[Infusion]) -> None:
        vials = []
        for row, infusion in zip(rows, infusions, strict=True):
            if not row.lots:
                continue
            day = row.started_at.astimezone(self.clinic.zone).date()
            for lot in row.lots:
                expired = lot.expires_on is not None and lot.expires_on < day
                if expired:
                    self.report.warn("A lot had expired before the infusion.", row.line)
                vials.append(
                    Vial(
                        infusion_id=infusion.pk,
                        lot=lot.lot,
                        expires_on=lot.expires_on,
                        grams=lot.grams,
                        expiry_confirmed=expired,
                    )
                )
            grams = [lot.grams for lot in row.lots if lot.grams is not None]
            if len(grams) == len(row.lots) and abs(sum(grams, Decimal(0)) - row.dose_g) > VIAL_TOLERANCE_G:
                self.report.warn("The lots hold another amount than the dose.", row.line)
        self._create(Vial, vials)

    def _add_premedications(self, rows: Sequence[LogRow], infusions: Sequence[Infusion]) -> None:
        drugs = [
            Premedication(
                infusion_id=infusion.pk,
                drug=drug.drug,
                other_drug=drug.other_drug,
                dose=drug.dose,
                route=drug.route,
                minutes_before=drug.minutes_before,
            )
            for row, infusion in zip(rows, infusions, strict=True)
            for drug in row.premedications
        ]
        self._create(Premedication, drugs)

    def _add_reactions(self, rows: Sequence[LogRow], infusions: Sequence[Infusion]) -> None:
        episodes = [
            (row, infusion, episode) for row, infusion in zip(rows, infusions, strict=True) for episode in row.reactions
        ]
        reactions = []
        for row, infusion, episode in episodes:
            minutes = [symptom.minutes for symptom in episode if symptom.minutes is not None]
            reactions.append(
                Reaction(
                    infusion=infusion,
                    onset_at=row.started_at + timedelta(minutes=min(minutes)) if minutes else None,
                    action=Action.NOT_RECORDED,
                    outcome=row.outcome,
                    is_serious=row.is_serious,
                    created_by=self.by,
                )
            )
        self._create(Reaction, reactions)
        self.report.serious += [reaction for reaction in reactions if reaction.is_serious]
        symptoms = [
            Symptom(
                reaction_id=reaction.pk,
                term=symptom.term,
                other_text=symptom.other_text,
                grade=symptom.grade,
                ctcae_version=symptom.ctcae_version,
                onset_at=None if symptom.minutes is None else row.started_at + timedelta(minutes=symptom.minutes),
            )
            for reaction, (row, _, episode) in zip(reactions, episodes, strict=True)
            for symptom in episode
        ]
        self._create(Symptom, symptoms)


def write_log(
    clinic: Clinic, rows: Iterable[LogRow], *, by: User, progress: Callable[[int], None] | None = None
) -> Report:
    """Write a whole log in batches. `progress` is called with the number of rows written so far."""
    writer = LogWriter(clinic, by=by, now=timezone.now())
    in_order = sorted(rows, key=lambda row: row.started_at)
    for start in range(0, len(in_order), BATCH):
        writer.write(in_order[start : start + BATCH])
        if progress:
            progress(min(start + BATCH, len(in_order)))
    if len(in_order) > BATCH:
        _count_anew()
    return writer.report


def _count_anew() -> None:
    """Let PostgreSQL count its rows again. Until it does, it plans the rates of a great log as if there were none."""
    if connection.vendor == "postgresql":
        tables = ", ".join(connection.ops.quote_name(model._meta.db_table) for model in WRITTEN)
        with connection.cursor() as cursor:
            cursor.execute(f"ANALYZE {tables}")


def _in_force(known: list[tuple[date, IgaKey]], day: date) -> IgaKey | None:
    """The result that counts on the day: the latest day, then the latest entry."""
    best: tuple[date, IgaKey] | None = None
    for since, key in known:
        if since <= day and (best is None or since >= best[0]):
            best = (since, key)
    return best[1] if best else None


def _products() -> list[tuple[str, int]]:
    """Name and row of the newest version of each product."""
    return list(Product.objects.order_by("label_version").values_list("name", "pk"))


@lru_cache(maxsize=1024)
def _plain(name: str) -> str:
    """A product's name without spaces, signs and capitals: “Octagam 10%” is “Octagam 10 %”."""
    return "".join(sign for sign in name.lower() if sign.isalnum())
