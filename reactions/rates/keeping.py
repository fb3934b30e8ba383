"""Writing what is kept ready: all columns once by clinic and month, then anew those of patients that bear a mark.

One process at a time writes: on PostgreSQL under a lock that ends with the transaction, on SQLite because writers take
turns. It deletes the marks it has read, and those alone, before it reads the records: a change whose mark it did not
see keeps its mark, and one whose mark it saw is there to be read.

While columns are incomplete nobody reads them. The triggers are there before the first column is made, and marks stay
until the last one is, so that what changes meanwhile is done again.
"""

import logging
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from datetime import UTC
from functools import partial
from math import inf
from typing import Any

import numpy as np
from django.db import connection, connections, transaction
from django.db.models import Q
from django.db.models.functions import TruncMonth

from patients.models import Clinic
from reactions.models import Infusion, RateColumns, RatesKept, StaleRates
from reactions.rates import triggers
from reactions.rates.columns import OF_INFUSION, Columns, Numbers, joined
from reactions.rates.kept import (
    KEPT_KEYS,
    PLAIN,
    fingerprint,
    month_of,
    months_of,
    packed,
    patients_in,
    start_of,
    unpacked,
)
from reactions.rates.strata import from_records, second_of

logger = logging.getLogger(__name__)

# Patients in one transaction. This project's own: some seconds' work where each has many infusions.
TOGETHER = 1_000
# How long the task goes on. This project's own: mails wait for the same worker, and the next task goes on from there.
FOR_S = 5
COLUMNS = (*OF_INFUSION, *KEPT_KEYS)


@dataclass(frozen=True)
class Checked:
    """What `check` found: patients whose columns are wrong without a mark, and what else is amiss."""

    infusions: int
    wrong: list[int]
    triggers_are_there: bool
    is_complete: bool

    @property
    def is_right(self) -> bool:
        return not self.wrong and self.triggers_are_there and self.is_complete


def prepare(using: str = "default") -> None:
    """See that the triggers are there. Where they were not, all is made anew: nobody knows what was written meanwhile.

    Idempotent. Called after each migration, and by check_rates.
    """
    connection = connections[using]
    if triggers.can_be_installed(connection) and not triggers.are_there(connection):
        sound = triggers.wanted(connection) & triggers.there(connection)
        _take_off(using, triggers.there(connection, also_off=True) - sound)
        # Each in a transaction of its own: whoever writes to two tables never waits for it, and it for them.
        for name in sorted(triggers.wanted(connection) - sound):
            with transaction.atomic(using=using):
                triggers.put_on(connection, name)
        with transaction.atomic(using=using):
            _let_go(using)


def let_go(using: str) -> None:
    """Before tables change: nobody uses what is kept, and no trigger stands in the way. `prepare` undoes it."""
    if RatesKept._meta.db_table in connections[using].introspection.table_names():
        _take_off(using, triggers.there(connections[using], also_off=True))


def _take_off(using: str, names: Collection[str]) -> None:
    """With each trigger goes what is kept, so that, wherever this ends, nobody reads what no trigger guards."""
    for name in sorted(names):
        with transaction.atomic(using=using):
            _let_go(using)
            triggers.take_off(connections[using], name)


def _let_go(using: str) -> None:
    """Nothing that is kept is read any more. It may be written by an older version, so one field alone is named."""
    _lock(using)
    RatesKept.objects.using(using).filter(id=1).update(fingerprint="")
    RateColumns.objects.using(using).all().delete()


def keep_up(for_s: float = FOR_S, *, wait: bool = False) -> int:
    """Go on for so long with what is incomplete or out of date. How many steps were done.

    Each step is a transaction: a month of a clinic while columns are incomplete, and afterwards the patients of the
    oldest marks. Nothing is done while another process is at it, unless this one is to wait for it.
    """
    until, done = time.monotonic() + for_s, 0

    def is_over(step: Callable[[], bool]) -> bool:
        nonlocal done
        with transaction.atomic():
            # Without triggers nobody knows what changes meanwhile.
            went_on = _lock(wait=wait) and triggers.are_there(connection) and step()
        done += went_on
        return not went_on or time.monotonic() > until

    if not is_complete():
        for clinic, month in _lacking():
            if is_over(partial(_make, clinic, month)):
                return done
        if is_over(_complete):
            return done
    while StaleRates.objects.exists():
        if is_over(_redo_marked):
            break
    return done


def is_complete(using: str = "default") -> bool:
    """What is kept was made by the rules of this process, and is all there."""
    kept = RatesKept.objects.using(using).values_list("fingerprint", flat=True).first()
    return kept == fingerprint(using)


def is_guarded() -> bool:
    """All columns are there by these rules, and so are the triggers."""
    return is_complete() and triggers.are_there(connection)


def check(*, repair: bool = False) -> Checked:
    """Compare everything that is kept with the records, and put right what is wrong where that is wanted.

    To repair is also to do at once all that the task would do. Patients that bear a mark are not compared: nobody reads
    what is kept of them.
    """
    there, complete = triggers.are_there(connection), is_complete()
    if repair:
        prepare()
        keep_up(inf, wait=True)
    infusions, wrong = 0, set[int]()
    if is_complete():
        for clinic, month in sorted(_months() | set(RateColumns.objects.values_list("clinic_id", "month"))):
            seen, differ = _differing(clinic, month, repair=repair)
            infusions, wrong = infusions + seen, wrong | differ
    if repair:
        keep_up(inf, wait=True)
    return Checked(infusions, sorted(wrong), there, complete)


