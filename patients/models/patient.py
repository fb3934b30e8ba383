"""The person who is treated, and who may see them."""

from collections.abc import Iterable
from typing import Any, Self
from zoneinfo import ZoneInfo

from django.conf import settings
from django.db import models, transaction
from django.db.models import Q

from patients import consent
from patients.digests import keyed_text
from patients.models.clinic import Clinic, User, of_visible_patients, validate_time_zone
from patients.models.record import Record, RecordQuerySet
from patients.sealing.fields import SealedCharField, SealedDateField, SealedEmailField
from patients.sealing.keys import digests
from patients.sealing.marks import marks_for, marks_of
from patients.words import Sex

ERASED = "The patient's personal data were erased."
# Why no check-in is sent, where that may be put right and the check-in goes on.
HAS_DIED = "The patient has died."
NO_ADDRESS = "No email address is recorded."
WITHDRAWN_BY_LINK = "The patient stopped the mails by the link in one."
NOT_AGREED = "The patient has not agreed to ordinary email."
MAIL_CAME_BACK = "Mail to this address came back."
MAY_PASS = (HAS_DIED, NO_ADDRESS, WITHDRAWN_BY_LINK, NOT_AGREED, MAIL_CAME_BACK)


# What a patient's marks are made of.
MARKED = frozenset({"clinic", "clinic_id", "mrn", "given_name", "family_name", "birth_date"})


def languages() -> list[tuple[str, str]]:
    """Each language that a patient can read, with its own name."""
    return list(settings.LANGUAGES)


def address_digest(address: str) -> str:
    """Tells two email addresses apart without being one; 64 characters. Upper and lower case are the same."""
    return keyed_text("patients.address", address.strip().lower())


def number_digests(mrn: str) -> list[str]:
    """The record number's digest under each key, 32 characters; the first is the one to keep."""
    return [digest.hex()[:32] for digest in digests("patients.patient.mrn", mrn)]


class PatientQuerySet(RecordQuerySet):
    def visible_to(self, user: User) -> Self:
        """Patients of the clinics in which the user works."""
        return self.filter(of_visible_patients(user, ""))

    def named(self) -> Self:
        """Those whose personal data were not erased."""
        return self.filter(erased_at=None)

    def matching(self, text: str, clinics: Iterable[Clinic]) -> Self:
        """Patients of the clinics each of whose given words begins a name or the MRN, or is the birth date.

        Case and accents do not matter; birth dates are written YYYY-MM-DD. Beginnings of fewer than two letters of a
        name, or three characters of a number, are found only where that is the whole.
        """
        found = self.filter(clinic__in=clinics)
        for word in text.split():
            sought = {mark for clinic in clinics for mark in marks_for(clinic.pk, word)}
            found = found.filter(pk__in=PatientMark.objects.filter(mark__in=sought).values("patient"))
        return found

    def with_number(self, mrns: Iterable[str]) -> Self:
        """Patients with one of these record numbers, written alike to the letter."""
        return self.filter(mrn_digest__in=[digest for mrn in mrns for digest in number_digests(mrn)])

    def update(self, **kwargs: Any) -> int:
        """Columns that marks are made of are changed by `save` alone, which makes them anew."""
        if marked := MARKED & kwargs.keys():
            raise TypeError(f"Patients are found by marks of {', '.join(sorted(marked))}: save each of them instead.")
        return super().update(**kwargs)

    def bulk_create(self, objs: Iterable[Any], *args: Any, **kwargs: Any) -> list[Any]:
        """With the digests and marks of each."""
        patients = list(objs)
        for patient in patients:
            patient.derive()
        with transaction.atomic():
            made: list[Any] = super().bulk_create(patients, *args, **kwargs)
            PatientMark.objects.bulk_create(marks_to_keep(made))
        return made


