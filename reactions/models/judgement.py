"""What people judged about a reaction: its cause, whether it meets criteria of anaphylaxis, and who signed it."""

from datetime import datetime
from itertools import zip_longest
from typing import Self

from django.conf import settings
from django.db import models
from django.db.models import Q

from patients.models import AppendOnly, Patient, Record, RecordQuerySet, User, of_visible_patients
from patients.sealing.fields import SealedCharField, SealedJSONField
from reactions.models.reaction import Reaction, Treatment
from reactions.vocabulary import ADRENALINE, CausalityScale, SignatureMeaning, choices


class CausalityAssessment(AppendOnly):
    """One judgement of the cause; the newest counts, the earlier ones stay. `answers` are those of the scale."""

    reaction = models.ForeignKey(Reaction, models.PROTECT, related_name="causality")
    scale = models.CharField(max_length=10, choices=choices(CausalityScale))
    answers = models.JSONField(
        default=dict, help_text="WHO-UMC: points ticked. Naranjo: question to yes, no, dont_know."
    )
    category = models.CharField(max_length=30, blank=True, help_text="Empty while the score is unfinished.")
    score = models.SmallIntegerField(null=True, blank=True)
    note = SealedCharField(max_length=500, blank=True)
    judged_at = models.DateTimeField()
    judged_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    submission_id = models.UUIDField(null=True, blank=True, unique=True, editable=False)

    class Meta:
        ordering = ["-judged_at", "-pk"]
        verbose_name = "causality assessment"
        constraints = [
            models.CheckConstraint(
                name="reactions_causality_who_umc_is_chosen", condition=~Q(scale="who_umc", category="")
            ),
        ]

    def __str__(self) -> str:
        return f"{self.get_scale_display()}: {self.category.replace('_', ' ') or 'unfinished'}"


class AnaphylaxisQuerySet(RecordQuerySet):
    def visible_to(self, user: User) -> Self:
        """Records of patients in the clinics in which the user works."""
        return self.filter(of_visible_patients(user, "reaction__infusion__patient"))

    def meeting_criteria(self) -> Self:
        """Those that meet a published criterion, of reactions that count."""
        counted = self.current().filter(reaction__voided_at=None, reaction__infusion__voided_at=None)
        return counted.exclude(criteria=[])


class AnaphylaxisRecord(Record):
    """What was seen and done when anaphylaxis was suspected, and which published criteria that meets.

    `evidence` holds the fields of clinical.anaphylaxis.Evidence that were given; `criteria` and `brown_grade` follow
    from it and are kept for counting. What else was done stands where it belongs, once: adrenaline among the
    treatments, the stop in the infusion, the resolution in the reaction. `moments` gathers it.

    A suspicion taken back is void. Suspected again, the row begins anew; its history keeps what it held.
    """

    reaction = models.OneToOneField(Reaction, models.PROTECT, related_name="anaphylaxis")
    evidence = models.JSONField(default=dict, blank=True)
    criteria = models.JSONField(default=list, blank=True, help_text="Such as C1 and W1.")
    brown_grade = models.PositiveSmallIntegerField(null=True, blank=True)
    judged_at = models.DateTimeField("what was seen was recorded", null=True, blank=True)
    ems_called_at = models.DateTimeField("emergency services called", null=True, blank=True)
    ems_arrived_at = models.DateTimeField("emergency services arrived", null=True, blank=True)

    objects = AnaphylaxisQuerySet.as_manager()

    # Each dose of adrenaline that has a tap of its own.
    ADRENALINE_MOMENTS = ("adrenaline_1_at", "adrenaline_2_at", "adrenaline_3_at")
    # Kept with this record; the other moments stand elsewhere.
    OWN_MOMENTS = ("ems_called_at", "ems_arrived_at")
    # What is empty while a suspicion was only tapped.
    FOUND = ("evidence", "criteria", "brown_grade", "judged_at", *OWN_MOMENTS)

    class Meta(Record.Meta):
        verbose_name = "anaphylaxis record"
        constraints = [
            *Record.Meta.constraints,
            models.CheckConstraint(
                name="reactions_anaphylaxis_brown_1_to_3",
                condition=Q(brown_grade=None) | Q(brown_grade__gte=1, brown_grade__lte=3),
            ),
        ]

    def __str__(self) -> str:
        if not self.is_judged:
            return "Suspected, what was seen is not recorded yet"
        return f"Meets {', '.join(self.criteria)}" if self.criteria else "Meets no criterion"

    @property
    def patient(self) -> Patient:
        return self.reaction.patient

    @property
    def is_judged(self) -> bool:
        """Somebody has written down what was seen, be it that none of it was."""
        return self.judged_at is not None

    @property
    def adrenaline(self) -> list[Treatment]:
        """The doses of adrenaline given for the reaction, in the order of their times."""
        return [given for given in self.reaction.treatments_given if given.drug == ADRENALINE]

    @property
    def stopped_at(self) -> datetime | None:
        """The infusion's end, unless the reaction began after it."""
        ended, onset = self.reaction.infusion.ended_at, self.reaction.onset_at
        return None if ended and onset and ended < onset else ended

    @property
    def moments(self) -> dict[str, datetime | None]:
        """Each time that takes a tap, wherever it is kept; None where nothing is recorded."""
        doses = zip_longest(self.ADRENALINE_MOMENTS, self.adrenaline[: len(self.ADRENALINE_MOMENTS)])
        return {
            "stopped_at": self.stopped_at,
            **{name: dose.at if dose else None for name, dose in doses},
            **{name: getattr(self, name) for name in self.OWN_MOMENTS},
            "resolved_at": self.reaction.resolved_at,
        }


class Signature(AppendOnly):
    """A clinician's signature under a version of a reaction: printed name, moment and meaning. Never changed.

    Form of 21 CFR 11.50: the printed name, the time and the meaning stand with the record. `content` was signed.
    """

    reaction = models.ForeignKey(Reaction, models.PROTECT, related_name="signatures")
    by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    printed_name = models.CharField(max_length=200)
    meaning = models.CharField(max_length=20, choices=choices(SignatureMeaning))
    signed_at = models.DateTimeField()
    version = models.PositiveIntegerField(help_text="Version of the reaction that was signed.")
    content = SealedJSONField(default=dict)

    class Meta:
        ordering = ["-signed_at", "-pk"]

    def __str__(self) -> str:
        return f"{self.printed_name}, {self.get_meaning_display().lower()}"