def _lacking() -> list[tuple[int, int]]:
    """(clinic, month) of infusions that have no columns by these rules."""
    return sorted(
        _months() - set(RateColumns.objects.filter(fingerprint=fingerprint()).values_list("clinic_id", "month"))
    )


def _make(clinic: int, month: int) -> bool:
    """Make the columns of a month. What others made by other rules goes: nobody may take the rest of it for all."""
    if not is_complete():
        RatesKept.objects.update(fingerprint="")
    others = RateColumns.objects.exclude(fingerprint=fingerprint())
    if others.exists():
        logger.warning(
            "rates were kept ready by other rules and are made anew; if this goes on, hosts of this installation differ"
            " in their version of IVIGTrack or of time zones"
        )
        others.delete()
    _put(clinic, month, _from_records(clinic, month))
    return True


def _complete() -> bool:
    """All is there by these rules, unless somebody let go of it meanwhile."""
    if _lacking():
        return False
    RatesKept.objects.update_or_create(id=1, defaults={"fingerprint": fingerprint()})
    return True


def _redo_marked() -> bool:
    """Put what the records say of the patients of the oldest marks in the place of what is kept of them.

    Nothing where somebody let go of what was kept since this was asked for: their marks stay until all is there again.
    """
    if not is_complete():
        return False
    marks = list(StaleRates.objects.order_by("pk").values_list("pk", "patient_id")[:TOGETHER])
    StaleRates.objects.filter(pk__in=[pk for pk, _ in marks]).delete()
    patients = np.unique([patient for _, patient in marks])
    told = Clinic.objects.filter(patients__in=patients.tolist()).distinct()
    new = {
        (clinic.pk, month): columns
        for clinic in told
        for month, columns in _by_month(from_records(PLAIN, KEPT_KEYS, [clinic], Q(patient__in=patients.tolist())))
    }
    nobody = from_records(PLAIN, KEPT_KEYS, [])
    for clinic, month in sorted(new.keys() | _months_of(patients)):
        kept = _kept(clinic, month)
        is_theirs = np.isin(kept.patient, patients)
        own = new.get((clinic, month), nobody)
        if _lines(kept.where(is_theirs)) != _lines(own):
            _put(clinic, month, joined([kept.where(~is_theirs), own]))
    return bool(marks)


def _by_month(columns: Columns) -> Iterator[tuple[int, Columns]]:
    months = months_of(columns.started)
    for month in np.unique(months).tolist():
        yield month, columns.where(months == month)


def _months() -> set[tuple[int, int]]:
    """(clinic, month) of all infusions, also of those that do not count."""
    month = TruncMonth("started_at", tzinfo=UTC)
    found = Infusion.objects.order_by().annotate(month=month).values_list("patient__clinic", "month").distinct()
    return {(clinic, month_of(second_of(moment))) for clinic, moment in found}


def _months_of(patients: Numbers) -> set[tuple[int, int]]:
    """(clinic, month) of all columns that hold one of the patients, wherever these were before."""
    every = RateColumns.objects.values_list("clinic_id", "month", "patient", "infusions", "values")
    return {
        (clinic, month)
        for clinic, month, column, infusions, values in every.iterator(chunk_size=100)
        if np.isin(patients_in(column, infusions, values), patients).any()
    }


def _from_records(clinic: int, month: int) -> Columns:
    began = Q(started_at__gte=start_of(month), started_at__lt=start_of(month + 1))
    return from_records(PLAIN, KEPT_KEYS, Clinic.objects.filter(pk=clinic), began)


def _kept(clinic: int, month: int) -> Columns:
    row = RateColumns.objects.filter(clinic=clinic, month=month).first()
    if row is None:
        return from_records(PLAIN, KEPT_KEYS, [])
    return unpacked(month, row.infusions, row.values, {name: getattr(row, name) for name in COLUMNS})


def _put(clinic: int, month: int, columns: Columns) -> None:
    fields = packed(columns, month) | {"fingerprint": fingerprint()}
    RateColumns.objects.update_or_create(clinic_id=clinic, month=month, defaults=fields)


def _differing(clinic: int, month: int, *, repair: bool) -> tuple[int, set[int]]:
    """How many infusions the month has, and the patients of whom something else is kept than the records say."""
    with transaction.atomic():
        _lock()
        kept, right = _lines(_kept(clinic, month)), _lines(_from_records(clinic, month))
        differ = {line[OF_INFUSION.index("patient")] for line in (kept - right) + (right - kept)}
        # Asked last: whatever changed while this was reading bears a mark by now.
        differ -= set(StaleRates.objects.order_by().values_list("patient", flat=True).distinct())
        if repair:
            StaleRates.objects.bulk_create(StaleRates(patient_id=patient) for patient in sorted(differ))
    return right.total(), differ


def _lines(columns: Columns) -> Counter[tuple[Any, ...]]:
    """Each infusion's line through the columns, and how often it is there: in whatever order, and however packed."""
    numbers = [columns.numbers[name] for name in OF_INFUSION]
    values = [[key.values[place] for place in key.places.tolist()] for _, key in sorted(columns.keys.items())]
    return Counter(zip(*(column.tolist() for column in numbers), *values, strict=True))


def _lock(using: str = "default", *, wait: bool = True) -> bool:
    """Nobody else writes what is kept until the transaction ends; False when somebody does and we are not to wait."""
    if connections[using].vendor != "postgresql":
        return True
    with connections[using].cursor() as cursor:
        if wait:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [triggers.LOCK])
            return True
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [triggers.LOCK])
        return bool(cursor.fetchone()[0])
