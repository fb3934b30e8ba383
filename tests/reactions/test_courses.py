"""Booking the next course, and taking a booking off."""

from datetime import date, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from patients.models import AuditEvent, Patient, User
from reactions import recording
from reactions.models import Course, Infusion
from tests.support.factories import make_booking, make_infusion

pytestmark = pytest.mark.django_db


@pytest.fixture
def book(patient: Patient) -> str:
    return reverse("reactions:book_course", args=[patient.pk])


def in_days(days: int) -> str:
    """A day counted from today on the clinic's clocks."""
    return str(timezone.localdate(timezone=ZoneInfo("America/New_York")) + timedelta(days=days))


def booking(**changes: Any) -> dict[str, Any]:
    return {"planned_for": in_days(7), "planned_days": "2", "planned_g": "140", "seen_plan": ""} | changes


def shown(page: Client, patient: Patient) -> str:
    return page.get(reverse("reactions:patient", args=[patient.pk])).content.decode()


def test_a_course_is_booked_and_the_patients_page_says_when(page: Client, book: str, patient: Patient) -> None:
    assert page.post(book, booking()).url == reverse("reactions:patient", args=[patient.pk])
    course = Course.objects.get()
    assert (str(course.planned_for), course.planned_days, course.planned_g) == (in_days(7), 2, 140)
    assert f"Next course: {in_days(7)}</strong>, 2 days, 140 g" in shown(page, patient)
    assert AuditEvent.objects.get(act="course.booked").changes["planned_g"] == [None, "140"]


def test_the_plan_of_the_last_course_is_offered_and_no_date(page: Client, book: str, patient: Patient) -> None:
    make_booking(patient, planned_days=5, planned_g=70)
    form = page.get(book).context["form"]
    assert (form["planned_days"].value(), form["planned_g"].value(), form["planned_for"].value()) == (5, "70", None)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"planned_for": ""}, "Write the first day"),
        ({"planned_for": in_days(-1)}, "This day is over"),
        ({"planned_for": "2999-01-01"}, "more than two years ahead"),
        ({"planned_for": "soon"}, "Enter a valid date"),
        ({"planned_days": ""}, "Write the days in the course"),
        ({"planned_days": "6"}, "Write at most 5"),
        ({"planned_days": "0"}, "Write at least 1"),
        ({"planned_g": "0"}, "more than 0 g"),
        ({"planned_g": "2500"}, "above 1000 g is not possible"),
        ({"planned_g": "1,400"}, "without a comma"),
        ({"planned_g": "1e999"}, "no more than"),
        ({"planned_g": "NaN"}, "Write a number"),
    ],
)
def test_what_is_impossible_is_refused_beside_its_field(
    page: Client, book: str, change: dict[str, str], said: str
) -> None:
    answer = page.post(book, booking(**change))
    assert answer.status_code == 200
    assert said in answer.content.decode()
    assert not Course.objects.exists()


def test_a_course_for_today_is_booked(page: Client, book: str) -> None:
    assert page.post(book, booking(planned_for=in_days(0))).status_code == 302


def test_no_course_is_booked_for_somebody_who_died(page: Client, book: str, patient: Patient) -> None:
    Patient.objects.filter(pk=patient.pk).update(died_on=timezone.localdate())
    assert "having died" in page.post(book, booking()).content.decode()
    assert not Course.objects.exists()


@pytest.mark.parametrize(("days", "close"), [(7, True), (1, True), (-7, True), (8, False), (-8, False)])
def test_another_booking_within_a_week_is_saved_and_said(
    page: Client, book: str, patient: Patient, days: int, close: bool
) -> None:
    make_booking(patient, in_days=20)
    text = page.post(book, booking(planned_for=in_days(20 + days)), follow=True).content.decode()
    assert (f"please check: another course is booked for {in_days(20)}" in text) is close
    assert Course.objects.count() == 2


def test_a_form_sent_twice_is_one_booking(page: Client, book: str) -> None:
    assert [page.post(book, booking()).status_code for _ in range(2)] == [302, 302]
    assert Course.objects.count() == 1
    assert AuditEvent.objects.filter(act="course.booked").count() == 1


def test_a_booking_of_the_same_day_is_not_overwritten_unseen(page: Client, book: str, patient: Patient) -> None:
    make_booking(patient, in_days=7)
    refused = page.post(book, booking(planned_days="5", planned_g="70"))
    text = refused.content.decode()
    assert refused.status_code == 409
    assert [(d.stored, d.typed) for d in refused.context["differences"]] == [("2", "5"), ("140", "70")]
    assert 'value="70"' in text
    assert Course.objects.get().planned_g == 140
    seen = refused.context["form"]["seen_plan"].value()
    assert page.post(book, booking(planned_days="5", planned_g="70", seen_plan=seen)).status_code == 302
    assert (Course.objects.get().plan, Course.objects.count()) == ("5 days, 70 g", 1)
    changes = AuditEvent.objects.get(act="course.booked").changes
    assert changes == {"planned_days": [2, 5], "planned_g": ["140", "70"]}


