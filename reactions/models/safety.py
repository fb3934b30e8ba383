"""What is known about a patient's risk, and what was shown and answered before an infusion."""

from typing import Self

from django.conf import settings
from django.db import models
from django.db.models import Q

from patients.models import AppendOnly, Patient, Record, RecordQuerySet, User, of_visible_patients
from patients.sealing.fields import SealedCharField, SealedJSONField
from reactions.clinical.risk_factors import RISK_FACTORS, RiskFactor
from reactions.models.infusion import Infusion
from reactions.vocabulary import LABELS, HistoryFact


class PatientRiskQuerySet(RecordQuerySet):
    def visible_to(self, user: User) -> Self:
        """Risks of patients in the clinics in which the user works."""
        return self.filter(of_visible_patients(user, "patient"))


class PatientRisk(Record):
    """One thing that a label warns of, such as an earlier thrombosis. Voided when it no longer holds."""

    patient = models.ForeignKey(Patient, models.PROTECT, related_name="risks")
    factor = models.CharField(max_length=40)
    note = SealedCharField(max_length=300, blank=True)

    objects = PatientRiskQuerySet.as_manager()

    class Meta(Record.Meta):
        ordering = ["factor"]
        constraints = [
            *Record.Meta.constraints,
            models.UniqueConstraint(
                fields=["patient", "factor"], condition=Q(voided_at=None), name="reactions_patientrisk_once"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.label}: {self.note}" if self.note else self.label

    @property
    def label(self) -> str:
        """The factor in words; its code where a later version knows it no more."""
        if self.factor in set(HistoryFact):
            return LABELS[HistoryFact][self.factor]
        return RISK_FACTORS[RiskFactor(self.factor)].label if self.factor in set(RiskFactor) else self.factor


class SafetyCheck(AppendOnly):
    """The safety card as it was shown before an infusion, and who answered it. Rows are only ever added.

    `items` holds what was shown: [{"code", "level", "text", "source"}, …]. A card with cautions names who acknowledged
    them and why the infusion went on; one with a contraindication also names the clinician who decided. An infusion has
    one, and one more for each correction that brought in something to answer: there each item also has "asked", whether
    this answer is to it.
    """

    infusion = models.ForeignKey(Infusion, models.PROTECT, related_name="safety_checks")
    items = SealedJSONField(default=list)
    shown_at = models.DateTimeField()
    acknowledged_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, related_name="+", null=True, blank=True
    )
    reason = SealedCharField(max_length=500, blank=True)
    decided_by = SealedCharField("who decided", max_length=150, blank=True)

    class Meta:
        constraints = [
            models.CheckConstraint(
                name="reactions_safetycheck_acknowledged_is_whole",
                condition=Q(acknowledged_by=None, reason="") | Q(acknowledged_by__isnull=False) & ~Q(reason=""),
            ),
            models.CheckConstraint(
                name="reactions_safetycheck_decided_is_acknowledged",
                condition=Q(decided_by="") | Q(acknowledged_by__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return f"Safety card of infusion {self.infusion_id}"

    @property
    def is_of_correction(self) -> bool:
        """It was answered when the infusion was corrected, and not when it was recorded."""
        return any("asked" in item for item in self.items)
