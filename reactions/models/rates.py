"""Rates kept ready: sums over patients that were worked out before anybody asks, and whose are out of date.

Nothing here is a record. All of it follows from the records, is written by reactions/rates/keeping.py alone, and could
be deleted at any time. So nothing is checked against other tables: a row of somebody who is gone harms nobody.
"""

from django.db import models
from django.db.models import Q

from patients.models import Clinic, Patient
from reactions.models.course import Course


class RatesKept(models.Model):
    """The one row that says by which rules the sums were made; without it, or with other rules, none is used."""

    id = models.PositiveSmallIntegerField(primary_key=True, default=1, editable=False)
    fingerprint = models.CharField(max_length=64, blank=True, help_text="Of the rules; empty while tables change.")

    class Meta:
        constraints = [models.CheckConstraint(name="reactions_rateskept_only_one", condition=Q(id=1))]

    def __str__(self) -> str:
        return self.fingerprint


class RateSums(models.Model):
    """What one patient adds to the sums of the clinic; without a patient, the sums themselves."""

    clinic = models.ForeignKey(Clinic, models.DO_NOTHING, related_name="+", db_constraint=False)
    patient = models.ForeignKey(Patient, models.DO_NOTHING, related_name="+", db_constraint=False, null=True)
    figures = models.TextField(default="[]", help_text="As reactions/rates/sums.py packs them.")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["patient"], name="reactions_ratesums_once"),
            models.UniqueConstraint(
                fields=["clinic"], condition=Q(patient=None), name="reactions_ratesums_clinic_once"
            ),
        ]

    def __str__(self) -> str:
        return f"Sums of clinic {self.clinic_id}, patient {self.patient_id}"


class RateFacts(models.Model):
    """What is known of an infusion that counts, as the plain question asks it, for questions with limits.

    All keys are text, and what is true or false is 1 or 0, so that one statement adds up any of them.
    """

    clinic = models.ForeignKey(Clinic, models.DO_NOTHING, related_name="+", db_constraint=False, db_index=False)
    patient = models.ForeignKey(Patient, models.DO_NOTHING, related_name="+", db_constraint=False)
    course = models.ForeignKey(Course, models.DO_NOTHING, related_name="+", db_constraint=False, db_index=False)
    started_at = models.DateTimeField()
    iga = models.CharField(max_length=15)
    premedication = models.CharField(max_length=30)
    product = models.CharField(max_length=200)
    first_infusion = models.CharField(max_length=5, help_text="“true” or “false”.")
    prior_reaction = models.CharField(max_length=5, help_text="“true” or “false”.")
    reacted = models.PositiveSmallIntegerField()
    looked = models.PositiveSmallIntegerField()
    asked = models.PositiveSmallIntegerField()
    answered = models.PositiveSmallIntegerField()
    untimed = models.PositiveSmallIntegerField(help_text="It has a reaction without an onset.")

    class Meta:
        indexes = [
            # By IgA status and premedication within a time it is read alone, without the table.
            models.Index(
                fields=[
                    "clinic",
                    "started_at",
                    "patient",
                    "course",
                    "iga",
                    "premedication",
                    "reacted",
                    "looked",
                    "asked",
                    "answered",
                    "untimed",
                ],
                name="reactions_ratefacts_by_start",
            )
        ]

    def __str__(self) -> str:
        return f"Patient {self.patient_id}, {self.started_at:%Y-%m-%d}"


class StaleRates(models.Model):
    """A mark: something changed from which this patient's sums follow. Triggers write it (reactions/rates/triggers.py).

    One patient can have many: a mark that is deleted while another is written must not take that with it.
    """

    patient = models.ForeignKey(Patient, models.DO_NOTHING, related_name="+", db_constraint=False)

    def __str__(self) -> str:
        return f"Patient {self.patient_id}"
