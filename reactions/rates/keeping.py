"""Writing what is kept ready: patients that bear a mark are worked out anew, so many at a time.

One process at a time tidies up: on PostgreSQL under a lock that ends with the transaction, on SQLite because writers
take turns. It deletes the marks it has read, and those alone, before it reads the records: a change whose mark it did
not see keeps its mark, and one whose mark it saw is there to be read.
"""

import logging
import time
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from django.db import connection, connections, transaction
from django.db.models import QuerySet

from patients.models import Clinic, Patient
from reactions.models import Infusion, RateFacts, RatesKept, RateSums, StaleRates
from reactions.rates import facts, triggers
from reactions.rates.kept import GROUPINGS, fingerprint, is_ready
from reactions.rates.question import UNITS
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
    if repair:
        _keep_all()
    wrong_clinics = _wrong_clinics(repair=repair)
    return Checked(seen, wrong, wrong_clinics, there, same_rules)


def _keep_all() -> None:
    while keep_some():
        pass


def _wrong(patients: list[int], *, repair: bool) -> list[int]:
    with transaction.atomic():
        _lock()
        differ = facts.differing(patients)
        # Asked last: whatever changed while this was reading bears a mark by now.
        wrong = sorted(
            differ.difference(StaleRates.objects.filter(patient__in=differ).values_list("patient", flat=True))
        )
        if repair:
            StaleRates.objects.bulk_create(StaleRates(patient_id=patient) for patient in wrong)
    return wrong


def _wrong_clinics(*, repair: bool) -> list[int]:
    """The clinics whose sums are not those of their patients' rows; these are put right where that is wanted."""
    wrong = []
    with transaction.atomic():
        _lock()
        kept = {row.clinic_id: unpack(row.figures) for row in RateSums.objects.all()}
        for clinic in sorted({*Clinic.objects.values_list("pk", flat=True), *kept}):
            right = _sums_of(RateFacts.objects.filter(clinic=clinic))
            if kept.get(clinic, {}) != right:
                wrong.append(clinic)
                if repair:
                    RateSums.objects.update_or_create(clinic_id=clinic, defaults={"figures": pack(right)})
    return wrong


def _write(patients: Collection[int]) -> None:
    """Put what the patients add in the place of what they added before, and change their clinics' sums by it."""
    rows = RateFacts.objects.filter(patient__in=patients)
    before = _by_clinic(rows)
    facts.write(patients)
    after = _by_clinic(rows)
    for clinic in before.keys() | after.keys():
        row = RateSums.objects.filter(clinic=clinic).first() or RateSums(clinic_id=clinic)
        figures = unpack(row.figures)
        add(figures, before.get(clinic, {}), -1)
        add(figures, after.get(clinic, {}))
        row.figures = pack(figures)
        row.save()


def _by_clinic(rows: QuerySet[RateFacts]) -> dict[int, Figures]:
    clinics = rows.order_by().values_list("clinic", flat=True).distinct()
    return {clinic: _sums_of(rows.filter(clinic=clinic)) for clinic in list(clinics)}


def _sums_of(rows: QuerySet[RateFacts]) -> Figures:
    return facts.add_up([rows], GROUPINGS, UNITS).of_rows


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
