"""Which mails the default plan sends over a course of five days, whatever happens meanwhile: as a nurse would expect.

Each line of a table is a mail: the hours after the end of the last day, its kind, the check-in, the address. The real
tick runs every day at the hour of the end, and whenever something happens; where nobody says otherwise nobody answers.
The clocks of Python and of the database are moved together.
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.core import mail
from django.db import connection
from django.utils import timezone

from patients.models import Clinic, Patient, User
from reactions import recording
from reactions.checkins import due
from reactions.checkins.plan import plan_checkins
from reactions.models import CheckIn, CheckInPlan, Infusion, OutboxMessage
from tests.support.factories import make_infusion, make_patient

pytestmark = pytest.mark.django_db
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
# 14:00 in New York, where the clinic is: the end of each of the five days. The clocks do not change in these weeks.
FIRST_END = datetime(2026, 5, 4, 18, tzinfo=UTC)
LAST_END = FIRST_END + 4 * DAY
OLD, NEW = "tessa@patients.example", "tessa.new@patients.example"
# When the last window is over.
UNTIL = 43 * 24

Mail = tuple[int, str, str, str]
WHOLE: list[Mail] = [
    (24, "invitation", "hours_24", OLD),
    (48, "reminder", "hours_24", OLD),
    (72, "invitation", "hours_72", OLD),
    (96, "reminder", "hours_72", OLD),
    (8 * 24, "invitation", "days_8", OLD),
    (9 * 24, "reminder", "days_8", OLD),
    (28 * 24, "invitation", "days_28", OLD),
    (29 * 24, "reminder", "days_28", OLD),
]


class MovedClock:
    """The clock of Python, and PostgreSQL's: a function of the same name that is found before its own."""

    def __init__(self, time_machine: Any) -> None:
        self._python = time_machine
        if connection.vendor == "postgresql":
            self._let_postgresql("""
                CREATE SCHEMA moved;
                CREATE FUNCTION moved.clock_timestamp() RETURNS timestamptz LANGUAGE sql AS
                $$ SELECT current_setting('moved.now')::timestamptz $$;
                SET LOCAL search_path = moved, public, pg_catalog;
            """)

    def move_to(self, moment: datetime) -> None:
        self._python.move_to(moment, tick=False)
        if connection.vendor == "postgresql":
            self._let_postgresql(f"SET LOCAL moved.now = '{moment.isoformat()}'")

    def _let_postgresql(self, do: str) -> None:
        with connection.cursor() as cursor:
            cursor.execute(do)


@pytest.fixture(autouse=True)
def moved_clock(time_machine: Any) -> MovedClock:
    clock = MovedClock(time_machine)
    clock.move_to(FIRST_END)
    return clock


@pytest.fixture
def tessa(clinic: Clinic) -> Patient:
    return make_patient(clinic, email=OLD, language="en")


def five_days(patient: Patient, clock: MovedClock) -> Infusion:
    """A course of five days, each recorded at its end and ticked in between. Returns the last day."""
    course = None
    for day in range(5):
        clock.move_to(FIRST_END + day * DAY)
        infusion = make_infusion(
            patient, ended_at=FIRST_END + day * DAY, day=day + 1, **({"course": course} if course else {})
        )
        course = infusion.course
        plan_checkins(infusion, now=timezone.now())
        due.tick()
    return infusion


def run(clock: MovedClock, what_happens: dict[int, Callable[[], None]], *, down: range = range(0)) -> list[Mail]:
    """Tick each day at the hour of the end, and at these hours after letting something happen. Returns the mails."""
    sent: list[Mail] = []
    # A row that is sent once more, to another address, is a mail of its own.
    known: set[tuple[int, datetime | None]] = set()
    assert not OutboxMessage.objects.filter(state="sent").exists(), "A mail left before the course was over."
    for hour in range(UNTIL):
        clock.move_to(LAST_END + hour * HOUR)
        if hour in what_happens:
            what_happens[hour]()
        if hour in down or (hour % 24 and hour not in what_happens):
            continue
        before = len(mail.outbox)
        due.tick()
        sent_by_now = OutboxMessage.objects.filter(state="sent", checkin__isnull=False).select_related("checkin")
        rows = [row for row in sent_by_now.order_by("sent_at", "pk") if (row.pk, row.sent_at) not in known]
        for row, letter in zip(rows, mail.outbox[before:], strict=True):
            known.add((row.pk, row.sent_at))
            assert row.checkin
            sent.append((hour, row.kind.removeprefix("checkin_"), row.checkin.kind, letter.to[0]))
    assert not OutboxMessage.objects.filter(state__in=["queued", "sending"]).exists()
    return sent


