"""Two people, or one impatient finger, at the same moment: nothing doubles and nobody overwrites anybody."""

import threading
import time
from collections.abc import Callable
from datetime import date, datetime, timedelta
from decimal import Decimal
from functools import partial
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from patients import registering
from patients.belonging import rows_about
from patients.models import AuditEvent, Clinic, Patient, StaleRecord, User
from reactions import outbox, recording
from reactions.checkins import due
from reactions.clinical.anaphylaxis import Evidence
from reactions.models import (
    Alert,
    AnaphylaxisRecord,
    CheckIn,
    Course,
    Infusion,
    OutboxMessage,
    Product,
    Reaction,
    WrongBirthYear,
)
from reactions.outbox import marks, outcomes
from reactions.recording import erasing, infusions
from reactions.vocabulary import CheckInKind, MailState, RateReason, SignatureMeaning
from tests.support import PASSWORD
from tests.support.at_once import at_once
from tests.support.factories import make_checkins, make_infusion, make_patient, make_reaction, make_response, suspect

pytestmark = pytest.mark.django_db(transaction=True)


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
            acknowledged=recording.Acknowledgement("Known"),
            submission_id=submission,
            now=timezone.now(),
        )

    return one


def test_the_second_day_and_a_reaction_to_the_first_do_not_hold_each_other_up(
    no_broker: None, patient: Patient, nurse: User, product: Product, monkeypatch: pytest.MonkeyPatch
) -> None:
    course = Course.objects.create(patient=patient, label="S", planned_days=2)
    first = make_infusion(patient, course=course)
    holds_the_patient, reaction_is_there = threading.Event(), threading.Event()
    plan_at_once = infusions.plan_checkins

    def plan_later(infusion: Infusion, *, now: datetime) -> Any:
        holds_the_patient.set()
        # On SQLite, where one writes at a time, the reaction comes after this.
        reaction_is_there.wait(1)
        return plan_at_once(infusion, now=now)

    monkeypatch.setattr(infusions, "plan_checkins", plan_later)

    def second_day() -> Infusion:
        details = {"product": product, "started_at": timezone.now() - timedelta(hours=2), "dose_g": Decimal(35)}
        return recording.record_infusion(
            by=nurse,
            patient=patient,
            course=course,
            planned_days=2,
            details=details | {"day": 2},
            vials=[],
            premedications=[],
            acknowledged=recording.Acknowledgement("Known", "Dr Synthetic"),
            submission_id=uuid4(),
            now=timezone.now(),
        )

    def reaction() -> Reaction:
        holds_the_patient.wait(5)
        recorded = recording.record_reaction(
            by=nurse,
            infusion=first,
            details={},
            symptoms=[{"term": "chills", "grade": 2, "ctcae_version": "5.0"}],
            submission_id=uuid4(),
            now=timezone.now(),
        )
        reaction_is_there.set()
        return recorded

    assert [type(one).__name__ for one in at_once(second_day, reaction)] == ["Infusion", "Reaction"]


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


def test_two_nurses_who_suspect_anaphylaxis_at_once_open_one_reaction(infusion: Infusion, nurse: User) -> None:
    def tap() -> int:
        at = infusion.started_at
        record = recording.suspect_anaphylaxis(
            Infusion.objects.get(pk=infusion.pk), by=nurse, at=at, submission_id=uuid4(), now=timezone.now()
        )
        return int(record.pk)

    first, second = at_once(tap, tap)
    assert (first, Reaction.objects.count()) == (second, 1)


def test_of_two_taps_of_one_moment_one_counts(infusion: Infusion, nurse: User) -> None:
    record = suspect(infusion)

    def tap(minutes: int) -> None:
        mine = AnaphylaxisRecord.objects.get(pk=record.pk)
        at = infusion.started_at + timedelta(minutes=minutes)
        recording.stamp(mine, "adrenaline_1_at", by=nurse, at=at, now=timezone.now())

    results = at_once(lambda: tap(31), lambda: tap(32))
    assert [type(result).__name__ for result in results if result] == ["AlreadyStamped"]
    assert infusion.treatments.count() == 1


