"""Response to treatment: what was measured of the illness on a day."""

from decimal import Decimal
from typing import Self

from django.db import models
from django.db.models import Q

from patients.models import Patient, Record, RecordQuerySet, User, of_visible_patients
from reactions.models.infusion import Infusion


class ResponseQuerySet(RecordQuerySet):
    def visible_to(self, user: User) -> Self:
        """Measures of patients in the clinics in which the user works."""
        return self.filter(of_visible_patients(user, "patient"))


class ResponseMeasures(Record):
    """One day's measures; what was not measured stays empty."""

    patient = models.ForeignKey(Patient, models.PROTECT, related_name="response_measures")
    infusion = models.ForeignKey(Infusion, models.PROTECT, related_name="response_measures", null=True, blank=True)
    measured_on = models.DateField("measured on")
    mmt8 = models.PositiveSmallIntegerField("MMT-8", null=True, blank=True, help_text="0 to 150.")
    ck_u_per_l = models.PositiveIntegerField("creatine kinase (U/L)", null=True, blank=True)
    walk_m = models.PositiveSmallIntegerField("six-minute walk (m)", null=True, blank=True)
    patient_global = models.DecimalField(
        "patient's global scale", max_digits=3, decimal_places=1, null=True, blank=True, help_text="0 best, 10 worst."
    )
    physician_global = models.DecimalField(
        "physician's global scale", max_digits=3, decimal_places=1, null=True, blank=True, help_text="0 best, 10 worst."
    )
    submission_id = models.UUIDField(null=True, blank=True, unique=True, editable=False)

    objects = ResponseQuerySet.as_manager()

    # Column to code in clinical.response.
    MEASURES = {
        "mmt8": "mmt8",
        "ck_u_per_l": "ck",
        "walk_m": "six_minute_walk",
        "patient_global": "patient_global",
        "physician_global": "physician_global",
    }

    class Meta(Record.Meta):
        verbose_name = "response to treatment"
        verbose_name_plural = "responses to treatment"
        ordering = ["-measured_on", "-pk"]
        constraints = [
            *Record.Meta.constraints,
            models.CheckConstraint(name="reactions_response_mmt8_to_150", condition=Q(mmt8=None) | Q(mmt8__lte=150)),
            models.CheckConstraint(
                name="reactions_response_global_0_to_10",
                condition=(Q(patient_global=None) | Q(patient_global__gte=0, patient_global__lte=10))
                & (Q(physician_global=None) | Q(physician_global__gte=0, physician_global__lte=10)),
            ),
            models.CheckConstraint(
                name="reactions_response_measures_something",
                condition=Q(mmt8__isnull=False)
                | Q(ck_u_per_l__isnull=False)
                | Q(walk_m__isnull=False)
                | Q(patient_global__isnull=False)
                | Q(physician_global__isnull=False),
            ),
        ]
        indexes = [models.Index(fields=["patient", "measured_on"], name="reactions_response_by_day")]

    def __str__(self) -> str:
        return f"Response measured on {self.measured_on}"

    def measured(self) -> dict[str, Decimal]:
        """What was measured, by code of clinical.response; what is missing is left out."""
        values = {code: getattr(self, column) for column, code in self.MEASURES.items()}
        return {code: Decimal(value) for code, value in values.items() if value is not None}
