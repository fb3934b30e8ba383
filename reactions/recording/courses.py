"""The verbs around a course: book the next one, take it off the bookings."""

from datetime import date
from decimal import Decimal

from django.db import transaction
from django.utils import timezone

from patients.models import Patient, User, difference, snapshot, write_event
from patients.registering import hold_patient
from reactions.checkins.plan import plan_for_booking
from reactions.models import Course


class AlreadyBooked(ValueError):
    """Somebody else has booked a course for that day; `stored` is theirs."""

    def __init__(self, stored: Course) -> None:
        super().__init__(stored.plan)
        self.stored = stored


class NotBooked(ValueError):
    """The course was given, or taken off the bookings, in the meantime."""


@transaction.atomic
def book_course(
    *, by: User, patient: Patient, planned_for: date, planned_days: int, planned_g: Decimal | None, seen_plan: str = ""
) -> Course:
    """Book the patient's next course. A day has one booking: booking it again changes what is planned.

    `seen_plan` is Course.plan of the day's booking as the person saw it: when another one stands there, AlreadyBooked
    is raised and nothing is written. The same booking again is the one that stands there.
    """
    hold_patient(patient)
    wanted = Course(patient=patient, planned_for=planned_for, planned_days=planned_days, planned_g=planned_g)
    stored = patient.courses.booked(planned_for).filter(planned_for=planned_for).first()
    if stored and stored.plan == wanted.plan:
        return stored
    if stored and stored.plan != seen_plan:
        raise AlreadyBooked(stored)
    before = snapshot(stored) if stored else {}
    wanted.pk, wanted.label = (stored.pk, stored.label) if stored else (None, next_course_label(patient))
    wanted.save()
    plan_for_booking(patient, now=timezone.now())
    changes = difference(before, snapshot(wanted))
    write_event("course.booked", by=by, about=wanted, clinic=patient.clinic, patient_id=patient.pk, changes=changes)
    return wanted


@transaction.atomic
def unbook_course(course: Course, *, by: User, reason: str) -> None:
    """Take a course off the bookings. Raises NotBooked when it was given or taken off in the meantime."""
    patient = hold_patient(course.patient)
    booked = patient.courses.booked(date.min).filter(pk=course.pk).first()
    if booked is None:
        raise NotBooked
    before = snapshot(booked)
    booked.planned_for = None
    booked.save(update_fields=["planned_for"])
    plan_for_booking(patient, now=timezone.now())
    write_event(
        "course.unbooked",
        by=by,
        about=booked,
        clinic=patient.clinic,
        patient_id=patient.pk,
        changes=difference(before, snapshot(booked)),
        reason=reason,
    )


def next_course_label(patient: Patient) -> str:
    """The number after the highest numbered course of the patient."""
    numbers = [int(label) for label in patient.courses.values_list("label", flat=True) if label.isdecimal()]
    return str(max(numbers, default=0) + 1)
