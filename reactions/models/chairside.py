"""What is given and measured on an infusion day: vials, premedication, rate steps, vital signs."""

from collections.abc import Iterable
from typing import Any, Self

from django.db import models
from django.db.models import F, Q, Value
from django.db.models.functions import Upper

from patients.models import Patient, Record, RecordQuerySet, User, of_visible_patients
from reactions.clinical.flow import Step
from reactions.models.infusion import Infusion, InfusionQuerySet
from reactions.vocabulary import DRUGS, RateReason, Route, choices


class ChairsideQuerySet(RecordQuerySet):
    def visible_to(self, user: User) -> Self:
        """Rows of infusions in the clinics in which the user works."""
        return self.filter(of_visible_patients(user, "infusion__patient"))


class ChairsideRow(Record):
    """Something written down at a moment of an infusion. The same `submission_id` twice is one row."""

    infusion: models.ForeignKey[Infusion, Infusion]
    at = models.DateTimeField()
    submission_id = models.UUIDField(null=True, blank=True, unique=True, editable=False)

    objects = ChairsideQuerySet.as_manager()

    class Meta(Record.Meta):
        abstract = True

    @property
    def patient(self) -> Patient:
        return self.infusion.patient


class VialQuerySet(models.QuerySet):
    def visible_to(self, user: User) -> Self:
        """Vials of infusions in the clinics in which the user works."""
        return self.filter(of_visible_patients(user, "infusion__patient"))

    def of_lot(self, lot: str) -> Self:
        """Vials of a lot, however its letters are written."""
        return self.alias(upper_lot=Upper("lot")).filter(upper_lot=Upper(Value(lot)))

    def of_lots(self, lots: Iterable[str]) -> Self:
        """Vials of any of the lots, however their letters are written."""
        return self.alias(upper_lot=Upper("lot")).filter(upper_lot__in=[lot.upper() for lot in lots])

    def of_lots_like(self, text: str) -> Self:
        """Vials of lots that begin like this."""
        return self.filter(lot__istartswith=text)

    def infusions(self, product: str) -> InfusionQuerySet:
        """The infusions of a product, by its name, to which these vials belong."""
        return Infusion.objects.filter(pk__in=self.values("infusion"), product__name=product)


class Vial(models.Model):
    """A container: lot, expiry and grams. An infusion has many, often from several lots."""

    infusion = models.ForeignKey(Infusion, models.CASCADE, related_name="vials")
    lot = models.CharField(max_length=20)
    expires_on = models.DateField("expiry", null=True, blank=True)
    grams = models.DecimalField("grams", max_digits=6, decimal_places=2, null=True, blank=True)
    gtin = models.CharField("GTIN", max_length=14, blank=True, help_text="From the vial's barcode.")
    serial = models.CharField(max_length=20, blank=True)
    submission_id = models.UUIDField(null=True, blank=True, unique=True, editable=False)
    expiry_confirmed = models.BooleanField(
        default=False, help_text="Given although expired, as the recorder confirmed."
    )

    objects = VialQuerySet.as_manager()

    class Meta:
        ordering = ["pk"]
        constraints = [
            models.CheckConstraint(name="reactions_vial_grams_positive", condition=Q(grams=None) | Q(grams__gt=0)),
            models.CheckConstraint(name="reactions_vial_has_lot", condition=~Q(lot="")),
            models.UniqueConstraint(
                fields=["infusion", "gtin", "serial"], condition=~Q(gtin="") & ~Q(serial=""), name="reactions_vial_once"
            ),
        ]
        # Lots are looked for however their letters are written.
        indexes = [models.Index(Upper("lot"), name="reactions_vial_by_upper_lot")]

    def __str__(self) -> str:
        return f"Lot {self.lot}"