def test_a_booking_is_taken_off_with_a_reason(page: Client, patient: Patient) -> None:
    course = make_booking(patient)
    address = reverse("reactions:unbook_course", args=[course.pk])
    assert "Why is it taken off" in page.get(address).content.decode()
    assert "Write an answer" in page.post(address, {}).content.decode()
    assert Course.objects.get().planned_for
    page.post(address, {"reason": "On holiday"})
    assert Course.objects.get().planned_for is None
    event = AuditEvent.objects.get(act="course.unbooked")
    assert (event.reason, event.changes) == ("On holiday", {"planned_for": [in_days(7), None]})
    assert "Next course" not in shown(page, patient)
    assert page.get(address).status_code == 404


def test_a_course_that_was_given_is_no_booking_any_more(page: Client, infusion: Infusion, nurse: User) -> None:
    course = make_booking(infusion.patient)
    Infusion.objects.update(course=course)
    assert page.get(reverse("reactions:unbook_course", args=[course.pk])).status_code == 404
    with pytest.raises(recording.NotBooked):
        recording.unbook_course(course, by=nurse, reason="Too late")
    assert "Next course" not in shown(page, infusion.patient)


def test_a_course_booked_and_not_given_is_not_forgotten(page: Client, patient: Patient) -> None:
    make_booking(patient, in_days=-3)
    make_booking(patient, in_days=25)
    make_booking(patient, in_days=60, planned_days=1, planned_g=None)
    text = shown(page, patient)
    assert f"Booked for {in_days(-3)} and not given yet" in text
    assert f"Next course: {in_days(25)}" in text
    assert f"Then: {in_days(60)}, 1 day" in text


def test_a_void_infusion_leaves_its_course_booked(page: Client, patient: Patient, nurse: User) -> None:
    course = make_booking(patient, in_days=0)
    make_infusion(patient, course=course, voided_at=timezone.now(), voided_by=nurse, void_reason="Test")
    assert "Next course" in shown(page, patient)


def test_bookings_are_found_from_the_day_on(patient: Patient) -> None:
    course = make_booking(patient, in_days=3)
    assert list(Course.objects.booked(date.min)) == [course]
    assert list(Course.objects.booked(course.planned_for)) == [course]
    assert not Course.objects.booked(course.planned_for + timedelta(days=1)).exists()


def proposed(page: Client, patient: Patient) -> Course | None:
    course: Course | None = (
        page.get(reverse("reactions:start_infusion", args=[patient.pk])).context["entry"].form["course"].initial
    )
    return course


@pytest.mark.parametrize(("days", "is_proposed"), [(-8, False), (-7, True), (0, True), (7, True), (8, False)])
def test_a_course_booked_for_about_now_is_the_one_to_begin(
    page: Client, patient: Patient, days: int, is_proposed: bool
) -> None:
    course = make_booking(patient, in_days=days)
    assert proposed(page, patient) == (course if is_proposed else None)
    text = page.get(reverse("reactions:start_infusion", args=[patient.pk])).content.decode()
    assert f"Course {course.label}, booked for {in_days(days)}, 2 days, 140 g" in text


def test_a_booked_course_is_offered_however_many_came_after_it(page: Client, patient: Patient) -> None:
    course = make_booking(patient, in_days=2)
    for days in range(10):
        make_infusion(patient, ended_at=timezone.now() - timedelta(days=30 + days))
    assert proposed(page, patient) == course
    assert (
        f"booked for {in_days(2)}" in page.get(reverse("reactions:start_infusion", args=[patient.pk])).content.decode()
    )


def test_a_course_that_has_begun_goes_on_unless_its_next_day_was_left_out_long_ago(
    page: Client, patient: Patient
) -> None:
    booked = make_booking(patient, in_days=2)
    begun = Course.objects.create(patient=patient, label="begun", planned_days=2, planned_for=in_days(-1))
    infusion = make_infusion(patient, course=begun)
    assert proposed(page, patient) == begun
    Infusion.objects.filter(pk=infusion.pk).update(
        started_at=timezone.now() - timedelta(days=20), ended_at=timezone.now() - timedelta(days=19)
    )
    assert proposed(page, patient) == booked
    Course.objects.filter(pk=booked.pk).update(planned_for=None)
    assert proposed(page, patient) is None
    assert (
        "Course begun, booked" not in page.get(reverse("reactions:start_infusion", args=[patient.pk])).content.decode()
    )


def test_of_two_bookings_the_one_closest_to_today_is_the_one_to_begin(page: Client, patient: Patient) -> None:
    make_booking(patient, in_days=-6)
    today = make_booking(patient, in_days=0)
    make_booking(patient, in_days=5)
    assert proposed(page, patient) == today


def test_a_course_that_goes_on_shows_its_own_plan_and_not_that_of_the_next_booking(
    page: Client, patient: Patient
) -> None:
    make_booking(patient, in_days=5, planned_days=1)
    begun = Course.objects.create(patient=patient, label="begun", planned_days=3, planned_g=100)
    make_infusion(patient, course=begun, ended_at=timezone.now() - timedelta(days=1))
    assert proposed(page, patient) == begun
    form = page.get(reverse("reactions:start_infusion", args=[patient.pk])).context["entry"].form
    assert (form.initial["day"], form.initial["planned_days"], form.initial["planned_g"]) == (2, 3, 100)
