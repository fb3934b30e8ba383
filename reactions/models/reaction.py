"""A reaction: one episode linked to an infusion, with one or more symptoms."""

from typing import Self

from django.db import models
from django.db.models import F, Q

from patients.models import Patient, Record, RecordQuerySet, User, of_visible_patients
from patients.sealing.fields import SealedCharField, SealedTextField
from reactions.clinical.ctcae import TERMS, VERSIONS
from reactions.models.chairside import ChairsideRow
from reactions.models.infusion import Infusion
from reactions.vocabulary import DRUGS, Action, Dechallenge, Outcome, Rechallenge, ReviewVerdict, Route, choices


class ReactionQuerySet(RecordQuerySet):
    def visible_to(self, user: User) -> Self:
        """Reactions of patients in the clinics in which the user works."""
        return self.filter(of_visible_patients(user, "infusion__patient"))

    def counted(self) -> Self:
        """Reactions that count in rates: neither they nor their infusion are void."""
        return self.filter(voided_at=None, infusion__voided_at=None)

    def patient_confirmed_only(self) -> Self:
        """Reactions that a patient reported first: a clinician confirmed them in review, and none saw them before.

        One that was recorded by a clinician, and that a patient reported as well, is not among them (it is merged).
        What was confirmed stays among them though the decision was revised later: where it came from does not change.
        A void one is told apart by current() or counted(), as ever.
        """
        return self.filter(decisions__verdict=ReviewVerdict.ACCEPTED)


class Reaction(Record):
    """One episode. Its onset is the earliest of its symptoms', and is kept with it for counting."""

    infusion = models.ForeignKey(Infusion, models.PROTECT, related_name="reactions")
    onset_at = models.DateTimeField("onset", null=True, blank=True, help_text="Earliest onset of a symptom.")
    resolved_at = models.DateTimeField("resolved", null=True, blank=True)
    action = models.CharField(
        "what was done to the infusion", max_length=25, choices=choices(Action), default=Action.NOT_RECORDED
    )
    treatment = SealedCharField(max_length=500, blank=True, help_text="Drugs and measures after onset, with times.")
    outcome = models.CharField(max_length=25, choices=choices(Outcome), default=Outcome.UNKNOWN)
    is_serious = models.BooleanField(
        "serious (21 CFR 600.80)",
        null=True,
        blank=True,
        help_text="Death, life-threatening, hospital stay, lasting disability or another important medical event."
        " A matter of its own, not of the grade.",
    )
    serious_criteria = models.JSONField(
        "criteria of 21 CFR 600.80 that are met", default=list, blank=True, help_text="Codes of SeriousCriterion."
    )
    dechallenge = models.CharField(
        "when slowed or stopped", max_length=15, choices=choices(Dechallenge), default=Dechallenge.NOT_RECORDED
    )
    rechallenge = models.CharField(
        "when given again", max_length=15, choices=choices(Rechallenge), default=Rechallenge.NOT_RECORDED
    )
    narrative = SealedTextField(blank=True, max_length=10_000)
    submission_id = models.UUIDField(null=True, blank=True, unique=True, editable=False)

    objects = ReactionQuerySet.as_manager()

    class Meta(Record.Meta):
        ordering = ["-onset_at", "-pk"]
        constraints = [
            *Record.Meta.constraints,
            models.CheckConstraint(
                name="reactions_reaction_resolves_after_onset",
                condition=Q(resolved_at=None) | Q(onset_at=None) | Q(resolved_at__gte=F("onset_at")),
                violation_error_message="A reaction cannot resolve before it began.",
            ),
            models.CheckConstraint(
                name="reactions_reaction_criteria_mean_serious",
                # In SQL an unknown condition holds: that seriousness is known has to be said.
                condition=Q(serious_criteria=[]) | Q(is_serious=True, is_serious__isnull=False),
                violation_error_message="A reaction that meets a criterion is serious.",
            ),
        ]
        indexes = [models.Index(fields=["infusion", "onset_at"], name="reactions_reaction_onset")]

    def __str__(self) -> str:
        return f"Reaction {self.pk}"

    @property
    def patient(self) -> Patient:
        return self.infusion.patient

    @property
    def treatments_given(self) -> list["Treatment"]:
        """The drugs and measures that were not taken back, in the order of their times."""
        return [treatment for treatment in self.treatments.all() if not treatment.is_void]

    @property
    def max_grade(self) -> int | None:
        """The worst grade among the symptoms; None when none is graded."""
        return max((s.grade for s in self.symptoms.all() if s.grade is not None), default=None)


