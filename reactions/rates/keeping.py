"""Writing what is kept ready: patients that bear a mark are worked out anew, so many at a time.

One process at a time tidies up: on PostgreSQL under a lock that ends with the transaction, on SQLite because writers
take turns. It deletes the marks it has read, and those alone, before it reads the records: a change whose mark it did
not see keeps its mark, and one whose mark it saw is there to be read.
"""

import logging
import time
from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from django.db import connection, connections, transaction

from patients.models import Clinic, Patient
from reactions.models import Infusion, RateFacts, RatesKept, RateSums, StaleRates
from reactions.rates import facts, triggers
from reactions.rates.kept import figures_from_scratch, fingerprint, is_ready
from reactions.rates.sums import Figures, add, pack, unpack

logger = logging.getLogger(__name__)

# Marks in one transaction. This project's own: well under a second's work.
TOGETHER = 200
# How long a tick tidies up. This project's own: mails come first, and the next tick goes on.
FOR_S = 5
# Of the lock on PostgreSQL; any number that nothing else here uses.
LOCK = 1_703_217


@dataclass(frozen=True)
class Checked:
    """What `check` found: patients and clinics whose kept figures are wrong without a mark, and what else is amiss."""

    patients: int
    wrong: list[int]
    wrong_clinics: list[int]
    triggers_are_there: bool
    is_by_these_rules: bool

    @property
    def is_right(self) -> bool:
        return not self.wrong and not self.wrong_clinics and self.triggers_are_there and self.is_by_these_rules


def prepare(using: str = "default", *, anew: bool = False) -> None:
    """See that the triggers are there and what is kept is by the rules of today; else everybody gets a mark.

    `anew` for marks in any case. Idempotent. Called after each migration, and by check_rates.
    """
    if not _tables_are_there(using):
        return  # migrated back to before there were any
    with transaction.atomic(using=using):
        installed = triggers.install(connections[using])
        if not installed and not anew and is_ready(using):
            return
        _lock(using)
        RateSums.objects.using(using).all().delete()
        RateFacts.objects.using(using).all().delete()
        StaleRates.objects.using(using).all().delete()
        everybody = Infusion.objects.using(using).order_by().values_list("patient_id", flat=True).distinct()
        StaleRates.objects.using(using).bulk_create(
            (StaleRates(patient_id=patient) for patient in everybody.iterator(chunk_size=5000)), batch_size=5000
        )
        RatesKept.objects.using(using).update_or_create(id=1, defaults={"fingerprint": fingerprint(using)})


def let_go(using: str) -> None:
    """Before tables change: nobody uses what is kept, and no trigger stands in the way. `prepare` undoes it."""
    with transaction.atomic(using=using):
        triggers.remove(connections[using])
        if _tables_are_there(using):
            RatesKept.objects.using(using).update(fingerprint="")


def keep_up(now: datetime) -> int:
    """The tick's part: work out anew those with a mark for some seconds, the longest waiting first. How many marks."""
    until, done = time.monotonic() + FOR_S, 0
    while marks := keep_some():
        done += marks
        if time.monotonic() > until:
            break
    return done


def keep_some() -> int:
    """Work out anew the patients of the oldest marks, in one transaction.

    Returns how many marks these were; 0 also when another process is at it.
    """
    if not StaleRates.objects.exists():
        return 0
    with transaction.atomic():
        if not _lock(wait=False):
            return 0
        if not is_ready():
            logger.warning("rates are not kept ready by these rules: run “manage.py check_rates --repair”")
            return 0
        marks = list(StaleRates.objects.order_by("pk").values_list("pk", "patient_id")[:TOGETHER])
        StaleRates.objects.filter(pk__in=[pk for pk, _ in marks]).delete()
        _write({patient for _, patient in marks})
    return len(marks)


def check(*, repair: bool = False) -> Checked:
    """Compare everything that is kept with figures from scratch, and put right what is wrong where that is wanted.

    To repair is also to work out anew everybody who bears a mark, without waiting for ticks. Patients that bear a mark
    are not compared: nobody reads what is kept of them.
    """
    there, same_rules = triggers.are_there(connection), is_ready()
    if repair:
        prepare()
        _keep_all()
    numbers = Patient.objects.order_by("pk").values_list("pk", flat=True)
    wrong: list[int] = []
    seen, last = 0, 0
    while patients := list(numbers.filter(pk__gt=last)[:TOGETHER]):
        seen, last = seen + len(patients), patients[-1]
        wrong += _wrong(patients, repair=repair)
    wrong_clinics = _wrong_clinics(repair=repair)
    if repair:
        _keep_all()
    return Checked(seen, wrong, wrong_clinics, there, same_rules)


