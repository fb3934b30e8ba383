"""A course: one prescribed dose, given over one to five days."""

from datetime import date
from typing import Self

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Count, Q

from patients.models import Patient, User, of_visible_patients


class CourseQuerySet(models.QuerySet):
    def visible_to(self, user: User) -> Self:
        """Courses of patients in the clinics in which the user works."""
        return self.filter(of_visible_patients(user, "patient"))

    def booked(self, since: date) -> Self:
        """Courses planned for the day or later of which no infusion has been given."""
        given = Count("infusions", filter=Q(infusions__voided_at=None))
        return self.alias(given=given).filter(given=0, planned_for__gte=since).order_by("planned_for")


class Course(models.Model):
    """One prescribed dose, given over one to five days."""

    patient = models.ForeignKey(Patient, models.PROTECT, related_name="courses")
    label = models.CharField(max_length=60, help_text="The clinic's name for it, such as 3 or 2026-04.")
    planned_days = models.PositiveSmallIntegerField(
        default=1, validators=[MinValueValidator(1), MaxValueValidator(5)], help_text="1 to 5 days."
    )
    planned_g = models.DecimalField(
        "planned dose (g)", max_digits=6, decimal_places=2, null=True, blank=True, help_text="All days together."
    )
    planned_for = models.DateField("booked for", null=True, blank=True, help_text="First day, while none was given.")

    class Meta:
        ordering = ["-pk"]
        constraints = [
            models.UniqueConstraint(fields=["patient", "label"], name="reactions_course_label_once"),
            models.CheckConstraint(
                name="reactions_course_days_1_to_5", condition=Q(planned_days__gte=1, planned_days__lte=5)
            ),
            models.CheckConstraint(
                name="reactions_course_planned_dose_positive", condition=Q(planned_g=None) | Q(planned_g__gt=0)
            ),
        ]
        indexes = [
            models.Index(fields=["planned_for"], condition=Q(planned_for__isnull=False), name="reactions_course_booked")
        ]

    objects = CourseQuerySet.as_manager()

    def __str__(self) -> str:
        return f"Course {self.label}"

    @property
    def plan(self) -> str:
        """What is planned, such as “2 days, 140 g”."""
        days = f"{self.planned_days} {'day' if self.planned_days == 1 else 'days'}"
        return days if self.planned_g is None else f"{days}, {self.planned_g.normalize():f} g"