class Premedication(models.Model):
    """A drug given before the start, to prevent. What is given after onset is treatment, and is not kept here."""

    infusion = models.ForeignKey(Infusion, models.CASCADE, related_name="premedications")
    drug = models.CharField(max_length=40, choices=[(code, label) for code, (label, _) in DRUGS.items()])
    other_drug = models.CharField("name of the drug", max_length=100, blank=True)
    dose = models.CharField(max_length=40, blank=True)
    route = models.CharField(max_length=5, blank=True, choices=choices(Route))
    minutes_before = models.PositiveSmallIntegerField("minutes before start", null=True, blank=True)

    class Meta:
        ordering = ["pk"]
        constraints = [
            models.UniqueConstraint(
                fields=["infusion", "drug", "other_drug", "minutes_before"], name="reactions_premedication_once"
            ),
            # A unique constraint takes every unknown time for another one, so these need their own.
            models.UniqueConstraint(
                fields=["infusion", "drug", "other_drug"],
                condition=Q(minutes_before=None),
                name="reactions_premedication_untimed_once",
            ),
            models.CheckConstraint(
                name="reactions_premedication_within_a_day",
                condition=Q(minutes_before=None) | Q(minutes_before__lte=24 * 60),
            ),
            models.CheckConstraint(
                name="reactions_premedication_other_is_named",
                condition=Q(drug="other") & ~Q(other_drug="") | ~Q(drug="other") & Q(other_drug=""),
                violation_error_message="Write the drug's name.",
            ),
        ]
        indexes = [models.Index(fields=["infusion", "drug"], name="reactions_premed_drug")]

    def __str__(self) -> str:
        return self.name

    @property
    def name(self) -> str:
        return self.other_drug or DRUGS[self.drug][0]


class RateStep(ChairsideRow):
    """A change of the infusion's rate; the stop is the infusion's end."""

    infusion = models.ForeignKey(Infusion, models.PROTECT, related_name="rate_steps")
    rate_ml_per_h = models.DecimalField(max_digits=6, decimal_places=1)
    reason = models.CharField(max_length=10, choices=choices(RateReason))

    class Meta(ChairsideRow.Meta):
        ordering = ["at"]
        constraints = [
            *ChairsideRow.Meta.constraints,
            models.UniqueConstraint(
                fields=["infusion", "at"], condition=Q(voided_at=None), name="reactions_ratestep_once"
            ),
            models.CheckConstraint(
                name="reactions_ratestep_zero_only_when_still",
                condition=Q(reason__in=["pause", "stop"], rate_ml_per_h=0)
                | (~Q(reason__in=["pause", "stop"]) & Q(rate_ml_per_h__gt=0)),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.get_reason_display()} {self.rate_ml_per_h:g} mL/h"

    def as_step(self) -> Step:
        """The step for the arithmetic of clinical.flow."""
        return Step(self.at, self.rate_ml_per_h, RateReason(self.reason))


class Vitals(ChairsideRow):
    """One set of vital signs; what was not measured stays empty."""

    infusion = models.ForeignKey(Infusion, models.PROTECT, related_name="vitals")
    temperature_c = models.DecimalField(max_digits=3, decimal_places=1, null=True, blank=True)
    heart_rate_per_min = models.PositiveSmallIntegerField(null=True, blank=True)
    systolic_mmhg = models.PositiveSmallIntegerField(null=True, blank=True)
    diastolic_mmhg = models.PositiveSmallIntegerField(null=True, blank=True)
    respiratory_rate_per_min = models.PositiveSmallIntegerField(null=True, blank=True)
    spo2_percent = models.PositiveSmallIntegerField(null=True, blank=True)

    class Meta(ChairsideRow.Meta):
        ordering = ["at"]
        verbose_name_plural = "vitals"
        constraints = [
            *ChairsideRow.Meta.constraints,
            models.UniqueConstraint(
                fields=["infusion", "at"], condition=Q(voided_at=None), name="reactions_vitals_once"
            ),
            models.CheckConstraint(
                name="reactions_vitals_blood_pressure_is_whole",
                condition=Q(systolic_mmhg=None, diastolic_mmhg=None)
                | Q(systolic_mmhg__isnull=False, diastolic_mmhg__isnull=False, systolic_mmhg__gt=F("diastolic_mmhg")),
            ),
            models.CheckConstraint(
                name="reactions_vitals_spo2_percent", condition=Q(spo2_percent=None) | Q(spo2_percent__lte=100)
            ),
            models.CheckConstraint(
                name="reactions_vitals_measure_something",
                # With a systolic pressure there is a diastolic one.
                condition=Q(temperature_c__isnull=False)
                | Q(heart_rate_per_min__isnull=False)
                | Q(systolic_mmhg__isnull=False)
                | Q(respiratory_rate_per_min__isnull=False)
                | Q(spo2_percent__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return f"Vitals at {self.at:%H:%M}"

    def as_dict(self) -> dict[str, Any]:
        """Measured values by column name; what is missing is left out."""
        names = (
            "temperature_c",
            "heart_rate_per_min",
            "systolic_mmhg",
            "diastolic_mmhg",
            "respiratory_rate_per_min",
            "spo2_percent",
        )
        return {name: getattr(self, name) for name in names if getattr(self, name) is not None}
