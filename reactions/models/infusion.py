"""An infusion day of a course."""

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Self
from zoneinfo import ZoneInfo

from django.db import models
from django.db.models import Exists, F, OuterRef, Q, Sum
from django.utils import timezone

from patients.models import Clinic, Patient, Record, RecordQuerySet, User, of_visible_patients
from patients.sealing.fields import SealedTextField
from reactions.clinical.infusion_checks import InfusionFacts, unlikely
from reactions.models.course import Course
from reactions.models.product import Product
from reactions.vocabulary import Indication, PremedicationRecord, ReactionRecord, Setting, choices

# This project's: an infusion takes hours, and one that has been open for a day was forgotten.
OVERDUE_AFTER = timedelta(hours=24)


class InfusionQuerySet(RecordQuerySet):
    def visible_to(self, user: User) -> Self:
        """Infusions of patients in the clinics in which the user works."""
        return self.filter(of_visible_patients(user, "patient"))

    def counted(self) -> Self:
        """Infusions that count: neither they nor their patient are void."""
        return self.filter(voided_at=None, patient__voided_at=None)

    def with_reacted(self) -> Self:
        """Each with `reacted`: whether a reaction to it is recorded that is not void."""
        same = Infusion.objects.filter(pk=OuterRef("pk"), reactions__isnull=False, reactions__voided_at=None)
        return self.annotate(reacted=Exists(same))

    def running(self) -> Self:
        """Begun and not over: what nobody has closed counts as running."""
        return self.filter(ended_at=None, voided_at=None, patient__voided_at=None)

    def overlapping(self, started_at: datetime, ended_at: datetime | None) -> Self:
        """Those that ran at some time between the two; what has no end goes on. An end on a start is no overlap."""
        begun = self.filter(started_at__lt=ended_at) if ended_at else self
        return begun.filter(Q(ended_at=None) | Q(ended_at__gt=started_at))

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
    indication = models.CharField(max_length=30, blank=True, choices=choices(Indication))
    planned_rate_ml_per_h = models.DecimalField(
        "highest rate planned (mL/h)", max_digits=6, decimal_places=1, null=True, blank=True
    )
    is_chairside = models.BooleanField(
        default=False, editable=False, help_text="Recorded as it happened; its end is a rate step."
    )
    notes = SealedTextField(blank=True, max_length=10_000)
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
            models.CheckConstraint(
                name="reactions_infusion_planned_rate_positive",
                condition=Q(planned_rate_ml_per_h=None) | Q(planned_rate_ml_per_h__gt=0),
            ),
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
            models.Index(
                fields=["patient"], condition=Q(ended_at=None, voided_at=None), name="reactions_infusion_running"
            ),
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
    def is_overdue(self) -> bool:
        """Nobody has recorded its end for a day; until then no check-in is planned."""
        return self.ended_at is None and timezone.now() - self.started_at > OVERDUE_AFTER

    @property
    def duration(self) -> timedelta | None:
        """End minus start; None while the infusion runs."""
        return self.ended_at - self.started_at if self.ended_at else None

    @property
    def dose_g_per_kg(self) -> Decimal | None:
        """Grams per kilogram of body weight on this day; None without a weight."""
        return self.dose_g / self.weight_kg if self.weight_kg else None

    def cautions(self) -> list[str]:
        """What is unlikely about this infusion and worth a second look; four queries."""
        others = Infusion.objects.current().filter(patient=self.patient_id).exclude(pk=self.pk)
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
                same_day_recorded=others.filter(course=self.course_id, day=self.day).exists(),
                overlaps_another=others.overlapping(self.started_at, self.ended_at).exists(),
            )
        )
