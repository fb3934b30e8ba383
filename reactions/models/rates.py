"""Rates kept ready: what counts of each infusion, copied column by column, and whose copy is out of date.

Nothing here is a record. All of it follows from the records, is written by reactions/rates/keeping.py alone, and could
be deleted at any time. So nothing is checked against other tables: a number of somebody who is gone harms nobody.
"""

from django.db import models
from django.db.models import Q

from patients.models import Clinic, Patient


class RatesKept(models.Model):
    """The one row that says by which rules the copy was made; without it, or with other rules, none is used."""

    id = models.PositiveSmallIntegerField(primary_key=True, default=1, editable=False)
    fingerprint = models.CharField(max_length=64, blank=True, help_text="Of the rules; empty while it is incomplete.")

    class Meta:
        constraints = [models.CheckConstraint(name="reactions_rateskept_only_one", condition=Q(id=1))]

    def __str__(self) -> str:
        return self.fingerprint


class RateColumns(models.Model):
    """The infusions of a clinic that began in a month, UTC: one column of numbers in each field, packed.

    A question reads the columns that it asks for. A key's column holds places among its `values`, that of patients the
    steps from each to the next.
    """

    clinic = models.ForeignKey(Clinic, models.DO_NOTHING, related_name="+", db_constraint=False, db_index=False)
    month = models.IntegerField(help_text="Months since January of the year 0.")
    fingerprint = models.CharField(max_length=64, help_text="Of the rules by which it was made.")
    infusions = models.PositiveIntegerField(help_text="How many; each column is as long.")
    values = models.TextField(help_text="JSON: the values of each key, and the lowest and highest patient.")
    infusion = models.BinaryField()
    patient = models.BinaryField()
    course = models.BinaryField()
    started = models.BinaryField()
    known = models.BinaryField()
    iga = models.BinaryField()
    premedication = models.BinaryField()
    first_infusion = models.BinaryField()
    prior_reaction = models.BinaryField()
    max_rate = models.BinaryField()
    product = models.BinaryField()
    setting = models.BinaryField()
    diagnosis = models.BinaryField()
    sex = models.BinaryField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["clinic", "month"], name="reactions_ratecolumns_once")]

    def __str__(self) -> str:
        return f"Clinic {self.clinic_id}, {self.month // 12}-{self.month % 12 + 1:02}"


class StaleRates(models.Model):
    """A mark: something changed from which this patient's part follows. Triggers write it (rates/triggers.py).

    One patient can have many: a mark that is deleted while another is written must not take that with it.
    """

    patient = models.ForeignKey(Patient, models.DO_NOTHING, related_name="+", db_constraint=False)

    def __str__(self) -> str:
        return f"Patient {self.patient_id}"