def _keep_all() -> None:
    while keep_some():
        pass


def _wrong(patients: list[int], *, repair: bool) -> list[int]:
    with transaction.atomic():
        _lock()
        clinics = _clinics_of(patients)
        right = figures_from_scratch(patients, clinics)
        home = _homes(patients)
        kept = {
            row.patient_id: (row.clinic_id, unpack(row.figures))
            for row in RateSums.objects.filter(patient__in=patients)
        }
        differ = [
            patient
            for patient in patients
            if kept.get(patient) != ((home[patient], right[patient]) if patient in right else None)
        ]
        known = facts.by_patient(RateFacts.objects.filter(patient__in=patients))
        true = facts.by_patient(facts.from_scratch(patients, clinics))
        differ = [one for one in patients if one in differ or known.get(one) != true.get(one)]
        # Asked last: whatever changed while this was reading bears a mark by now.
        marked = set(StaleRates.objects.filter(patient__in=differ).values_list("patient_id", flat=True))
        wrong = [patient for patient in differ if patient not in marked]
        if repair:
            StaleRates.objects.bulk_create(StaleRates(patient_id=patient) for patient in wrong)
    return wrong


def _wrong_clinics(*, repair: bool) -> list[int]:
    """The clinics whose sums are not those of their patients' rows; these are put right where that is wanted."""
    with transaction.atomic():
        _lock()
        sums: dict[int, Figures] = defaultdict(dict)
        of_patients = RateSums.objects.exclude(patient=None).values_list("clinic_id", "figures")
        for clinic, packed in of_patients.iterator(chunk_size=2000):
            add(sums[clinic], unpack(packed))
        kept = {row.clinic_id: unpack(row.figures) for row in RateSums.objects.filter(patient=None)}
        wrong = sorted(clinic for clinic in sums.keys() | kept.keys() if sums.get(clinic, {}) != kept.get(clinic, {}))
        if repair:
            RateSums.objects.filter(patient=None, clinic__in=wrong).delete()
            RateSums.objects.bulk_create(RateSums(clinic_id=one, figures=pack(sums.get(one, {}))) for one in wrong)
    return wrong


def _write(patients: Collection[int]) -> None:
    """Put what the patients add in the place of what they added before, and change their clinics' sums by it."""
    changes: dict[int, Figures] = defaultdict(dict)
    before = RateSums.objects.filter(patient__in=patients)
    for clinic, packed in before.values_list("clinic_id", "figures"):
        add(changes[clinic], unpack(packed), -1)
    before.delete()
    home = _homes(patients)
    rows = []
    for patient, figures in figures_from_scratch(patients, _clinics_of(patients)).items():
        add(changes[home[patient]], figures)
        rows.append(RateSums(clinic_id=home[patient], patient_id=patient, figures=pack(figures)))
    RateSums.objects.bulk_create(rows)
    RateFacts.objects.filter(patient__in=patients).delete()
    RateFacts.objects.bulk_create(facts.from_scratch(patients, _clinics_of(patients)))
    sums = {row.clinic_id: row for row in RateSums.objects.filter(patient=None, clinic__in=changes)}
    for clinic, change in changes.items():
        row = sums.get(clinic) or RateSums(clinic_id=clinic)
        figures = unpack(row.figures)
        add(figures, change)
        row.figures = pack(figures)
        row.save()


def _homes(patients: Collection[int]) -> dict[int, int]:
    return dict(Patient.objects.order_by().filter(pk__in=patients).values_list("pk", "clinic_id"))


def _clinics_of(patients: Collection[int]) -> list[Clinic]:
    return list(Clinic.objects.filter(pk__in=Patient.objects.order_by().filter(pk__in=patients).values("clinic")))


def _tables_are_there(using: str) -> bool:
    return RatesKept._meta.db_table in connections[using].introspection.table_names()


def _lock(using: str = "default", *, wait: bool = True) -> bool:
    """Nobody else writes what is kept until the transaction ends; False when somebody does and we are not to wait."""
    if connections[using].vendor != "postgresql":
        return True
    with connections[using].cursor() as cursor:
        if wait:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [LOCK])
            return True
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [LOCK])
        return bool(cursor.fetchone()[0])