def test_a_tap_while_evidence_is_saved_is_not_lost(no_broker: None, infusion: Infusion, nurse: User) -> None:
    record = suspect(infusion)

    def save() -> None:
        recording.record_evidence(
            AnaphylaxisRecord.objects.get(pk=record.pk),
            by=nurse,
            evidence=Evidence(hives=True, dyspnoea=True),
            moments={},
            seen_version=1,
            now=timezone.now(),
        )

    def tap() -> None:
        mine = AnaphylaxisRecord.objects.get(pk=record.pk)
        recording.stamp(mine, "ems_called_at", by=nurse, at=timezone.now(), now=timezone.now())

    at_once(save, tap)
    record.refresh_from_db()
    assert record.criteria == ["C1", "W1"]
    assert record.ems_called_at


def test_of_two_taps_that_stop_an_infusion_one_counts(running: Infusion, nurse: User) -> None:
    record = suspect(running)

    def tap() -> None:
        mine = AnaphylaxisRecord.objects.get(pk=record.pk)
        recording.stamp(mine, "stopped_at", by=nurse, at=timezone.now(), now=timezone.now())

    results = at_once(tap, tap)
    assert [type(result).__name__ for result in results if result] == ["AlreadyStamped"]
    assert running.rate_steps.filter(reason="stop").count() == 1


def test_two_answers_at_once_are_both_kept(no_broker: None, infusion: Infusion, nurse: User) -> None:
    make_checkins(infusion)
    checkin = infusion.checkins.get(kind=CheckInKind.HOURS_24)

    def answer(symptom: str) -> int:
        given = {"has_problem": True, "details": {}, "symptoms": {symptom: "severe"}}
        return recording.submit_answer(CheckIn.objects.get(pk=checkin.pk), now=timezone.now(), **given).version

    assert sorted(at_once(lambda: answer("headache"), lambda: answer("rash"))) == [1, 2]
    # The second goes into the alert that the first raised, and nobody is told twice.
    assert set(checkin.answers.values_list("symptoms__symptom", flat=True)) == {"headache", "rash"}
    assert OutboxMessage.objects.filter(kind="alert").count() == Alert.objects.count() == 1
    why = Alert.objects.get().why.lower()
    assert "headache" in why
    assert "rash" in why


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


@pytest.fixture
def running(no_broker: None, patient: Patient, product: Product, nurse: User) -> Infusion:
    started_at = timezone.now() - timedelta(hours=1)
    infusion = make_infusion(patient, product=product, started_at=started_at, ended_at=None, is_chairside=True)
    infusion.rate_steps.create(at=started_at, rate_ml_per_h=42, reason="start", created_by=nurse)
    return infusion


def test_of_two_rates_set_at_once_one_is_refused_and_nothing_is_lost(running: Infusion, nurse: User) -> None:
    seen = running.rate_steps.get().pk

    def set_rate(rate: int) -> Any:
        return recording.record_step(
            running,
            by=nurse,
            at=timezone.now(),
            rate_ml_per_h=Decimal(rate),
            reason=RateReason.STEP_UP,
            seen_step=seen,
            submission_id=uuid4(),
            now=timezone.now(),
        )

    results = at_once(*(partial(set_rate, rate) for rate in (63, 84, 105, 126)))
    assert sorted(type(result).__name__ for result in results) == ["RateStep", *["StaleRecord"] * 3]
    assert running.rate_steps.count() == 2


def test_one_tap_that_arrives_four_times_is_one_row(running: Infusion, nurse: User) -> None:
    submission, at = uuid4(), timezone.now()
    acts = [
        partial(
            recording.record_vitals, running, by=nurse, at=at, values={"spo2_percent": 97}, submission_id=submission
        )
    ] * 4
    results = at_once(*acts)
    assert {result.pk for result in results} == {running.vitals.get().pk}


