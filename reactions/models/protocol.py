"""What a clinic has decided for the chairside: when vital signs are due, and what its own anaphylaxis protocol says."""

import re

from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models

from patients.models import Clinic
from reactions.clinical.vitals_schedule import Schedule


def validate_minutes(text: str) -> None:
    if text and not re.fullmatch(r"\d{1,4}( *, *\d{1,4})*", text):
        raise ValidationError("Write minutes separated by commas, such as 30, 60.")


class ClinicProtocol(models.Model):
    """Intervals are those seen in published nursing schedules; each clinic sets its own."""

    clinic = models.OneToOneField(Clinic, models.CASCADE, related_name="protocol")
    vitals_before_min = models.PositiveSmallIntegerField(
        "before the start, within (min)", default=60, validators=[MinValueValidator(1), MaxValueValidator(1440)]
    )
    vitals_first_min = models.PositiveSmallIntegerField(
        "first after the start (min)", default=15, validators=[MinValueValidator(1), MaxValueValidator(240)]
    )
    vitals_rate_change_min = models.PositiveSmallIntegerField(
        "after each change of the rate (min)",
        default=15,
        validators=[MinValueValidator(1), MaxValueValidator(240)],
    )
    vitals_every_min = models.PositiveSmallIntegerField(
        "then every (min)", default=60, validators=[MinValueValidator(5), MaxValueValidator(720)]
    )
    vitals_after_end_min = models.CharField(
        "after the end (min)", max_length=40, blank=True, default="0, 30, 60", validators=[validate_minutes]
    )
    anaphylaxis_text = models.TextField(
        "the clinic's own anaphylaxis protocol",
        blank=True,
        max_length=10_000,
        help_text="Shown word for word at the chairside. IVIGTrack brings no text of its own.",
    )

    def __str__(self) -> str:
        return f"Protocol of {self.clinic}"

    @classmethod
    def of(cls, clinic: Clinic) -> "ClinicProtocol":
        """The clinic's protocol; one with the usual intervals where nothing was decided."""
        return cls.objects.filter(clinic=clinic).first() or cls(clinic=clinic)

    def schedule(self) -> Schedule:
        """When vital signs are due, for clinical.vitals_schedule."""
        after_end = [minutes for minutes in self.vitals_after_end_min.split(",") if minutes.strip()]
        return Schedule(
            baseline_within_minutes=self.vitals_before_min,
            first_after_minutes=self.vitals_first_min,
            rate_change_within_minutes=self.vitals_rate_change_min,
            every_minutes=self.vitals_every_min,
            after_end_minutes=tuple(int(minutes) for minutes in after_end),
        )