class Patient(Record):
    clinic = models.ForeignKey(Clinic, models.PROTECT, related_name="patients")
    mrn = SealedCharField("medical record number", max_length=40)
    mrn_digest = models.CharField(max_length=32, editable=False, help_text="Of the MRN: two patients never share one.")
    given_name = SealedCharField(max_length=150, blank=True)
    family_name = SealedCharField(max_length=150, blank=True)
    birth_date = SealedDateField(null=True, blank=True)
    sex = models.CharField(max_length=10, choices=Sex.choices(), default=Sex.UNKNOWN)
    diagnosis = models.CharField(max_length=200, blank=True)
    email = SealedEmailField(blank=True)
    phone = SealedCharField(max_length=40, blank=True)
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
    # 78 FR 5634). Without these three no check-in leaves.
    email_consent_at = models.DateTimeField(null=True, blank=True, editable=False)
    email_consent_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, related_name="+", null=True, blank=True, editable=False
    )
    email_consent_text = models.CharField(
        "text of the consent",
        max_length=10,
        blank=True,
        editable=False,
        help_text="Version and language of what was read to the patient (patients/consent.py).",
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
    erased_at = models.DateTimeField(
        null=True, blank=True, editable=False, help_text="When all that names the patient was taken out of the record."
    )
    erased_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, related_name="+", null=True, blank=True, editable=False
    )

    objects = PatientQuerySet.as_manager()

    class Meta(Record.Meta):
        # Names are sealed, and sort by nothing.
        ordering = ["-pk"]
        constraints = [
            *Record.Meta.constraints,
            models.UniqueConstraint(
                fields=["clinic", "mrn_digest"],
                condition=Q(voided_at=None),
                name="patients_patient_mrn_once",
                violation_error_message="A patient with this record number is already registered.",
            ),
            models.CheckConstraint(
                name="patients_patient_consent_is_whole",
                condition=Q(email_consent_at=None, email_consent_by=None, email_consent_text="")
                | Q(email_consent_at__isnull=False, email_consent_by__isnull=False) & ~Q(email_consent_text=""),
            ),
            models.CheckConstraint(
                name="patients_patient_withdrawn_has_no_consent",
                condition=Q(email_withdrawn_by_link_at=None) | Q(email_consent_at=None),
            ),
            models.CheckConstraint(name="patients_patient_has_mrn", condition=~Q(mrn="")),
            models.CheckConstraint(
                name="patients_patient_erased_names_nobody",
                condition=Q(erased_at=None, erased_by=None)
                | Q(
                    erased_at__isnull=False,
                    erased_by__isnull=False,
                    given_name="",
                    family_name="",
                    birth_date=None,
                    email="",
                    phone="",
                    email_consent_at=None,
                    email_withdrawn_by_link_at=None,
                    bounced_address="",
                    died_on=None,
                ),
            ),
        ]

    def __str__(self) -> str:
        return self.full_name

    def save(self, *args: Any, **kwargs: Any) -> None:
        """With the digest of the number and the marks, where what they are made of may have changed."""
        some = kwargs.get("update_fields")
        if some is not None and not MARKED & set(some):
            super().save(*args, **kwargs)
            return
        self.derive()
        if some is not None:
            kwargs["update_fields"] = {*some, "mrn_digest"}
        with transaction.atomic():
            super().save(*args, **kwargs)
            PatientMark.objects.filter(patient=self).delete()
            PatientMark.objects.bulk_create(marks_to_keep([self]))

    def derive(self) -> None:
        """Set what follows from the record number. Bulk writers call it themselves, since they pass save() by."""
        self.mrn_digest = number_digests(self.mrn)[0]

    @property
    def full_name(self) -> str:
        """“Given Family”, or the record number for somebody whose name is not known."""
        if self.erased_at:
            return f"Erased patient {self.pk}"
        return f"{self.given_name} {self.family_name}".strip() or f"MRN {self.mrn}"

    @property
    def is_closed(self) -> bool:
        """Void or erased: nothing more is written to the record."""
        return self.is_void or self.erased_at is not None

    @property
    def consent_words(self) -> tuple[str, str]:
        """What was read to the patient when they agreed, and in which language; both empty where they have not."""
        return consent.words_of(self.email_consent_text)

    @property
    def sorting_name(self) -> tuple[str, str, str]:
        """By which people are listed."""
        return self.family_name.casefold(), self.given_name.casefold(), self.mrn

    @property
    def zone(self) -> ZoneInfo:
        """The zone in which the patient lives; the clinic's unless another is set."""
        return ZoneInfo(self.time_zone) if self.time_zone else self.clinic.zone

    def why_no_mail(self) -> str:
        """Why no check-in may be sent to this person; empty when it may."""
        if self.is_void:
            return "The patient record was voided."
        if self.erased_at:
            return ERASED
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


class PatientMark(models.Model):
    """One mark by which one patient is found (patients/sealing/marks.py)."""

    patient = models.ForeignKey(Patient, models.CASCADE, related_name="+")
    mark = models.BigIntegerField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["mark", "patient"], name="patients_patientmark_once")]

    def __str__(self) -> str:
        return f"A mark of patient {self.patient_id}"


def marks_to_keep(patients: Iterable[Patient]) -> list[PatientMark]:
    """The marks of stored patients, unsaved."""
    return [
        PatientMark(patient_id=patient.pk, mark=mark)
        for patient in patients
        for mark in marks_of(
            patient.clinic_id, (patient.given_name, patient.family_name), patient.mrn, patient.birth_date
        )
    ]
