"""A course, its infusion days, and what was given and measured on each."""

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Self
from zoneinfo import ZoneInfo

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import F, Q, Sum

from patients.models import Clinic, Patient, Record, RecordQuerySet, User
from reactions.clinical.infusion_checks import InfusionFacts, unlikely
from reactions.models.product import Product
from reactions.vocabulary import DRUGS, PremedicationRecord, RateReason, ReactionRecord, Route, Setting, choices


class Course(models.Model):
    """One prescribed dose, given over one to five days."""

    patient = models.ForeignKey(Patient, models.PROTECT, related_name="courses")
    label = models.CharField(max_length=60, help_text="The clinic's name for it, such as 3 or 2026-04.")
    planned_days = models.PositiveSmallIntegerField(
        default=1, validators=[MinValueValidator(1), MaxValueValidator(5)], help_text="1 to 5 days."
    )

    class Meta:
        ordering = ["-pk"]
        constraints = [
            models.UniqueConstraint(fields=["patient", "label"], name="reactions_course_label_once"),
            models.CheckConstraint(
                name="reactions_course_days_1_to_5", condition=Q(planned_days__gte=1, planned_days__lte=5)
            ),
        ]

    def __str__(self) -> str:
        return f"Course {self.label}"


class InfusionQuerySet(RecordQuerySet):
    def visible_to(self, user: User) -> Self:
        """Infusions of patients in the clinics in which the user works."""
        return self.filter(patient__clinic__in=Clinic.objects.visible_to(user))

    def with_details(self) -> Self:
        """Everything an infusion's page or a timeline shows, in a number of queries that does not grow."""

        return self.select_related("patient__clinic", "course", "product", "created_by", "voided_by").prefetch_related(
            "vials", "premedications", "reactions__symptoms"
        )


class Infusion(Record):
    """One infusion day: one start, one end. The denominator of most rates."""

    patient = models.ForeignKey(Patient, models.PROTECT, related_name="infusions")
    course = models.ForeignKey(Course, models.PROTECT, related_name="infusions")
    day = models.PositiveSmallIntegerField("day of the course", default=1)
    product = models.ForeignKey(Product, models.PROTECT, related_name="infusions")
    setting = models.CharField(max_length=10, choices=choices(Setting), default=Setting.CLINIC)
    started_at = models.DateTimeField("start")
    ended_at = models.DateTimeField("end", null=True, blank=True, help_text="Empty while it is running.")
    dose_g = models.DecimalField("dose (g)", max_digits=6, decimal_places=2)
    weight_kg = models.DecimalField("weight (kg)", max_digits=5, decimal_places=1, null=True, blank=True)
    premedication_record = models.CharField(
        max_length=15, choices=choices(PremedicationRecord), default=PremedicationRecord.NOT_RECORDED
    )
    reaction_record = models.CharField(
        max_length=15, choices=choices(ReactionRecord), default=ReactionRecord.NOT_RECORDED
    )
    notes = models.TextField(blank=True, max_length=10_000)
    submission_id = models.UUIDField(null=True, blank=True, unique=True, editable=False)

    objects = InfusionQuerySet.as_manager()

    class Meta(Record.Meta):
        ordering = ["-started_at", "-pk"]
        constraints = [
            *Record.Meta.constraints,
            models.CheckConstraint(
                name="reactions_infusion_ends_after_start",
                condition=Q(ended_at=None) | Q(ended_at__gt=F("started_at")),
                violation_error_message="The end must be after the start.",
            ),
            models.CheckConstraint(
                name="reactions_infusion_dose_positive",
                condition=Q(dose_g__gt=0),
                violation_error_message="The dose must be more than 0 g.",
            ),
            models.CheckConstraint(
                name="reactions_infusion_weight_positive", condition=Q(weight_kg=None) | Q(weight_kg__gt=0)
            ),
            models.CheckConstraint(name="reactions_infusion_day_1_to_5", condition=Q(day__gte=1, day__lte=5)),
            models.UniqueConstraint(
                fields=["patient", "started_at"],
                condition=Q(voided_at=None),
                name="reactions_infusion_start_once",
                violation_error_message="An infusion of this patient with the same start is already recorded.",
            ),
        ]
        indexes = [
            models.Index(fields=["patient", "-started_at"], name="reactions_infusion_by_patient"),
            models.Index(fields=["started_at"], name="reactions_infusion_by_start"),
        ]

    def __str__(self) -> str:
        return f"{self.product}, {self.dose_g.normalize():f} g"

    @property
    def clinic(self) -> Clinic:
        return self.patient.clinic

    @property
    def zone(self) -> ZoneInfo:
        return self.patient.clinic.zone

    @property
    def duration(self) -> timedelta | None:
        """End minus start; None while the infusion runs."""
        return self.ended_at - self.started_at if self.ended_at else None

    @property
    def dose_g_per_kg(self) -> Decimal | None:
        """Grams per kilogram of body weight on this day; None without a weight."""
        return self.dose_g / self.weight_kg if self.weight_kg else None

    def cautions(self) -> list[str]:
        """What is unlikely about this infusion and worth a second look; three queries."""
        others = Infusion.objects.current().filter(patient=self.patient_id).exclude(pk=self.pk)
        end = self.ended_at or self.started_at
        course_dose = others.filter(course=self.course_id).aggregate(grams=Sum("dose_g"))["grams"] or Decimal(0)
        grams = [vial.grams for vial in self.vials.all()]
        return unlikely(
            InfusionFacts(
                dose_g=self.dose_g,
                weight_kg=self.weight_kg,
                course_dose_g=course_dose + self.dose_g,
                planned_days=self.course.planned_days,
                duration=self.duration,
                vial_grams=sum((g for g in grams if g), Decimal(0)) if grams and all(grams) else None,
                overlaps_another=others.filter(started_at__lte=end, ended_at__gt=self.started_at).exists(),
            )
        )