class Symptom(models.Model):
    """One symptom with its own grade, in the version of CTCAE that it was graded by."""

    reaction = models.ForeignKey(Reaction, models.CASCADE, related_name="symptoms")
    term = models.CharField(max_length=50, choices=[(t.code, t.label) for t in TERMS.values()])
    other_text = models.CharField("in your words", max_length=200, blank=True)
    grade = models.PositiveSmallIntegerField(null=True, blank=True)
    ctcae_version = models.CharField("CTCAE version", max_length=4, choices=[(v, v) for v in VERSIONS])
    onset_at = models.DateTimeField("onset", null=True, blank=True)
    ended_at = models.DateTimeField("end", null=True, blank=True)

    class Meta:
        ordering = ["onset_at", "pk"]
        constraints = [
            models.CheckConstraint(
                name="reactions_symptom_ends_after_onset",
                condition=Q(ended_at=None) | Q(onset_at=None) | Q(ended_at__gte=F("onset_at")),
                violation_error_message="A symptom cannot end before it began.",
            ),
            models.UniqueConstraint(
                fields=["reaction", "term", "other_text"],
                name="reactions_symptom_once",
                violation_error_message="This symptom stands twice in the reaction.",
            ),
            models.CheckConstraint(
                name="reactions_symptom_grade_1_to_5", condition=Q(grade=None) | Q(grade__gte=1, grade__lte=5)
            ),
            models.CheckConstraint(
                name="reactions_symptom_other_is_named",
                condition=Q(term="other") & ~Q(other_text="") | ~Q(term="other") & Q(other_text=""),
            ),
        ]
        indexes = [models.Index(fields=["reaction", "term"], name="reactions_symptom_term")]

    def __str__(self) -> str:
        return f"{self.name}, grade {self.grade}" if self.grade else self.name

    @property
    def name(self) -> str:
        return self.other_text or TERMS[self.term].label


class Treatment(ChairsideRow):
    """A drug or measure given after the start, to treat. `reaction` is empty until the reaction is written down."""

    infusion = models.ForeignKey(Infusion, models.PROTECT, related_name="treatments")
    reaction = models.ForeignKey(Reaction, models.PROTECT, related_name="treatments", null=True, blank=True)
    drug = models.CharField(max_length=40, choices=[(code, label) for code, (label, _) in DRUGS.items()])
    other_drug = models.CharField("name of the drug", max_length=100, blank=True)
    dose = models.CharField(max_length=40, blank=True)
    route = models.CharField(max_length=5, blank=True, choices=choices(Route))

    class Meta(ChairsideRow.Meta):
        ordering = ["at", "pk"]
        constraints = [
            *ChairsideRow.Meta.constraints,
            models.UniqueConstraint(
                fields=["infusion", "drug", "other_drug", "at"],
                condition=Q(voided_at=None),
                name="reactions_treatment_once",
                violation_error_message="This drug at this time is already recorded.",
            ),
            models.CheckConstraint(
                name="reactions_treatment_other_is_named",
                condition=Q(drug="other") & ~Q(other_drug="") | ~Q(drug="other") & Q(other_drug=""),
                violation_error_message="Write the drug's name.",
            ),
        ]

    def __str__(self) -> str:
        return " ".join(part for part in (self.name, self.dose) if part)

    @property
    def name(self) -> str:
        return self.other_drug or DRUGS[self.drug][0]