def test_two_sets_for_one_minute_leave_the_first_and_show_it_to_the_second(running: Infusion, nurse: User) -> None:
    at = timezone.now()
    acts = [
        partial(recording.record_vitals, running, by=nurse, at=at, values={"spo2_percent": spo2}, submission_id=uuid4())
        for spo2 in (97, 91)
    ]
    kept, refused = sorted(at_once(*acts), key=lambda result: isinstance(result, Exception))
    assert isinstance(refused, recording.AlreadyThere)
    assert refused.stored == kept
    assert running.vitals.get().spo2_percent == kept.spo2_percent


def test_a_vial_added_while_the_infusion_is_corrected_is_not_lost(running: Infusion, nurse: User) -> None:
    def correct() -> Any:
        return recording.correct_infusion(
            Infusion.objects.get(pk=running.pk),
            by=nurse,
            details={"dose_g": Decimal(40)},
            vials=[],
            premedications=[],
            reason="Order changed",
            seen_version=1,
            now=timezone.now(),
        )

    add = partial(recording.add_vial, running, by=nurse, vial={"lot": "SYN-7"}, submission_id=uuid4())
    corrected, added = at_once(correct, add)
    assert added.lot == "SYN-7"
    # Either the correction came first and the vial was added to it, or it was refused as stale.
    assert running.vitals.count() == 0
    assert running.vials.filter(lot="SYN-7").exists()
    assert isinstance(corrected, Infusion | StaleRecord)


def test_suspected_twice_at_once_is_one_reaction(running: Infusion, nurse: User) -> None:
    submission, at = uuid4(), timezone.now()
    acts = [
        partial(recording.suspect_anaphylaxis, running, by=nurse, at=at, submission_id=submission, now=at)
        for _ in range(3)
    ]
    results = at_once(*acts)
    assert len({result.pk for result in results}) == 1
    assert Reaction.objects.count() == 1


def _correct(reaction: Reaction, by: User) -> None:
    recording.correct_reaction(
        reaction,
        by=by,
        details={},
        symptoms=[{"term": "chills", "grade": 2, "ctcae_version": "5.0"}],
        reason="Graded",
        seen_version=reaction.version,
        now=timezone.now(),
    )


def _void(reaction: Reaction, by: User) -> None:
    recording.void_reaction(reaction, by=by, reason="Twice", seen_version=reaction.version, now=timezone.now())


def _open(reaction: Reaction, by: User) -> None:
    recording.open_anaphylaxis(reaction, by=by, now=timezone.now())


def _judge(reaction: Reaction, by: User) -> None:
    recording.record_evidence(
        AnaphylaxisRecord.objects.get(reaction=reaction),
        by=by,
        evidence=Evidence(hives=True),
        moments={},
        seen_version=1,
        now=timezone.now(),
    )


def _sign(reaction: Reaction, by: User) -> None:
    recording.sign_reaction(
        reaction,
        by=by,
        password=PASSWORD,
        meaning=SignatureMeaning.REVIEW,
        seen_version=reaction.version,
        now=timezone.now(),
    )


def _stamp(reaction: Reaction, by: User) -> None:
    now = timezone.now()
    recording.stamp(AnaphylaxisRecord.objects.get(reaction=reaction), "adrenaline_1_at", by=by, at=now, now=now)


@pytest.mark.parametrize("write", [_correct, _void, _open, _judge, _stamp, _sign])
def test_whoever_writes_about_a_reaction_takes_its_infusion_first(
    infusion: Infusion, nurse: User, write: Callable[[Reaction, User], None]
) -> None:
    """Two who took them in opposite order would wait for each other until the database ends one."""
    reaction = make_reaction(infusion) if write is _open else suspect(infusion).reaction
    mine = Reaction.objects.get(pk=reaction.pk)
    with CaptureQueriesContext(connection) as queries:
        write(mine, nurse)
    taken = [sql for sql in (query["sql"] for query in queries) if _takes_a_row(sql)]
    assert 'FROM "reactions_infusion"' in taken[0]


