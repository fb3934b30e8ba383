"""What is kept ready is right while several write to it, and to the records, in the same moment."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from math import inf
from typing import Any

import pytest
from django.db import connection, transaction

from patients.models import Clinic, Patient
from reactions.models import Infusion, Product, StaleRates
from reactions.rates import keeping
from reactions.rates.answer import answer
from reactions.rates.columns import Columns
from reactions.rates.kept import read
from reactions.rates.question import KEYS, Question
from reactions.rates.strata import from_records
from tests.support.at_once import at_once
from tests.support.factories import make_infusion, make_patient, make_reaction

pytestmark = pytest.mark.django_db(transaction=True)
START = datetime(2026, 5, 1, 14, tzinfo=UTC)
DAY = timedelta(days=1)
PATIENCE_S = 10


@contextmanager
def held(act: Callable[[], Any]) -> Iterator[None]:
    """Another connection does it in a transaction that ends with the block.

    On SQLite, where writers take turns, it ends at once.
    """
    if connection.vendor == "sqlite":
        with transaction.atomic():
            act()
        yield
        return
    is_done, may_end = threading.Event(), threading.Event()
    errors: list[BaseException] = []

    def hold() -> None:
        try:
            with transaction.atomic():
                act()
                is_done.set()
                assert may_end.wait(PATIENCE_S)
        except BaseException as error:
            errors.append(error)
        finally:
            is_done.set()
            connection.close()

    thread = threading.Thread(target=hold)
    thread.start()
    assert is_done.wait(PATIENCE_S)
    try:
        yield
    finally:
        may_end.set()
        thread.join()
    assert not errors


def tidy() -> None:
    keeping.keep_up(inf)


def agree() -> None:
    clinics = list(Clinic.objects.order_by("pk"))
    kept = read(Question(), KEYS, clinics)
    assert kept is not None
    assert lines(kept) == lines([from_records(Question(), KEYS, clinics)])


def lines(blocks: Sequence[Columns]) -> list[Any]:
    found: list[Any] = []
    for block in blocks:
        values = [[key.values[place] for place in key.places] for _, key in sorted(block.keys.items())]
        found += zip(block.patient, block.course, block.known, *values, strict=True)
    return sorted(found, key=str)


@pytest.fixture
def infusion(clinic: Clinic, patient: Patient) -> Infusion:
    made = make_infusion(patient, started_at=START)
    tidy()
    assert keeping.is_complete()
    assert not StaleRates.objects.exists()
    return made


def test_what_is_not_committed_yet_is_not_lost_by_tidying_up(infusion: Infusion) -> None:
    with held(lambda: make_reaction(infusion)):
        tidy()
        agree()
    agree()
    tidy()
    agree()
    assert answer(Question(), [infusion.clinic]).all.events == 1


def test_what_is_written_while_records_are_read_keeps_its_mark(
    infusion: Infusion, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The mark that is worked off was of a change before; the one of the change since then stays."""
    make_infusion(infusion.patient, started_at=START + DAY)
    plain = keeping.from_records

    def slow(*given: Any) -> Columns:
        found = plain(*given)
        if connection.vendor == "postgresql" and not Infusion.objects.filter(started_at=START + 2 * DAY).exists():
            with held(lambda: make_infusion(infusion.patient, started_at=START + 2 * DAY)):
                pass
        return found

    monkeypatch.setattr(keeping, "from_records", slow)
    assert keeping.keep_up(0) == 1
    monkeypatch.undo()
    assert StaleRates.objects.exists() == (connection.vendor == "postgresql")
    agree()
    tidy()
    agree()


def test_a_clinic_that_moves_waits_for_nobody_whose_infusions_it_cannot_see(infusion: Infusion) -> None:
    """The patient who is recorded meanwhile is in no mark of the move. What was read by the old clock is read again."""
    clinic = infusion.clinic

    def arrives() -> None:
        with transaction.atomic():
            late = make_infusion(make_patient(clinic), started_at=datetime(2026, 5, 1, 1, tzinfo=UTC))
            late.patient.iga_results.create(value=3, measured_on=date(2026, 5, 1), created_by=late.created_by)

    with held(lambda: Clinic.objects.filter(pk=clinic.pk).update(time_zone="Asia/Tokyo")):
        at_once(arrives)
        tidy()
    agree()
    tidy()
    agree()
    moved = answer(Question(by=("iga",)), [Clinic.objects.get(pk=clinic.pk)])
    assert {rate.stratum: rate.total for rate in moved.strata}["deficient",] == 1


def test_a_product_gets_another_name_while_somebody_is_given_it(infusion: Infusion) -> None:
    """Who is given it waits for the name, where the database makes them."""
    patient = make_patient(infusion.clinic)
    given = threading.Thread(
        target=at_once, args=[lambda: make_infusion(patient, started_at=START, product=infusion.product)]
    )
    with held(lambda: Product.objects.filter(pk=infusion.product_id).update(name="Renamed")):
        given.start()
        tidy()
    given.join()
    assert Infusion.objects.filter(patient=patient).exists()
    agree()
    tidy()
    agree()


def test_readers_count_every_infusion_once_while_others_write_and_tidy_up(infusion: Infusion) -> None:
    """What is counted lies between what was there before it was asked, and what is there afterwards."""
    clinic, end = infusion.clinic, time.monotonic() + 3
    patients = [make_patient(clinic) for _ in range(3)]

    def write() -> int:
        number = 0
        while time.monotonic() < end:
            number += 1
            make_infusion(patients[number % 3], started_at=START + number * timedelta(hours=13))
        return number

    def keep() -> None:
        while time.monotonic() < end:
            tidy()

    def ask() -> int:
        asked = 0
        while time.monotonic() < end:
            before = Infusion.objects.count()
            found = read(Question(), [], [clinic])
            assert found is not None
            assert before <= sum(map(len, found)) <= Infusion.objects.count()
            asked += 1
        return asked

    written, kept, asked = at_once(write, keep, ask)
    assert kept is None
    assert written > 5
    assert asked > 5
    agree()
    tidy()
    agree()


def test_two_that_tidy_up_at_once_do_not_undo_each_other(infusion: Infusion) -> None:
    for number in range(40):
        make_infusion(make_patient(infusion.clinic), started_at=START + number * DAY)
    assert at_once(tidy, tidy, tidy) == [None, None, None]
    tidy()
    agree()
    assert keeping.check().is_right


def test_a_repair_waits_for_whoever_holds_the_columns(infusion: Infusion) -> None:
    make_reaction(infusion)
    found: list[Any] = []
    repair = threading.Thread(target=lambda: found.append(at_once(lambda: keeping.check(repair=True))))
    with held(lambda: Clinic.objects.filter(pk=infusion.clinic.pk).update(time_zone="Asia/Tokyo")):
        repair.start()
        time.sleep(0.5)
        assert found == [] or connection.vendor == "sqlite"
    repair.join()
    [[checked]] = found
    assert checked.is_right
    assert not StaleRates.objects.exists()
    agree()


def test_what_a_clinic_is_called_holds_nobody_up(infusion: Infusion) -> None:
    make_reaction(infusion)
    with held(lambda: Clinic.objects.filter(pk=infusion.clinic.pk).update(name="Another name")):
        assert keeping.keep_up(inf) == 1
    agree()
