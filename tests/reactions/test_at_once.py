"""Two people, or one impatient finger, at the same moment: nothing doubles and nobody overwrites anybody."""

import threading
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from functools import partial
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.db import connection
from django.utils import timezone

from patients.models import AuditEvent, Patient, StaleRecord, User
from reactions import recording
from reactions.models import CheckIn, Course, Infusion, OutboxMessage, Product, Reaction
from reactions.vocabulary import CheckInKind
from tests.support.factories import make_checkins, make_infusion

pytestmark = pytest.mark.django_db(transaction=True)


def at_once(*acts: Callable[[], Any]) -> list[Any]:
    """Do all in threads that start together. Gives back what each returned or raised."""
    together = threading.Barrier(len(acts))
    results: list[Any] = [None] * len(acts)

    def do(number: int, act: Callable[[], Any]) -> None:
        together.wait()
        try:
            results[number] = act()
        except Exception as error:
            results[number] = error
        finally:
            connection.close()

    threads = [threading.Thread(target=do, args=pair) for pair in enumerate(acts)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


@pytest.fixture
def record(no_broker: None, patient: Patient, nurse: User, product: Product) -> Callable[..., Infusion]:
    def one(submission: UUID, hours_ago: int = 30) -> Infusion:
        started_at = timezone.now().replace(microsecond=0) - timedelta(hours=hours_ago)
        return recording.record_infusion(
            by=nurse,
            patient=patient,
            course=None,
            planned_days=1,
            details={
                "day": 1,
                "product": product,
                "started_at": started_at,
                "ended_at": started_at + timedelta(hours=4),
                "dose_g": Decimal(35),
            },
            vials=[{"lot": "SYN-1"}],
            premedications=[],
            submission_id=submission,
            now=timezone.now(),
        )

    return one


def test_a_form_sent_twice_makes_one_infusion(record: Callable[..., Infusion]) -> None:
    submission = uuid4()
    first, second = at_once(lambda: record(submission), lambda: record(submission))
    assert first == second == Infusion.objects.get()
    assert (Course.objects.count(), CheckIn.objects.count(), first.vials.count()) == (1, 4, 1)
    assert AuditEvent.objects.filter(act="infusion.recorded").count() == 1


def test_two_infusions_at_once_get_courses_of_their_own(record: Callable[..., Infusion]) -> None:
    results = at_once(lambda: record(uuid4(), 30), lambda: record(uuid4(), 300))
    assert {type(result) for result in results} == {Infusion}
    assert sorted(Course.objects.values_list("label", flat=True)) == ["1", "2"]


def test_a_reaction_sent_twice_is_one(infusion: Infusion, nurse: User) -> None:
    submission = uuid4()

    def one() -> Reaction:
        return recording.record_reaction(
            by=nurse,
            infusion=infusion,
            details={},
            symptoms=[{"term": "chills", "grade": 2, "ctcae_version": "5.0"}],
            submission_id=submission,
            now=timezone.now(),
        )

    assert at_once(one, one) == [Reaction.objects.get()] * 2


def test_of_two_corrections_of_the_same_version_one_is_refused_and_nothing_of_it_stored(
    no_broker: None, infusion: Infusion, nurse: User
) -> None:
    def correct(dose: int) -> Infusion:
        mine = Infusion.objects.get(pk=infusion.pk)
        return recording.correct_infusion(
            mine,
            by=nurse,
            details={"dose_g": Decimal(dose)},
            vials=[{"lot": f"SYN-{dose}"}],
            premedications=[],
            reason="Typing error",
            seen_version=1,
            now=timezone.now(),
        )

    results = at_once(lambda: correct(31), lambda: correct(32))
    assert sorted(type(result).__name__ for result in results) == ["Infusion", "StaleRecord"]
    infusion.refresh_from_db()
    stored = next(result for result in results if not isinstance(result, StaleRecord))
    assert (infusion.dose_g, infusion.version) == (stored.dose_g, 2)
    assert [vial.lot for vial in infusion.vials.all()] == [f"SYN-{stored.dose_g:f}"]


def test_two_answers_at_once_are_both_kept(no_broker: None, infusion: Infusion, nurse: User) -> None:
    make_checkins(infusion)
    checkin = infusion.checkins.get(kind=CheckInKind.HOURS_24)

    def answer(symptom: str) -> int:
        given = {"has_problem": True, "details": {}, "symptoms": {symptom: "severe"}}
        return recording.submit_answer(CheckIn.objects.get(pk=checkin.pk), now=timezone.now(), **given).version

    assert sorted(at_once(lambda: answer("headache"), lambda: answer("rash"))) == [1, 2]
    assert OutboxMessage.objects.filter(kind="alert").count() == 2


def test_of_two_acknowledgements_one_counts(no_broker: None, infusion: Infusion, nurse: User) -> None:
    make_checkins(infusion)
    checkin = infusion.checkins.get(kind=CheckInKind.HOURS_24)
    answer = recording.submit_answer(
        checkin, has_problem=True, details={}, symptoms={"rash": "severe"}, now=timezone.now()
    )

    def acknowledge(words: str) -> None:
        recording.acknowledge_alert(answer.alert, by=nurse, what_was_done=words, now=timezone.now())

    results = at_once(lambda: acknowledge("Called"), lambda: acknowledge("Wrote"))
    assert [type(result).__name__ for result in results if result] == ["AlreadyAcknowledged"]


def test_two_days_of_a_course_recorded_at_once_leave_one_set_of_check_ins(infusion: Infusion) -> None:
    second = make_infusion(
        infusion.patient, course=infusion.course, day=2, ended_at=timezone.now() - timedelta(hours=1)
    )
    at_once(*(partial(make_checkins, day) for day in (infusion, second)))
    assert CheckIn.objects.count() == 4
    assert set(CheckIn.objects.values_list("infusion", flat=True)) == {second.pk}
