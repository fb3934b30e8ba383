"""What the patient's pages keep beside the answers: a half-filled form, a link that stays, and wrong birth years."""

from datetime import datetime, timedelta
from typing import Self
from uuid import uuid4

from django.db import models

from patients.models import Patient
from patients.sealing.fields import SealedJSONField
from reactions.models.checkin import CheckIn
from reactions.models.link import Linked, named_in, new_link


class AnswerDraft(models.Model):
    """A form that a patient has begun: what was sent screen by screen, until it is sent as an answer."""

    checkin = models.OneToOneField(CheckIn, models.CASCADE, related_name="draft")
    steps = SealedJSONField(default=dict, help_text="{screen: {field: [what was sent]}}, as the browser sent it.")
    # Red words that the clinic has from this form already, so that stepping back and forth tells nobody twice.
    told = models.JSONField(default=list, help_text="Symptoms that the clinic was told of at once.")
    submission_id = models.UUIDField(default=uuid4, editable=False)
    address = models.CharField(
        max_length=64,
        blank=True,
        editable=False,
        help_text="Digest of the address whose link began it: nobody else reads it.",
    )
    began_at = models.DateTimeField()
    saved_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"Half-filled answer to {self.checkin}"


class ReportLinkQuerySet(models.QuerySet):
    def of_token(self, token: str) -> Self:
        """The standing link of a token, for whichever address it was written; empty for one that is wrong."""
        named = named_in(token)
        found = self.filter(link_hash=named.link_hash) if named else self.none()
        return found.select_related("patient__clinic")


class ReportLink(Linked):
    """The link by which a patient reports something between check-ins. It stays as long as the patient's address."""

    patient = models.OneToOneField(Patient, models.PROTECT, related_name="report_link")
    created_at = models.DateTimeField(auto_now_add=True)

    objects = ReportLinkQuerySet.as_manager()

    def __str__(self) -> str:
        return "Link to report something between check-ins"

    @classmethod
    def of(cls, patient: Patient) -> "ReportLink":
        """The patient's link, made when there is none yet; asks nothing where it was loaded with the patient."""
        if known := getattr(patient, "report_link", None):
            return known
        nonce, link_hash = new_link()
        values = {"link_nonce": nonce, "link_hash": link_hash}
        return cls.objects.get_or_create(patient=patient, defaults=values)[0]


class WrongBirthYearQuerySet(models.QuerySet):
    def since(self, moment: datetime) -> Self:
        return self.filter(at__gt=moment)


class WrongBirthYear(models.Model):
    """A birth year that was not the patient's, counted so that nobody can try them all.

    The limits are this project's own: they wear off by themselves, and lock nobody out for good.
    """

    PER_PATIENT, PER_PATIENT_WITHIN = 5, timedelta(minutes=15)
    # Many patients can sit behind one address, of a clinic or of a provider.
    PER_ADDRESS, PER_ADDRESS_WITHIN = 30, timedelta(hours=1)

    patient = models.ForeignKey(Patient, models.CASCADE, related_name="+")
    address_hash = models.CharField(max_length=64, db_index=True, help_text="Of the network address, under our key.")
    at = models.DateTimeField(db_index=True)

    objects = WrongBirthYearQuerySet.as_manager()

    def __str__(self) -> str:
        return f"A wrong birth year at {self.at:%Y-%m-%d %H:%M}"

    @classmethod
    def too_many(cls, patient: Patient, address_hash: str, now: datetime) -> bool:
        """True while no further try is taken for this patient, or from this address."""
        own = cls.objects.filter(patient=patient).since(now - cls.PER_PATIENT_WITHIN).count()
        there = cls.objects.filter(address_hash=address_hash).since(now - cls.PER_ADDRESS_WITHIN).count()
        return own >= cls.PER_PATIENT or there >= cls.PER_ADDRESS