def _takes_a_row(sql: str) -> bool:
    if sql.startswith(("UPDATE", "INSERT", "DELETE")) or " FOR NO KEY UPDATE" in sql or " FOR UPDATE" in sql:
        return True
    # SQLite has one lock for all and no words for a row's: there it is known by being read alone.
    return connection.vendor == "sqlite" and 'FROM "reactions_infusion" WHERE "reactions_infusion"."id" =' in sql


@pytest.mark.parametrize("at", ["one patient", "one address"])
def test_years_tried_at_the_same_moment_are_counted_one_by_one(patient: Patient, clinic: Clinic, at: str) -> None:
    now, most = timezone.now(), WrongBirthYear.PER_PATIENT
    people = [patient]
    if at == "one address":
        most = 3
        people = [make_patient(clinic) for _ in range(12)]
        taken = WrongBirthYear.PER_ADDRESS - most
        other = make_patient(clinic)
        WrongBirthYear.objects.bulk_create(
            WrongBirthYear(patient=other, address_hash="a", at=now) for _ in range(taken)
        )

    def wrong(number: int) -> bool:
        address = "a" if at == "one address" else f"a{number}"
        return recording.try_birth_year(people[number % len(people)], 1900, address_hash=address, now=now)

    results = at_once(*(partial(wrong, number) for number in range(12)))
    assert results.count(False) == most
    assert [type(one).__name__ for one in results if one is not False] == ["TooManyBirthYears"] * (12 - most)


def test_a_right_year_among_wrong_ones_is_let_in_while_tries_are_left(patient: Patient) -> None:
    now, right = timezone.now(), (patient.birth_date or date.min).year
    years = [1900, 1901, right, 1902, 1903, right]
    acts = [partial(recording.try_birth_year, patient, year, address_hash="a", now=now) for year in years]
    assert at_once(*acts) == [False, False, True, False, False, True]
    assert WrongBirthYear.objects.count() == 4


@pytest.mark.parametrize("end", ["sent", "called off"])
def test_a_mail_ends_while_somebody_holds_its_check_in_and_neither_waits_for_ever(infusion: Infusion, end: str) -> None:
    make_checkins(infusion)
    due.queue_what_is_due(timezone.now())
    (message,) = outbox.claim(5)
    is_held, failures = threading.Event(), []

    def come_back() -> None:
        """As record_bounce does: the check-in first, then its mail."""
        with transaction.atomic():
            CheckIn.objects.select_for_update(no_key=True).get(pk=message.checkin_id)
            is_held.set()
            # Until the other waits.
            time.sleep(0.3)
            OutboxMessage.objects.filter(pk=message.pk).update(in_doubt=True)

    def finish() -> None:
        is_held.wait(5)
        if end == "sent":
            done = marks.Marks(sent=message, insist_until=time.monotonic() + 10)
            done.begin()
            assert done.wait()[0]
            failures.append(done._failure)
        else:
            outcomes.finish(message, MailState.CANCELLED, error="Not wanted.")

    assert at_once(come_back, finish) == [None, None]
    assert not any(failures)
    message.refresh_from_db()
    assert message.state == (MailState.SENT if end == "sent" else MailState.CANCELLED)


def test_a_check_in_is_missed_while_somebody_moves_it_and_neither_waits_for_ever(infusion: Infusion) -> None:
    make_checkins(infusion)
    now = timezone.now()
    due.queue_what_is_due(now)
    CheckIn.objects.filter(kind=CheckInKind.HOURS_72).update(due_at=now)
    first = CheckIn.objects.get(kind=CheckInKind.HOURS_24)
    is_held = threading.Event()

    def move() -> None:
        """As planning does: the check-in first, then its mail."""
        with transaction.atomic():
            CheckIn.objects.select_for_update(no_key=True).get(pk=first.pk)
            is_held.set()
            time.sleep(0.3)
            OutboxMessage.objects.filter(checkin=first).update(in_doubt=True)

    def miss() -> int:
        is_held.wait(5)
        return due.queue_what_is_due(timezone.now())

    assert at_once(move, miss) == [None, 1]
    first.refresh_from_db()
    assert first.state == "missed"


