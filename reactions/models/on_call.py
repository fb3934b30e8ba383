"""What a clinic has decided about alerts: within how long, how often again, and who is on call when."""

from datetime import datetime, time, timedelta
from typing import Self

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Exists, F, OuterRef, Q

from patients.models import Clinic, StaffRole
from reactions.clinical.escalation import Rung, Targets, WorkingHours


class AlertPolicy(models.Model):
    """The defaults are this project's own: 15 minutes for red, 4 working hours for amber."""

    clinic = models.OneToOneField(Clinic, models.CASCADE, related_name="alert_policy")
    red_within_min = models.PositiveSmallIntegerField(
        "red is to be acknowledged within (min)",
        default=15,
        validators=[MinValueValidator(1), MaxValueValidator(240)],
    )
    red_every_min = models.PositiveSmallIntegerField(
        "red is told again every (min)",
        default=5,
        validators=[MinValueValidator(1), MaxValueValidator(120)],
        help_text="Each time further people are told as well: who is second on call, then all clinicians, then the "
        "administrators. After two hours it is told once an hour.",
    )
    amber_within_min = models.PositiveSmallIntegerField(
        "amber is to be acknowledged within (min of working hours)",
        default=240,
        validators=[MinValueValidator(15), MaxValueValidator(2400)],
    )
    amber_every_min = models.PositiveSmallIntegerField(
        "overdue amber is told again every (min of working hours)",
        default=120,
        validators=[MinValueValidator(15), MaxValueValidator(2400)],
        help_text="First to the clinicians, then to the administrators as well.",
    )
    works_from = models.TimeField("working hours from", default=time(8), help_text="On the clinic's clocks.")
    works_until = models.TimeField("working hours until", default=time(17))
    works_every_day = models.BooleanField(
        "works at weekends", default=False, help_text="Otherwise the working days are Monday to Friday."
    )

    class Meta:
        verbose_name_plural = "alert policies"
        constraints = [
            models.CheckConstraint(
                name="reactions_alertpolicy_hours_in_order", condition=Q(works_until__gt=F("works_from"))
            )
        ]

    def __str__(self) -> str:
        return f"Alert policy of {self.clinic}"

    def clean(self) -> None:
        if self.works_from and self.works_until and self.works_until <= self.works_from:
            raise ValidationError({"works_until": "The working hours end after they begin, on the same day."})

    @classmethod
    def of(cls, clinic: Clinic) -> "AlertPolicy":
        """The clinic's policy; one with the usual times where nothing was decided."""
        return cls.objects.filter(clinic=clinic).select_related("clinic").first() or cls(clinic=clinic)

    def targets(self) -> Targets:
        """The policy for clinical.escalation."""
        return Targets(
            red_within=timedelta(minutes=self.red_within_min),
            red_every=timedelta(minutes=self.red_every_min),
            amber_within=timedelta(minutes=self.amber_within_min),
            amber_every=timedelta(minutes=self.amber_every_min),
            hours=WorkingHours(self.works_from, self.works_until, self.clinic.zone, self.works_every_day),
        )


class OnCallQuerySet(models.QuerySet):
    def answering(self) -> Self:
        """Shifts of people who can be told: they have an address and still work at the clinic."""
        works_here = StaffRole.objects.at_work().filter(clinic=OuterRef("clinic"), user=OuterRef("person"))
        return self.filter(Exists(works_here), person__is_active=True).exclude(person__email="")

    def within(self, start: datetime, end: datetime) -> Self:
        """Shifts of which a part lies between the two."""
        return self.filter(starts_at__lt=end, ends_at__gt=start)

    def at(self, now: datetime) -> Self:
        """Shifts that are on at that moment: from the first up to, and not including, the last."""
        return self.filter(starts_at__lte=now, ends_at__gt=now)


class OnCallShift(models.Model):
    """One person is on call at one clinic for so long, as the first or the second to be told. Shifts may overlap."""

    RUNGS = ((Rung.FIRST_ON_CALL.value, "First on call"), (Rung.SECOND_ON_CALL.value, "Second on call"))

    clinic = models.ForeignKey(Clinic, models.PROTECT, related_name="shifts")
    person = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="shifts")
    rung = models.PositiveSmallIntegerField("who", choices=RUNGS, default=Rung.FIRST_ON_CALL.value)
    starts_at = models.DateTimeField("from", help_text="On the clinic's clocks.")
    ends_at = models.DateTimeField("until", help_text="On the clinic's clocks.")

    objects = OnCallQuerySet.as_manager()

    class Meta:
        verbose_name = "on-call shift"
        ordering = ["starts_at", "rung", "pk"]
        constraints = [
            models.CheckConstraint(name="reactions_oncallshift_rung_known", condition=Q(rung__in=[1, 2])),
            models.CheckConstraint(
                name="reactions_oncallshift_ends_after_start", condition=Q(ends_at__gt=F("starts_at"))
            ),
        ]
        indexes = [models.Index(fields=["clinic", "ends_at"], name="reactions_oncallshift_by_end")]

    def __str__(self) -> str:
        return f"{self.person}, {self.get_rung_display().lower()} at {self.clinic}"

    def clean(self) -> None:
        if self.starts_at and self.ends_at and self.ends_at <= self.starts_at:
            raise ValidationError({"ends_at": "The shift ends after it begins."})
        if not (self.clinic_id and self.person_id):
            return
        works_here = StaffRole.objects.at_work().filter(clinic=self.clinic_id, user=self.person_id)
        if not works_here.exists() or not self.person.is_active:
            raise ValidationError({"person": "This person does not work at the clinic."})
        if not self.person.email:
            raise ValidationError({"person": "This person has no email address, so no alert would reach them."})