class Vial(models.Model):
    """A container: lot, expiry and grams. An infusion has many, often from several lots."""

    infusion = models.ForeignKey(Infusion, models.CASCADE, related_name="vials")
    lot = models.CharField(max_length=20)
    expires_on = models.DateField("expiry", null=True, blank=True)
    grams = models.DecimalField("grams", max_digits=6, decimal_places=2, null=True, blank=True)
    expiry_confirmed = models.BooleanField(
        default=False, help_text="Given although expired, as the recorder confirmed."
    )

    class Meta:
        ordering = ["pk"]
        constraints = [
            models.CheckConstraint(name="reactions_vial_grams_positive", condition=Q(grams=None) | Q(grams__gt=0)),
            models.CheckConstraint(name="reactions_vial_has_lot", condition=~Q(lot="")),
        ]
        indexes = [models.Index(fields=["lot"], name="reactions_vial_by_lot")]

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

    def given_at(self, started_at: datetime) -> datetime | None:
        """Clock time of the drug, from the infusion's start; None when the minutes were not recorded."""
        return None if self.minutes_before is None else started_at - timedelta(minutes=self.minutes_before)


class RateStep(models.Model):
    """A change of the infusion's rate."""

    infusion = models.ForeignKey(Infusion, models.CASCADE, related_name="rate_steps")
    at = models.DateTimeField()
    rate_ml_per_h = models.DecimalField(max_digits=6, decimal_places=1)
    reason = models.CharField(max_length=10, choices=choices(RateReason))

    class Meta:
        ordering = ["at"]
        constraints = [
            models.UniqueConstraint(fields=["infusion", "at"], name="reactions_ratestep_once"),
            models.CheckConstraint(
                name="reactions_ratestep_zero_only_when_still",
                condition=Q(reason__in=["pause", "stop"], rate_ml_per_h=0)
                | (~Q(reason__in=["pause", "stop"]) & Q(rate_ml_per_h__gt=0)),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.get_reason_display()} {self.rate_ml_per_h:g} mL/h"


class Vitals(models.Model):
    """One set of vital signs; what was not measured stays empty."""

    infusion = models.ForeignKey(Infusion, models.CASCADE, related_name="vitals")
    at = models.DateTimeField()
    temperature_c = models.DecimalField(max_digits=3, decimal_places=1, null=True, blank=True)
    heart_rate_per_min = models.PositiveSmallIntegerField(null=True, blank=True)
    systolic_mmhg = models.PositiveSmallIntegerField(null=True, blank=True)
    diastolic_mmhg = models.PositiveSmallIntegerField(null=True, blank=True)
    respiratory_rate_per_min = models.PositiveSmallIntegerField(null=True, blank=True)
    spo2_percent = models.PositiveSmallIntegerField(null=True, blank=True)

    class Meta:
        ordering = ["at"]
        verbose_name_plural = "vitals"
        constraints = [
            models.UniqueConstraint(fields=["infusion", "at"], name="reactions_vitals_once"),
            models.CheckConstraint(
                name="reactions_vitals_blood_pressure_is_whole",
                condition=Q(systolic_mmhg=None, diastolic_mmhg=None)
                | Q(systolic_mmhg__isnull=False, diastolic_mmhg__isnull=False, systolic_mmhg__gt=F("diastolic_mmhg")),
            ),
            models.CheckConstraint(
                name="reactions_vitals_spo2_percent", condition=Q(spo2_percent=None) | Q(spo2_percent__lte=100)
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
