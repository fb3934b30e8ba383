"""What a clinic has decided about its check-ins: steps, quiet hours, the evening question."""

from collections.abc import Iterable
from datetime import time, timedelta

from django.core.exceptions import ValidationError
from django.core.validators import MinValueValidator, RegexValidator
from django.db import models
from django.db.models import Q

from patients.models import Clinic
from reactions.clinical.questions import EVERYTHING, SETS
from reactions.clinical.schedule import DEFAULT_PLAN, OPEN_AT_LEAST, QuietHours, Step
from reactions.vocabulary import CheckInKind

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
# Keys of check-ins that follow from what happened and not from a step.
OWN_KEYS = frozenset({CheckInKind.EVENING.value, CheckInKind.REPORT.value})
# Bounds of what is taken for a plan and not for a slip. This project's own.
LATEST = timedelta(days=180)
LONGEST_WINDOW = timedelta(days=60)
LONGEST_QUIET = timedelta(hours=20)


class CheckInPlan(models.Model):
    """One per clinic; a clinic without one has the default steps and no quiet hours.

    By the default plan mails leave at the clock time of the infusion's end, so quiet hours matter after a stand-still
    and for steps of few hours. `saved_at` and `applied_to` tell the tick which courses still have an older plan.
    """

    clinic = models.OneToOneField(Clinic, models.CASCADE, related_name="checkin_plan")
    quiet_from = models.TimeField(
        "no mails from",
        null=True,
        blank=True,
        default=time(21),
        help_text="By the clock where the patient lives. Leave both empty to send at any hour.",
    )
    sends_from = models.TimeField("mails go out again from", null=True, blank=True, default=time(8))
    asks_same_evening = models.BooleanField(
        "one question the same evening",
        default=False,
        help_text=(
            "At 20:00 after each infusion day of a course of several days. On Yes it lists the emergencies alone, with"
            " a way to the full list."
        ),
    )
    saved_at = models.DateTimeField(null=True, editable=False)
    applied_to = models.PositiveBigIntegerField(
        null=True, editable=False, help_text="Planned anew up to this course; empty when all are."
    )

    class Meta:
        verbose_name = "plan of check-ins"
        verbose_name_plural = "plans of check-ins"
        constraints = [
            models.CheckConstraint(
                name="reactions_plan_quiet_is_whole",
                condition=Q(quiet_from=None, sends_from=None)
                | Q(quiet_from__isnull=False, sends_from__isnull=False) & ~Q(quiet_from=models.F("sends_from")),
            )
        ]

    def __str__(self) -> str:
        return f"Check-ins of {self.clinic}"

    @classmethod
    def of(cls, clinic: Clinic) -> "CheckInPlan":
        """The clinic's plan; where nothing was decided one with the default steps and no quiet hours."""
        return cls.of_each([clinic])[clinic.pk]

    @classmethod
    def of_each(cls, clinics: Iterable[Clinic]) -> "dict[int, CheckInPlan]":
        """{clinic's key: its plan, as `of` gives it}, in one query."""
        wanted = {clinic.pk: clinic for clinic in clinics}
        decided = {plan.clinic_id: plan for plan in cls.objects.filter(clinic__in=wanted)}
        undecided = {pk: cls(clinic=clinic, quiet_from=None, sends_from=None) for pk, clinic in wanted.items()}
        return undecided | decided

    def clean(self) -> None:
        if (self.quiet_from is None) != (self.sends_from is None):
            empty = "quiet_from" if self.quiet_from is None else "sends_from"
            raise ValidationError({empty: "Give both hours, or neither."})
        if self.quiet_from is None or self.sends_from is None:
            return
        if self.quiet_from == self.sends_from:
            raise ValidationError({"sends_from": "Quiet hours that end when they begin leave no time to send."})
        if QuietHours(self.quiet_from, self.sends_from).last > LONGEST_QUIET:
            raise ValidationError({"sends_from": "That leaves less than 4 hours a day in which mails go out."})

    def quiet_hours(self) -> QuietHours | None:
        if self.quiet_from is None or self.sends_from is None:
            return None
        return QuietHours(self.quiet_from, self.sends_from)

    def steps_in_use(self) -> tuple[Step, ...]:
        """The active steps by time; the default ones where the clinic wrote none."""
        rows = list(self.steps.all()) if self.pk else []
        if not rows:
            return DEFAULT_PLAN
        return tuple(sorted((row.step() for row in rows if row.is_active), key=lambda step: step.after_end))


