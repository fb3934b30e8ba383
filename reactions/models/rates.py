"""Rates kept ready: sums over patients that were worked out before anybody asks, and whose are out of date.

Nothing here is a record. All of it follows from the records, is written by reactions/rates/keeping.py alone, and could
be deleted at any time. So nothing is checked against other tables: a row of somebody who is gone harms nobody.
"""

from django.db import models
from django.db.models import Q

from patients.models import Clinic, Patient
from reactions.models.course import Course
from reactions.models.infusion import Infusion


class RatesKept(models.Model):
    """The one row that says by which rules the sums were made; without it, or with other rules, none is used."""

    id = models.PositiveSmallIntegerField(primary_key=True, default=1, editable=False)
    fingerprint = models.CharField(max_length=64, blank=True, help_text="Of the rules; empty while tables change.")

    class Meta:
        constraints = [models.CheckConstraint(name="reactions_rateskept_only_one", condition=Q(id=1))]

    def __str__(self) -> str:
        return self.fingerprint


class RateSums(models.Model):
    """The sums of a clinic, over its patients as their rows of RateFacts have it."""

    clinic = models.OneToOneField(
        Clinic, models.DO_NOTHING, primary_key=True, related_name="+", db_constraint=False, editable=False
    )
    figures = models.TextField(default="[]", help_text="As reactions/rates/sums.py packs them.")

    def __str__(self) -> str:
        return f"Sums of clinic {self.clinic_id}"


class RateFacts(models.Model):
    """What is known of an infusion that counts, as the plain question asks it.

    Everything is a small number (reactions/rates/facts.py says of what), so that many rows fit into an index, and one
    statement adds up any of them.
    """

    clinic = models.ForeignKey(Clinic, models.DO_NOTHING, related_name="+", db_constraint=False, db_index=False)
    patient = models.ForeignKey(Patient, models.DO_NOTHING, related_name="+", db_constraint=False, db_index=False)
    course = models.ForeignKey(Course, models.DO_NOTHING, related_name="+", db_constraint=False, db_index=False)
    infusion = models.ForeignKey(Infusion, models.DO_NOTHING, related_name="+", db_constraint=False, db_index=False)
    started_at = models.DateTimeField()
    iga = models.PositiveSmallIntegerField()
    premedication = models.PositiveSmallIntegerField()
    product = models.PositiveIntegerField(help_text="The least number among the products of this name.")
    first_infusion = models.PositiveSmallIntegerField()
    prior_reaction = models.PositiveSmallIntegerField()
    known = models.PositiveSmallIntegerField(help_text="Whether it reacted, somebody looked, and so on, as bits.")

    class Meta:
        constraints = [
            # An infusion that went over to another patient may have a row of each, until both are kept anew.
            models.UniqueConstraint(fields=["patient", "infusion"], name="reactions_ratefacts_once")
        ]
        indexes = [
            # Within a time it is read alone, without the table: it holds all but the row's and the infusion's number.
            models.Index(
                fields=[
                    *("clinic", "started_at", "patient", "course"),
                    *("iga", "premedication", "product", "first_infusion", "prior_reaction"),
                    "known",
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