def changed(patient: Patient, **fields: Any) -> Callable[[], None]:
    return lambda: Patient.objects.filter(pk=patient.pk).update(**fields) and None


def test_a_course_of_five_days(tessa: Patient, moved_clock: MovedClock) -> None:
    last = five_days(tessa, moved_clock)
    assert run(moved_clock, {}) == WHOLE
    assert set(CheckIn.objects.values_list("infusion", "state")) == {(last.pk, "expired")}


def test_who_answers_is_not_reminded(tessa: Patient, moved_clock: MovedClock) -> None:
    five_days(tessa, moved_clock)

    def answer() -> None:
        checkin = CheckIn.objects.get(state="sent")
        recording.submit_answer(checkin, has_problem=False, details={}, symptoms={}, now=timezone.now())

    invitations = [line for line in WHOLE if line[1] == "invitation"]
    assert run(moved_clock, {hour + 2: answer for hour, *_ in invitations}) == invitations


def test_a_course_that_was_voided(tessa: Patient, nurse: User, moved_clock: MovedClock) -> None:
    five_days(tessa, moved_clock)

    def void() -> None:
        for infusion in Infusion.objects.all():
            recording.void_infusion(infusion, by=nurse, reason="Wrong patient", seen_version=1, now=timezone.now())

    assert run(moved_clock, {30: void}) == WHOLE[:1]


def test_a_patient_who_dies(tessa: Patient, moved_clock: MovedClock) -> None:
    five_days(tessa, moved_clock)
    died = changed(tessa, died_on=(LAST_END + 3 * DAY).date())
    assert run(moved_clock, {80: died}) == WHOLE[:3]


def test_a_patient_who_unsubscribes(tessa: Patient, moved_clock: MovedClock) -> None:
    five_days(tessa, moved_clock)

    def stop() -> None:
        recording.withdraw_email(CheckIn.objects.get(kind="hours_72"), now=timezone.now())

    assert run(moved_clock, {80: stop}) == WHOLE[:3]


def test_a_patient_whose_address_changes_midway(tessa: Patient, moved_clock: MovedClock) -> None:
    five_days(tessa, moved_clock)
    # What is open goes to the new address at once, and its reminder a day after that; the rest goes on there.
    assert run(moved_clock, {80: changed(tessa, email=NEW)}) == [
        *WHOLE[:3],
        (80, "invitation", "hours_72", NEW),
        (120, "reminder", "hours_72", NEW),
        *at_the_new_address(WHOLE[4:]),
    ]


def at_the_new_address(mails: list[Mail]) -> list[Mail]:
    return [(*line[:3], NEW) for line in mails]


