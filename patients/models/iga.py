"""IgA results as the laboratory gave them."""

from datetime import date
from typing import Any, Self

from django.db import models
from django.db.models import F, Q

from patients.iga import COMPARATORS, UNITS, Reading, Status, classify, write
from patients.models.patient import Patient
from patients.models.record import Record, RecordQuerySet
from patients.words import AntiIga

STATUS_LABELS: dict[str, str] = {
    Status.NOT_TESTED: "Not tested",
    Status.PENDING: "Pending",
    Status.INDETERMINATE: "Indeterminate",
    Status.DEFICIENT: "Deficient (< 7 mg/dL)",
    Status.PARTIAL: "Partial (below range)",
    Status.NORMAL: "Normal",
    Status.ABOVE_RANGE: "Above range",
}


class IgaQuerySet(RecordQuerySet):
    def in_force_on(self, day: date | models.expressions.Combinable) -> Self:
        """Results known on the day, the one that counts first: the latest day, then the latest entry."""
        return self.current().filter(in_force_from__lte=day).order_by("-in_force_from", "-pk")


class IgaResult(Record):
    """One result, or a sample still pending. `status` is what the reading stands for, kept with it for counting."""

    patient = models.ForeignKey(Patient, models.PROTECT, related_name="iga_results")
    is_pending = models.BooleanField(default=False)
    comparator = models.CharField(
        max_length=2, blank=True, choices=[(c, c or "exactly") for c in COMPARATORS], help_text="As printed: “< 7”."
    )
    value = models.DecimalField(max_digits=10, decimal_places=4, null=True, blank=True)
    unit = models.CharField(max_length=5, choices=[(u, u) for u in UNITS], default="mg/dL")
    lab_low = models.DecimalField("laboratory's lower limit", max_digits=10, decimal_places=4, null=True, blank=True)
    lab_high = models.DecimalField("laboratory's upper limit", max_digits=10, decimal_places=4, null=True, blank=True)
    measured_on = models.DateField(null=True, blank=True, help_text="Date of the sample; empty when not known.")
    in_force_from = models.DateField(help_text="The sample's date, or the day from which an undated result was known.")
    anti_iga = models.CharField("anti-IgA", max_length=15, choices=AntiIga.choices(), default=AntiIga.NOT_DONE)
    anti_iga_isotype = models.CharField("anti-IgA isotype", max_length=10, blank=True)
    anti_iga_on = models.DateField("anti-IgA date", null=True, blank=True)
    submission_id = models.UUIDField(null=True, blank=True, unique=True, editable=False)
    status = models.CharField(max_length=15, choices=[(s.value, STATUS_LABELS[s]) for s in Status], editable=False)

    objects = IgaQuerySet.as_manager()

    class Meta(Record.Meta):
        verbose_name = "IgA result"
        ordering = ["-in_force_from", "-pk"]
        constraints = [
            *Record.Meta.constraints,
            models.CheckConstraint(
                name="patients_igaresult_pending_or_value",
                condition=Q(is_pending=True, value=None, comparator="")
                | Q(is_pending=False, value__isnull=False, value__gte=0),
                violation_error_message="Give a value, or mark the result as pending.",
            ),
            models.CheckConstraint(
                name="patients_igaresult_limits_in_order",
                condition=Q(lab_low=None) | Q(lab_high=None) | Q(lab_low__lt=F("lab_high")),
                violation_error_message="The lower limit must be below the upper limit.",
            ),
            models.CheckConstraint(
                name="patients_igaresult_limits_not_negative",
                condition=(Q(lab_low=None) | Q(lab_low__gte=0)) & (Q(lab_high=None) | Q(lab_high__gte=0)),
                violation_error_message="A limit cannot be negative.",
            ),
            models.CheckConstraint(
                name="patients_igaresult_anti_iga_is_whole",
                condition=~Q(anti_iga=AntiIga.NOT_DONE) | Q(anti_iga_isotype="", anti_iga_on=None),
                violation_error_message="An isotype or a date needs the result of the antibodies.",
            ),
            models.CheckConstraint(
                name="patients_igaresult_in_force_from_sample",
                condition=Q(measured_on=None) | Q(in_force_from=F("measured_on")),
            ),
        ]
        indexes = [models.Index(fields=["patient", "-in_force_from"], name="patients_iga_in_force")]

    def __str__(self) -> str:
        return f"IgA {self.as_text()}"

    def save(self, *args: Any, **kwargs: Any) -> None:
        self.derive()
        super().save(*args, **kwargs)

    def derive(self) -> None:
        """Set what follows from the reading. Bulk writers call it themselves, since they pass save() by."""
        if self.measured_on is not None:
            self.in_force_from = self.measured_on
        reading = self.reading()
        self.status = Status.PENDING if reading is None else classify(reading)

    def reading(self) -> Reading | None:
        """The result for patients.iga; None while it is pending."""
        if self.is_pending or self.value is None:
            return None
        return Reading(self.comparator, self.value, self.unit, self.lab_low, self.lab_high)

    def as_text(self) -> str:
        """“<7 mg/dL”, in the form that an infusion log carries."""
        reading = self.reading()
        return "pending" if reading is None else write(reading)
