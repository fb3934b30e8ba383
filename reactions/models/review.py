"""What clinicians made of what patients reported: each report is accepted, merged or rejected, and may be revised.

A report is a check-in in which a patient told of a problem. Its newest answer counts. What the patient graded and what
a clinician graded stay apart: a decision links the two and changes neither.
"""

from datetime import datetime
from typing import Self

from django.conf import settings
from django.db import models
from django.db.models import Exists, OuterRef, Q, Subquery

from patients.models import AppendOnly, Patient
from patients.models.append_only import AppendOnlyQuerySet
from patients.sealing.fields import SealedCharField
from reactions.models.checkin import Answer, CheckIn, CheckInQuerySet
from reactions.models.reaction import Reaction
from reactions.vocabulary import RejectReason, ReviewVerdict, choices


class ReviewDecisionQuerySet(AppendOnlyQuerySet):
    def standing(self) -> Self:
        """The newest decision about each report; the earlier ones were revised."""
        later = self.model._default_manager.filter(checkin=OuterRef("checkin"), version__gt=OuterRef("version"))
        return self.filter(~Exists(later))

    def in_force(self) -> Self:
        """Those that stand and lead to no void reaction: where they are about the newest answer, nothing is to do."""
        return self.standing().filter(Q(reaction=None) | Q(reaction__voided_at=None))


class ReviewDecision(AppendOnly):
    """One decision about one version of what a patient said. The newest counts; the earlier ones stay."""

    checkin = models.ForeignKey(CheckIn, models.PROTECT, related_name="decisions")
    answer = models.ForeignKey(Answer, models.PROTECT, related_name="decisions", help_text="The version that was read.")
    version = models.PositiveSmallIntegerField(help_text="Counts the decisions about one check-in.")
    verdict = models.CharField(max_length=10, choices=choices(ReviewVerdict))
    reaction = models.ForeignKey(Reaction, models.PROTECT, related_name="decisions", null=True, blank=True)
    reject_reason = models.CharField(max_length=20, choices=choices(RejectReason), blank=True)
    words = SealedCharField(max_length=500, blank=True, help_text="In the clinician's own words.")
    decided_at = models.DateTimeField()
    decided_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    submission_id = models.UUIDField(unique=True, editable=False)

    objects = ReviewDecisionQuerySet.as_manager()  # type: ignore[misc]

    class Meta:
        verbose_name = "decision about a report"
        verbose_name_plural = "decisions about reports"
        ordering = ["checkin", "-version"]
        constraints = [
            models.UniqueConstraint(fields=["checkin", "version"], name="reactions_review_version_once"),
            models.UniqueConstraint(
                fields=["reaction"], condition=Q(verdict="accepted"), name="reactions_review_accepted_once"
            ),
            models.CheckConstraint(
                name="reactions_review_is_whole",
                condition=Q(verdict__in=["accepted", "merged"], reaction__isnull=False, reject_reason="")
                | Q(verdict="rejected", reaction=None) & ~Q(reject_reason=""),
            ),
        ]

    def __str__(self) -> str:
        if self.verdict == ReviewVerdict.REJECTED:
            return f"{self.get_verdict_display()}: {self.get_reject_reason_display().lower()}"
        return str(self.get_verdict_display())

    @property
    def patient(self) -> Patient:
        return self.checkin.patient


class ReportQuerySet(CheckInQuerySet):
    def reported(self) -> Self:
        """Check-ins in which a problem was reported, taken back since or not, of records that are not void."""
        told = Answer.objects.filter(checkin=OuterRef("pk"), has_problem=True)
        return self.filter(Exists(told), infusion__voided_at=None, infusion__patient__voided_at=None)

    def to_review(self) -> Self:
        """Reports whose newest answer nobody has decided about, or whose reaction was voided after the decision."""
        newest = Answer.objects.filter(checkin=OuterRef("pk")).order_by("-version")
        decided = ReviewDecision.objects.in_force().filter(checkin=OuterRef("pk"), answer=OuterRef("newest_answer"))
        return self.reported().annotate(newest_answer=Subquery(newest.values("pk")[:1])).filter(~Exists(decided))

    def longest_waiting_first(self) -> Self:
        newest = Answer.objects.filter(checkin=OuterRef("pk")).order_by("-version")
        return self.annotate(told_at=Subquery(newest.values("submitted_at")[:1])).order_by("told_at", "pk")

    def with_all_told(self) -> Self:
        """With the patient, every version of the answers, their alerts, and the decisions."""
        decisions = ReviewDecision.objects.select_related("decided_by", "reaction").order_by("-version")
        return self.select_related(
            "infusion__patient__clinic", "infusion__product", "infusion__course"
        ).prefetch_related(
            models.Prefetch(
                "answers",
                Answer.objects.select_related("alert__acknowledged_by")
                .prefetch_related("symptoms")
                .order_by("-version"),
            ),
            models.Prefetch("decisions", decisions.prefetch_related("reaction__symptoms")),
        )


class Report(CheckIn):
    """A check-in, as the report of a patient that it holds."""

    objects = ReportQuerySet.as_manager()  # type: ignore[misc]

    class Meta:
        proxy = True
        verbose_name = "patient's report"

    @property
    def newest(self) -> Answer:
        """The version of the answer that counts. Raises LookupError where nothing was answered."""
        answer = self.latest_answer()
        if answer is None:
            raise LookupError("Nothing was answered.")
        return answer

    @property
    def decision(self) -> ReviewDecision | None:
        """The newest decision, be it about an earlier version of the answer; None while there is none."""
        return max(self.decisions.all(), key=lambda decision: decision.version, default=None)

    @property
    def is_decided(self) -> bool:
        """There is nothing to do: the newest answer is decided about, and the reaction that it led to is not void."""
        decision = self.decision
        if decision is None or decision.answer_id != self.newest.pk:
            return False
        return decision.reaction is None or not decision.reaction.is_void

    @property
    def left_behind(self) -> list[Reaction]:
        """Reactions recorded from this report by a decision that was revised since, which still count."""
        now_is = self.decision.reaction_id if self.decision else None
        accepted = [row.reaction for row in self.decisions.all() if row.verdict == ReviewVerdict.ACCEPTED]
        return [made for made in accepted if made and made.pk != now_is and not made.is_void]

    @property
    def read_before(self) -> Answer | None:
        """The version to compare the newest with: the one decided about, else the one before; None without one."""
        decision, newest = self.decision, self.newest
        if decision and decision.answer_id != newest.pk:
            return next((answer for answer in self.answers.all() if answer.pk == decision.answer_id), None)
        return next((answer for answer in self.answers.all() if answer.version == newest.version - 1), None)

    @property
    def began_at(self) -> datetime | None:
        """The earliest beginning that the newest answer names; None where it names none."""
        named = [row.began_at for row in self.newest.symptoms.all()] + [self.newest.began_at]
        return min((moment for moment in named if moment), default=None)

    def reactions_of_the_course(self) -> list[Reaction]:
        """The reactions recorded to any infusion of the course, the latest first, with what tells of each."""
        course = Reaction.objects.counted().filter(infusion__course=self.infusion.course_id)
        rows = course.select_related("infusion__product", "infusion__patient__clinic", "created_by")
        return list(rows.prefetch_related("symptoms").order_by("-onset_at", "-pk"))