class PlanStep(models.Model):
    """One check-in of the plan. A step with a new key is a new check-in, also for the courses that are open."""

    HOURS, DAYS = "hours", "days"

    plan = models.ForeignKey(CheckInPlan, models.CASCADE, related_name="steps")
    key = models.CharField(
        max_length=20,
        validators=[RegexValidator(r"^[a-z][a-z0-9_]*$", "Write small letters, digits and _, such as days_14.")],
        help_text="Such as days_14. Stays the same while the check-in is meant to be the same.",
    )
    label = models.CharField(max_length=60, help_text="What staff read, such as “14 days after”.")
    after = models.PositiveSmallIntegerField("asked after", validators=[MinValueValidator(1)])
    after_unit = models.CharField("unit", max_length=5, choices=[(HOURS, "hours"), (DAYS, "days")], default=DAYS)
    open_for_h = models.PositiveSmallIntegerField("open for (h)", default=48, help_text="How long it can be answered.")
    remind_after_h = models.PositiveSmallIntegerField(
        "reminder after (h)", null=True, blank=True, default=24, help_text="Empty: no reminder."
    )
    before_next_course = models.BooleanField(
        "or 2 days before the next course", default=False, help_text="Whichever comes first."
    )
    question_set = models.CharField(
        "questions",
        max_length=20,
        choices=[(one.name, one.label) for one in SETS.values()],
        default=EVERYTHING.name,
        help_text="Which problems are listed. Every set has the emergencies and a way to the full list.",
    )
    is_active = models.BooleanField("active", default=True)

    class Meta:
        verbose_name = "step"
        ordering = ["pk"]
        constraints = [
            models.UniqueConstraint(fields=["plan", "key"], name="reactions_planstep_key_once"),
            models.CheckConstraint(
                name="reactions_planstep_question_set_known", condition=Q(question_set__in=sorted(SETS))
            ),
        ]

    def __str__(self) -> str:
        return self.label

    @classmethod
    def of_step(cls, plan: CheckInPlan, step: Step) -> "PlanStep":
        """The row that says the same as a step of whole hours."""
        in_days = step.after_end % DAY == timedelta(0) and step.after_end > 3 * DAY
        return cls(
            plan=plan,
            key=step.key,
            label=step.label,
            after=step.after_end // (DAY if in_days else HOUR),
            after_unit=cls.DAYS if in_days else cls.HOURS,
            open_for_h=step.open_for // HOUR,
            remind_after_h=None if step.remind_after is None else step.remind_after // HOUR,
            before_next_course=step.before_next_course,
            question_set=step.question_set,
        )

    def clean(self) -> None:
        errors: dict[str, str] = {}
        if self.key in OWN_KEYS:
            errors["key"] = f"“{self.key}” is the key of another kind of check-in."
        if self.after is not None and self.after_end > LATEST:
            errors["after"] = f"Ask within {LATEST.days} days of the infusion."
        if self.open_for_h is not None:
            if not OPEN_AT_LEAST <= self.open_for_h * HOUR <= LONGEST_WINDOW:
                errors["open_for_h"] = (
                    f"A check-in is open for {OPEN_AT_LEAST // HOUR} hours to {LONGEST_WINDOW.days} days"
                    f" ({LONGEST_WINDOW // HOUR} h)."
                )
            elif self.remind_after_h is not None and not 1 <= self.remind_after_h < self.open_for_h:
                errors["remind_after_h"] = "Remind after at least 1 hour, and before the check-in closes."
        if errors:
            raise ValidationError(errors)

    @property
    def after_end(self) -> timedelta:
        return self.after * (HOUR if self.after_unit == self.HOURS else DAY)

    def step(self) -> Step:
        """For the planning of check-ins."""
        return Step(
            key=self.key,
            label=self.label,
            after_end=self.after_end,
            open_for=self.open_for_h * HOUR,
            remind_after=None if self.remind_after_h is None else self.remind_after_h * HOUR,
            before_next_course=self.before_next_course,
            question_set=self.question_set,
        )
