"""The clinic and the people who work there."""

from collections.abc import Sequence
from functools import cached_property
from typing import Self
from zoneinfo import ZoneInfo, available_timezones

from django.contrib.auth.models import AbstractUser
from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator, RegexValidator
from django.db import models
from django.db.models import Q
from django.utils import timezone

from patients.words import StaffRoleName


def validate_time_zone(name: str) -> None:
    if name not in available_timezones():
        raise ValidationError(f"“{name}” is not a time zone. Write it as Area/City, such as America/New_York.")


# A line break in a name would break the header of every mail that carries it.
one_line = RegexValidator(r"^[^\x00-\x1f\x7f\u2028\u2029]*$", "Write it on one line, without control characters.")


# Who works with records, and who reads the trail.
AT_WORK = (StaffRoleName.CLINICIAN, StaffRoleName.ADMINISTRATOR)
AUDITING = (StaffRoleName.AUDITOR, StaffRoleName.ADMINISTRATOR)


class ClinicQuerySet(models.QuerySet):
    def visible_to(self, user: "User") -> Self:
        """Clinics with whose records the user works; all for a superuser."""
        return self._as(AT_WORK, user)

    def audited_by(self, user: "User") -> Self:
        """Clinics whose audit trail the user reads; all for a superuser."""
        return self._as(AUDITING, user)

    def administered_by(self, user: "User") -> Self:
        """Clinics that the user administers; all for a superuser."""
        return self._as((StaffRoleName.ADMINISTRATOR,), user)

    def _as(self, roles: Sequence[StaffRoleName], user: "User") -> Self:
        if user.is_superuser:
            return self
        return self.filter(pk__in=StaffRole.objects.active().filter(user=user, role__in=roles).values("clinic"))


def of_visible_patients(user: "User", path: str) -> Q:
    """Rows whose patient, at this path from them, the user works with: of an own clinic, or opened in an emergency."""
    prefix = f"{path}__" if path else ""
    seen = Q(**{f"{prefix}clinic__in": Clinic.objects.visible_to(user)})
    # Who works nowhere any more has no emergencies either.
    opened = user.opened_in_emergency if user.works_somewhere and not user.is_superuser else []
    return seen | Q(**{f"{prefix}pk__in": opened}) if opened else seen


class Clinic(models.Model):
    name = models.CharField(max_length=200, validators=[one_line])
    slug = models.SlugField(unique=True, help_text="Short name for commands and addresses.")
    mail_name = models.CharField(
        max_length=200,
        blank=True,
        validators=[one_line],
        help_text="Sender's name in mails, where the clinic's own gives a diagnosis away.",
    )
    time_zone = models.CharField(
        max_length=64, default="UTC", validators=[validate_time_zone], help_text="Such as America/New_York."
    )
    phone = models.CharField(max_length=40, blank=True, help_text="Shown on every page that patients see.")
    reply_to = models.EmailField(
        "replies go to",
        blank=True,
        help_text="An address that somebody at the clinic reads. Empty: replies go to the sender's address.",
    )
    emergency_number = models.CharField(max_length=20, default="911")
    ctcae_version = models.CharField(
        max_length=4,
        choices=[("5.0", "5.0"), ("6.0", "6.0")],
        default="5.0",
        help_text="Version of CTCAE in which new symptoms are graded. Ongoing studies stay on theirs.",
    )
    asks_birth_year = models.BooleanField(
        default=False, help_text="Patients give their birth year before they answer a check-in."
    )
    asks_who_answers = models.BooleanField(
        "asks who is answering",
        default=False,
        help_text="Check-ins ask whether the patient or a parent or carer answers. Below 18 years they always do.",
    )

    keep_years = models.PositiveSmallIntegerField(
        "years that records are kept",
        null=True,
        blank=True,
        validators=[MinValueValidator(1), MaxValueValidator(100)],
        help_text="After the last infusion. Patients whose time is over are listed under Privacy, where an"
        " administrator erases what names them; nothing is erased by itself. Empty: for good.",
    )
    least_patients = models.PositiveSmallIntegerField(
        "fewest patients in a figure",
        default=0,
        validators=[MaxValueValidator(50)],
        help_text="No page, file or picture of rates shows groups of fewer patients, nor what subtracting tells of"
        " them, nor, where it hides any, the infusions behind a figure. A group that is shown may have fewer reactions."
        " Several questions with different filters may still tell of small groups. 0 shows all.",
    )

    objects = ClinicQuerySet.as_manager()

    class Meta:
        ordering = ["name"]
        constraints = [
            models.CheckConstraint(
                name="patients_clinic_keep_years",
                condition=Q(keep_years=None) | Q(keep_years__gte=1, keep_years__lte=100),
            )
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def name_in_mail(self) -> str:
        return self.mail_name or self.name

    @cached_property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.time_zone)


class User(AbstractUser):
    """A person who signs in. Roles say what they may do and where."""

    class Meta(AbstractUser.Meta):
        pass

    def __str__(self) -> str:
        return self.get_full_name() or self.username

    def first_clinic(self) -> Clinic | None:
        """The clinic whose time zone and pages a person meets first; None without a role."""
        role = self.roles.filter(is_active=True).select_related("clinic").order_by("pk").first()
        return role.clinic if role else None

    @cached_property
    def administers_something(self) -> bool:
        """True for a superuser and for an administrator of any clinic."""
        return self.is_superuser or StaffRoleName.ADMINISTRATOR in self._active_roles

    def administers(self, clinic: Clinic) -> bool:
        """True for a superuser and for an administrator of this clinic."""
        return self.is_superuser or (clinic.pk, StaffRoleName.ADMINISTRATOR) in self._roles_by_clinic

    @property
    def audits_something(self) -> bool:
        """True for a superuser, and for an auditor or administrator of any clinic."""
        return self.is_superuser or not self._active_roles.isdisjoint(AUDITING)

    @property
    def works_somewhere(self) -> bool:
        """True for a superuser, and for who works with the records of any clinic."""
        return self.is_superuser or not self._active_roles.isdisjoint(AT_WORK)

    @cached_property
    def opened_in_emergency(self) -> list[int]:
        """Patients of other clinics whose records the person opened in an emergency that is not over."""
        return list(self.emergencies.open_at(timezone.now()).values_list("patient", flat=True).distinct())

    @property
    def _active_roles(self) -> set[str]:
        return {role for _, role in self._roles_by_clinic}

    @cached_property
    def _roles_by_clinic(self) -> set[tuple[int, str]]:
        return set(StaffRole.objects.active().filter(user=self).values_list("clinic", "role"))


class StaffRoleQuerySet(models.QuerySet):
    def active(self) -> Self:
        return self.filter(is_active=True)

    def at_work(self) -> Self:
        """Active roles of those who work with records: who can be told of one."""
        return self.active().filter(role__in=AT_WORK)


class StaffRole(models.Model):
    """What one person may do in one clinic."""

    user = models.ForeignKey(User, models.PROTECT, related_name="roles")
    clinic = models.ForeignKey(Clinic, models.PROTECT, related_name="roles")
    role = models.CharField(max_length=20, choices=StaffRoleName.choices())
    is_active = models.BooleanField(default=True, help_text="Untick when the person leaves; roles are not deleted.")

    objects = StaffRoleQuerySet.as_manager()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["user", "clinic", "role"], name="patients_staffrole_once")]

    def __str__(self) -> str:
        return f"{self.user}, {self.get_role_display()} at {self.clinic}"
