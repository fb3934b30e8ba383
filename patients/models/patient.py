"""The person who is treated, and who may see them."""

from typing import Self
from zoneinfo import ZoneInfo

from django.conf import settings
from django.db import models
from django.db.models import Q

from patients.digests import keyed_text
from patients.models.clinic import Clinic, User, validate_time_zone
from patients.models.record import Record, RecordQuerySet
from patients.words import Sex

# Why no check-in is sent, where that may be put right and the check-in goes on.
HAS_DIED = "The patient has died."
NO_ADDRESS = "No email address is recorded."
WITHDRAWN_BY_LINK = "The patient stopped the mails by the link in one."
NOT_AGREED = "The patient has not agreed to ordinary email."
MAIL_CAME_BACK = "Mail to this address came back."
MAY_PASS = (HAS_DIED, NO_ADDRESS, WITHDRAWN_BY_LINK, NOT_AGREED, MAIL_CAME_BACK)


def languages() -> list[tuple[str, str]]:
    """Each language that a patient can read, with its own name."""
    return list(settings.LANGUAGES)


def address_digest(address: str) -> str:
    """Tells two email addresses apart without being one; 64 characters. Upper and lower case are the same."""
    return keyed_text("patients.address", address.strip().lower())


class PatientQuerySet(RecordQuerySet):
    def visible_to(self, user: User) -> Self:
        """Patients of the clinics in which the user works."""
        return self.filter(clinic__in=Clinic.objects.visible_to(user))

    def matching(self, text: str) -> Self:
        """Patients each of whose given words starts a name, is in the MRN, or is the birth date (YYYY-MM-DD)."""
        found = self
        for word in text.split():
            found = found.filter(
                Q(family_name__istartswith=word)
                | Q(given_name__istartswith=word)
                | Q(family_name__icontains=f" {word}")
                | Q(given_name__icontains=f" {word}")
                | Q(mrn__icontains=word)
                | Q(birth_date__iexact=word)
            )
        return found


class Patient(Record):
    clinic = models.ForeignKey(Clinic, models.PROTECT, related_name="patients")
    mrn = models.CharField("medical record number", max_length=40)
    given_name = models.CharField(max_length=150, blank=True)
    family_name = models.CharField(max_length=150, blank=True)
    birth_date = models.DateField(null=True, blank=True)
    sex = models.CharField(max_length=10, choices=Sex.choices(), default=Sex.UNKNOWN)
    diagnosis = models.CharField(max_length=200, blank=True)
    email = models.EmailField(blank=True)
    phone = models.CharField(max_length=40, blank=True)
    time_zone = models.CharField(
        max_length=64,
        blank=True,
        validators=[validate_time_zone],
        help_text="Only when it differs from the clinic's, such as America/Denver.",
    )
    language = models.CharField(
        max_length=8, default="en", choices=languages, help_text="In which check-ins are written and answered."
    )
    # Ordinary email is unencrypted: it is used only after the person was told so and agreed (45 CFR 164.524 practice,
    # 78 FR 5634). Without these two no check-in leaves.
    email_consent_at = models.DateTimeField(null=True, blank=True, editable=False)
    email_consent_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, related_name="+", null=True, blank=True, editable=False
    )
    email_withdrawn_by_link_at = models.DateTimeField(
        null=True,
        blank=True,
        editable=False,
        help_text="When the patient stopped the mails by the link in one; empty again once they agreed anew.",
    )
    bounced_address = models.CharField(
        max_length=64,
        blank=True,
        editable=False,
        help_text="Digest of the address from which mail came back: nothing goes there until it is put right.",
    )
    died_on = models.DateField("date of death", null=True, blank=True)

    objects = PatientQuerySet.as_manager()

    class Meta(Record.Meta):
        ordering = ["family_name", "given_name", "mrn"]
        constraints = [
            *Record.Meta.constraints,
            models.UniqueConstraint(
                fields=["clinic", "mrn"],
                condition=Q(voided_at=None),
                name="patients_patient_mrn_once",
                violation_error_message="A patient with this record number is already registered.",
            ),
            models.CheckConstraint(
                name="patients_patient_consent_is_whole",
                condition=Q(email_consent_at=None, email_consent_by=None)
                | Q(email_consent_at__isnull=False, email_consent_by__isnull=False),
            ),
            models.CheckConstraint(
                name="patients_patient_withdrawn_has_no_consent",
                condition=Q(email_withdrawn_by_link_at=None) | Q(email_consent_at=None),
            ),
            models.CheckConstraint(name="patients_patient_has_mrn", condition=~Q(mrn="")),
        ]
        indexes = [models.Index(fields=["clinic", "family_name", "given_name"], name="patients_patient_by_name")]

    def __str__(self) -> str:
        return self.full_name

    @property
    def full_name(self) -> str:
        """“Given Family”, or the record number for somebody whose name is not known."""
        return f"{self.given_name} {self.family_name}".strip() or f"MRN {self.mrn}"

    @property
    def zone(self) -> ZoneInfo:
        """The zone in which the patient lives; the clinic's unless another is set."""
        return ZoneInfo(self.time_zone) if self.time_zone else self.clinic.zone

    def why_no_mail(self) -> str:
        """Why no check-in may be sent to this person; empty when it may."""
        if self.is_void:
            return "The patient record was voided."
        if self.died_on:
            return HAS_DIED
        if not self.email:
            return NO_ADDRESS
        if self.email_withdrawn_by_link_at:
            day = self.email_withdrawn_by_link_at.astimezone(self.clinic.zone).date()
            return f"{WITHDRAWN_BY_LINK} That was on {day}."
        if not self.email_consent_at:
            return NOT_AGREED
        if self.mail_came_back:
            return MAIL_CAME_BACK
        return ""

    @property
    def mail_came_back(self) -> bool:
        """Mail to the address that is recorded now came back."""
        return bool(self.bounced_address) and address_digest(self.email) == self.bounced_address