def test_a_patient_whom_somebody_holds_keeps_nobody_else_from_being_asked(clinic: Clinic) -> None:
    ended_at = timezone.now() - timedelta(hours=25)
    busy, other = (make_infusion(make_patient(clinic), ended_at=ended_at) for _ in range(2))
    for infusion in (busy, other):
        make_checkins(infusion)
    is_held, is_done = threading.Event(), threading.Event()
    # SQLite has one writer: who holds one row holds all, and everybody waits for the end of it.
    holds_one_row = connection.vendor == "postgresql"

    def hold() -> bool:
        with transaction.atomic():
            Patient.objects.select_for_update(no_key=True).get(pk=busy.patient_id)
            is_held.set()
            return is_done.wait(5 if holds_one_row else 0.3)

    def queue() -> int:
        is_held.wait(5)
        queued = due.queue_what_is_due(timezone.now())
        is_done.set()
        return queued

    assert at_once(hold, queue) == ([True, 1] if holds_one_row else [False, 2])
    due.queue_what_is_due(timezone.now())
    assert {mail.checkin.infusion for mail in OutboxMessage.objects.all()} == {busy, other}


@pytest.mark.parametrize("act", ["answer", "screen", "reaction", "response", "risk", "iga"])
def test_nothing_is_written_about_somebody_who_is_being_erased(
    no_broker: None,
    infusion: Infusion,
    nurse: User,
    administrator: User,
    monkeypatch: pytest.MonkeyPatch,
    act: str,
) -> None:
    """Whoever comes while it is under way waits, and then finds the record closed."""
    patient, now, words = infusion.patient, timezone.now(), "Zeisig told"
    make_checkins(infusion)
    checkin = infusion.checkins.earliest("due_at")
    measured = make_response(patient)
    is_under_way, has_come = threading.Event(), threading.Event()
    erase_person = erasing._erase_person

    def erase_slowly(*args: Any, **kwargs: Any) -> None:
        is_under_way.set()
        # On SQLite, where one writes at a time, the other comes after this.
        has_come.wait(0.5)
        time.sleep(0.3)
        erase_person(*args, **kwargs)

    monkeypatch.setattr(erasing, "_erase_person", erase_slowly)
    chills = [{"term": "chills", "grade": 2, "ctcae_version": "5.0"}]
    acts: dict[str, Callable[[], Any]] = {
        "answer": lambda: recording.submit_answer(
            checkin, has_problem=True, details={"comment": words}, symptoms={"headache": "mild"}, now=now
        ),
        "screen": lambda: recording.save_step(checkin, said={"end": {"comment": [words]}}, now=now),
        "reaction": lambda: recording.record_reaction(
            by=nurse, infusion=infusion, details={"narrative": words}, symptoms=chills, submission_id=uuid4(), now=now
        ),
        "response": lambda: recording.correct_response(
            measured, by=nurse, measures={"mmt8": 140}, reason=words, seen_version=1
        ),
        "risk": lambda: recording.set_risks(patient, by=nurse, factors={"diabetes": words}, now=now),
        "iga": lambda: registering.record_iga(patient, by=nurse, result={"value": 80, "measured_on": now.date()}),
    }

    def come() -> Any:
        is_under_way.wait(5)
        has_come.set()
        return acts[act]()

    def erase() -> None:
        erasing.erase_patient(patient, by=administrator, reason="Asked for.", seen_version=patient.version, now=now)

    erased, came = at_once(erase, come)
    assert erased is None
    assert type(came).__name__ in {"RecordVoided", "CheckInClosed"}, came
    for rows in rows_about(patient):
        names = [field.attname for field in rows.model._meta.concrete_fields]
        assert not [row for row in rows if any("Zeisig" in f"{getattr(row, name)}" for name in names)]