@pytest.mark.parametrize(
    ("what_happens", "mails"),
    [
        # After the reminder: the whole check-in begins anew, reminder and all.
        (
            {100: NEW},
            [
                *WHOLE[:4],
                (100, "invitation", "hours_72", NEW),
                (144, "reminder", "hours_72", NEW),
                *at_the_new_address(WHOLE[4:]),
            ],
        ),
        # Removed, and given anew while the check-in is open: nothing leaves in between.
        (
            {80: "", 130: NEW},
            [
                *WHOLE[:3],
                (130, "invitation", "hours_72", NEW),
                (168, "reminder", "hours_72", NEW),
                *at_the_new_address(WHOLE[4:]),
            ],
        ),
        # There and back before a mail left: nothing happened.
        ({81: OLD.upper(), 82: OLD}, WHOLE),
        # There and back with a mail in between: each address gets the check-in once after it became the address.
        (
            {80: NEW, 81: OLD},
            [
                *WHOLE[:3],
                (80, "invitation", "hours_72", NEW),
                (81, "invitation", "hours_72", OLD),
                (120, "reminder", "hours_72", OLD),
                *WHOLE[4:],
            ],
        ),
        # Between two check-ins' windows nothing is open, and nothing is sent again.
        ({16 * 24: NEW}, [*WHOLE[:6], *at_the_new_address(WHOLE[6:])]),
    ],
)
def test_addresses_that_change_midway(
    tessa: Patient, moved_clock: MovedClock, what_happens: dict[int, str], mails: list[Mail]
) -> None:
    five_days(tessa, moved_clock)
    acts = {hour: changed(tessa, email=address) for hour, address in what_happens.items()}
    assert run(moved_clock, acts) == mails


def test_who_has_answered_is_not_asked_again_at_a_new_address(tessa: Patient, moved_clock: MovedClock) -> None:
    five_days(tessa, moved_clock)

    def answer() -> None:
        checkin = CheckIn.objects.get(state="sent")
        recording.submit_answer(checkin, has_problem=False, details={}, symptoms={}, now=timezone.now())

    expected = [*WHOLE[:3], *at_the_new_address(WHOLE[4:])]
    assert run(moved_clock, {75: answer, 80: changed(tessa, email=NEW)}) == expected


def test_a_patient_whose_language_changes_midway(tessa: Patient, moved_clock: MovedClock) -> None:
    five_days(tessa, moved_clock)
    assert run(moved_clock, {80: changed(tessa, language="es")}) == WHOLE
    greetings = [str(letter.body).strip()[:4] for letter in mail.outbox]
    assert greetings == ["Hell"] * 3 + ["Hola"] * 5


def test_a_patient_who_moves_to_another_zone(tessa: Patient, moved_clock: MovedClock) -> None:
    CheckInPlan.objects.create(clinic=tessa.clinic)
    five_days(tessa, moved_clock)
    # 14:00 in New York is 03:00 in Tokyo; the mails wait for 08:00 there, five hours later. So does the reminder.
    moved = run_with_mornings(moved_clock, {80: changed(tessa, time_zone="Asia/Tokyo")})
    assert moved[:3] == WHOLE[:3]
    assert [line[1:3] for line in moved] == [line[1:3] for line in WHOLE]
    assert [line[0] for line in moved[3:]] == [96 + 5, 8 * 24 + 5, 9 * 24 + 5, 28 * 24 + 5, 29 * 24 + 5]


def run_with_mornings(clock: MovedClock, what_happens: dict[int, Callable[[], None]]) -> list[Mail]:
    """As `run`, with the ticks at 08:00 in Tokyo."""
    mornings = {day * 24 + 5: (lambda: None) for day in range(UNTIL // 24)}
    return run(clock, mornings | what_happens)


@pytest.mark.parametrize(
    ("down", "mails"),
    [
        # From before the first check-in until the day after the third was due: that one alone, and its reminder.
        (
            range(20, 20 + 9 * 24),
            [
                (20 + 9 * 24, "invitation", "days_8", OLD),
                (20 + 10 * 24, "reminder", "days_8", OLD),
                *WHOLE[6:],
            ],
        ),
        # From after the first: no reminder of that, its window is over.
        (
            range(25, 25 + 9 * 24),
            [
                WHOLE[0],
                (25 + 9 * 24, "invitation", "days_8", OLD),
                (25 + 10 * 24, "reminder", "days_8", OLD),
                *WHOLE[6:],
            ],
        ),
    ],
)
def test_a_clinic_that_was_down_for_nine_days(
    tessa: Patient, moved_clock: MovedClock, down: range, mails: list[Mail]
) -> None:
    five_days(tessa, moved_clock)
    back = {down.stop: lambda: None, down.stop + 24: lambda: None}
    assert run(moved_clock, back, down=down) == mails
