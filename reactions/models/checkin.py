"""A check-in: one emailed question set after an infusion, and what the patient answered."""

from datetime import datetime, timedelta
from typing import Any, Self

from django.db import models
from django.db.models import Exists, OuterRef, Q

from patients.models import MAIL_CAME_BACK, Patient, User, of_visible_patients
from patients.sealing.fields import SealedTextField
from reactions.clinical.questions import EVERYTHING, SETS, QuestionSet
from reactions.clinical.triage import in_words
from reactions.models.course import Course
from reactions.models.infusion import Infusion
from reactions.models.link import Linked, Named, named_in, named_in_stop_token, path_with, stop_token
from reactions.vocabulary import (
    LABELS,
    AnsweredBy,
    CheckInKind,
    CheckInState,
    PatientSeverity,
    PatientSymptom,
    choices,
    values,
)

# Reasons of a check-in's state that decide what the patient reads at its link.
MAIL_REFUSED = "The mail was refused."
SENT_TOO_LATE = "The service did not send it in time."
SKIPPED = "It was due before this host became the sender."
RECORDED_LATE = "The infusion was recorded after this check-in's time."
PLANNED_OTHERWISE = "The clinic's plan has this check-in no more."

# Those that end when their window is over without an answer. Of its index and the query, both of which say OR: SQLite
# takes an index of some rows for values that are bound only where the two are alike, and never in IN.
WAITING_FOR_AN_ANSWER = Q(state="sent") | Q(state="open")
# It ended because no mail reaches the patient at the address that is recorded.
NOT_DELIVERED = Q(state=CheckInState.CANCELLED) & (
    Q(state_reason__startswith=MAIL_REFUSED) | Q(state_reason__startswith=MAIL_CAME_BACK)
)

# For whoever had a page open, or saved one, before the check-in closed. The page says so. This project's own.
GRACE = timedelta(hours=2)

CARE_SOUGHT = [
    ("nothing", "Nothing"),
    ("medicine", "Took a medicine"),
    ("called", "Called the clinic or a doctor"),
    ("visited", "Went to a clinic or doctor"),
    ("hospital", "Went to the emergency room or hospital"),
]


class CheckInQuerySet(models.QuerySet):
    def visible_to(self, user: User) -> Self:
        """Check-ins of patients in the clinics in which the user works."""
        return self.filter(of_visible_patients(user, "infusion__patient"))

    def not_delivered(self) -> Self:
        """Those that ended because the patient's address was refused, or because mail to it came back."""
        return self.filter(NOT_DELIVERED)

    def with_answers(self) -> Self:
        """By time, with every version of the answers, the newest first, and their symptoms and alerts."""
        answers = Answer.objects.select_related("alert__acknowledged_by").prefetch_related("symptoms")
        newest_first = models.Prefetch("answers", answers.order_by("-version"))
        return self.prefetch_related(newest_first, "mails").order_by("due_at", "pk")

    def waiting_for_an_answer(self) -> Self:
        """Those that end when their window is over."""
        return self.filter(WAITING_FOR_AN_ANSWER)

    def held(self) -> Self:
        """These, locked by key until the transaction ends: before the mails about them (order: reactions.outbox)."""
        rows: list[Any] = list(self.select_for_update(of=("self",), no_key=True).only("pk").order_by("pk"))
        return self.filter(pk__in=[row.pk for row in rows])

    def latest_due(self, now: datetime) -> Self:
        """Those after which no other of the course is due: a later one asks for the same and more."""
        later = CheckIn.objects.filter(course=OuterRef("course"), due_at__gt=OuterRef("due_at"), due_at__lte=now)
        return self.filter(~Exists(later.exclude(state=CheckInState.CANCELLED).exclude(kind=CheckInKind.REPORT)))

    def of_token(self, token: str) -> Self:
        """The check-in of a link, for whichever address it was written; empty for one that is wrong in any way."""
        return self._named(named_in(token))

    def of_stop_token(self, token: str) -> Self:
        """The check-in whose mail carried this link to stop the mails; empty for one that is wrong in any way."""
        return self._named(named_in_stop_token(token))

    def _named(self, named: Named | None) -> Self:
        found = self.filter(link_hash=named.link_hash) if named else self.none()
        return found.select_related("infusion__patient__clinic")


class CheckIn(Linked):
    """Due at a time after the end of the course's latest infusion, open until `closes_at`.

    The link is derived from `link_nonce` and the patient's address (link.py), and found again by its hash.
    """

    course = models.ForeignKey(Course, models.PROTECT, related_name="checkins")
    infusion = models.ForeignKey(Infusion, models.PROTECT, related_name="checkins", help_text="Counted from its end.")
    kind = models.CharField(max_length=20, help_text="A CheckInKind, or the key of a step that the clinic wrote.")
    label = models.CharField(max_length=60, blank=True, help_text="What the step was called.")
    question_set = models.CharField(
        max_length=20,
        choices=[(one.name, one.label) for one in SETS.values()],
        default=EVERYTHING.name,
        help_text="Which problems are listed; the step's when it was sent.",
    )
    due_at = models.DateTimeField()
    closes_at = models.DateTimeField()
    state = models.CharField(max_length=10, choices=choices(CheckInState), default=CheckInState.PLANNED)
    remind_after = models.DurationField(null=True, blank=True, help_text="After its mail; empty for no reminder.")
    state_reason = models.CharField(max_length=200, blank=True, help_text="Why it was cancelled or missed.")
    sent_at = models.DateTimeField(null=True, blank=True)
    answered_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    objects = CheckInQuerySet.as_manager()

    class Meta:
        verbose_name = "check-in"
        ordering = ["due_at"]
        constraints = [
            models.UniqueConstraint(
                fields=["infusion", "kind"], condition=~Q(kind=CheckInKind.REPORT), name="reactions_checkin_kind_once"
            ),
            models.CheckConstraint(
                name="reactions_checkin_closes_after_due", condition=Q(closes_at__gt=models.F("due_at"))
            ),
            models.CheckConstraint(
                name="reactions_checkin_answered_is_whole",
                condition=Q(state="answered", answered_at__isnull=False) | ~Q(state="answered") & Q(answered_at=None),
            ),
            models.CheckConstraint(
                name="reactions_checkin_reason_when_cancelled", condition=~Q(state="cancelled", state_reason="")
            ),
            models.CheckConstraint(
                name="reactions_checkin_sent_has_time", condition=~Q(state="sent") | Q(sent_at__isnull=False)
            ),
            models.CheckConstraint(name="reactions_checkin_state_known", condition=Q(state__in=values(CheckInState))),
            models.CheckConstraint(
                name="reactions_checkin_question_set_known", condition=Q(question_set__in=sorted(SETS))
            ),
        ]
        indexes = [
            models.Index(fields=["due_at"], condition=Q(state="planned"), name="reactions_checkin_planned"),
            models.Index(fields=["closes_at"], condition=WAITING_FOR_AN_ANSWER, name="reactions_checkin_open"),
            models.Index(fields=["closes_at"], condition=Q(state="cancelled"), name="reactions_checkin_ended"),
        ]

    def __str__(self) -> str:
        return f"Check-in {self.get_kind_display()}"

    def get_kind_display(self) -> str:
        """What staff read: the step's name when it was planned."""
        return self.label or LABELS[CheckInKind].get(self.kind, self.kind)

    @property
    def asked(self) -> QuestionSet:
        return SETS[self.question_set]

    @property
    def patient(self) -> Patient:
        return self.infusion.patient

    @property
    def is_of_void_record(self) -> bool:
        """The infusion or the patient was voided: nothing more is asked, told or taken down about it."""
        return self.infusion.is_void or self.patient.is_closed

    def stop_path(self) -> str:
        """The path at which the patient stops the mails. Ask for `link_path` first: it brings the hash up to date."""
        return path_with(stop_token(self.link_hash, self.patient.email), "reactions:stop_mails")

    def stops_with(self, token: str) -> bool:
        """The token to stop the mails was written for the address that is recorded now."""
        return self._is_for_its_reader(named_in_stop_token(token))

    def why_closed(self, now: datetime, *, begun_at: datetime | None = None) -> str:
        """The state that keeps an answer from being taken, or empty while the check-in is open.

        Whoever had begun by `begun_at`, before it closed, has GRACE more: an answer being typed is not cut off.
        """
        # Whoever has the link of a mail that came back has the mail after all, and is heard.
        if self.is_of_void_record or (self.state == CheckInState.CANCELLED and not self.came_back):
            return CheckInState.CANCELLED
        if self.state == CheckInState.MISSED:
            return CheckInState.MISSED
        in_time = begun_at is not None and begun_at < self.closes_at
        return CheckInState.EXPIRED if self.closes_at + (GRACE if in_time else timedelta(0)) <= now else ""

    def why_not_sent(self) -> str:
        """Why a planned check-in will not be sent as the record stands now; empty when it will, or is not planned."""
        if self.state != CheckInState.PLANNED:
            return ""
        return "The infusion was voided." if self.infusion.is_void else self.patient.why_no_mail()

    @property
    def was_refused(self) -> bool:
        """It ended because the mail server refused the patient's address."""
        return self.state == CheckInState.CANCELLED and self.state_reason.startswith(MAIL_REFUSED)

    @property
    def came_back(self) -> bool:
        """It ended because its mail, or one before it to the same address, came back."""
        return self.state == CheckInState.CANCELLED and self.state_reason.startswith(MAIL_CAME_BACK)

    def taken_back(self) -> list[str]:
        """What an earlier answer reported and the latest does not, in words, the oldest first."""
        versions = sorted(self.answers.all(), key=lambda answer: answer.version)
        said = [word for answer in versions[:-1] for word in answer.words()]
        return [word for word in dict.fromkeys(said) if word not in versions[-1].words()]

    def latest_answer(self) -> "Answer | None":
        """The answer that counts: the newest version. Uses prefetched answers where there are any."""
        answers = list(self.answers.all())
        return max(answers, key=lambda answer: answer.version) if answers else None


class Answer(models.Model):
    """What a patient sent. Answering again adds a version; nothing is overwritten."""

    checkin = models.ForeignKey(CheckIn, models.PROTECT, related_name="answers")
    version = models.PositiveSmallIntegerField()
    submitted_at = models.DateTimeField()
    has_problem = models.BooleanField(help_text="A new or worse health problem since the infusion.")
    began_at = models.DateTimeField(null=True, blank=True)
    still_there = models.BooleanField(null=True, blank=True)
    care_sought = models.CharField(max_length=10, blank=True, choices=CARE_SOUGHT)
    # What the trouble did to the day, as v-safe asks it. None where that was not asked.
    could_not_work = models.BooleanField("could not work or go to school", null=True, blank=True)
    could_not_do_daily = models.BooleanField("could not do normal daily things", null=True, blank=True)
    got_care = models.BooleanField("got care from a professional", null=True, blank=True)
    comment = SealedTextField(blank=True, max_length=10_000)
    question_set = models.CharField(
        max_length=20, default=EVERYTHING.code, help_text="Name and version of what was asked, as in questions.py."
    )
    full_list = models.BooleanField(
        "opened the full list", default=False, help_text="The patient asked for all problems, whatever the set lists."
    )
    language = models.CharField(max_length=8, default="en", blank=True, help_text="Empty when taken down by telephone.")
    answered_by = models.CharField(max_length=10, choices=choices(AnsweredBy), default=AnsweredBy.PATIENT)
    submission_id = models.UUIDField(
        null=True, blank=True, unique=True, editable=False, help_text="Of the form: sent twice, it is one answer."
    )

    class Meta:
        ordering = ["checkin", "version"]
        constraints = [models.UniqueConstraint(fields=["checkin", "version"], name="reactions_answer_version_once")]

    def __str__(self) -> str:
        return "A problem was reported" if self.has_problem else "No new or worse problem"

    def words(self) -> list[str]:
        """What was reported, each symptom in the words that the patient read; empty when nothing was."""
        named = [in_words(PatientSymptom(row.symptom)) for row in self.symptoms.all()]
        return named or (["a problem without a symptom named"] if self.has_problem else [])

    def says(
        self,
        *,
        has_problem: bool,
        details: dict[str, Any],
        symptoms: dict[str, str],
        of_symptoms: dict[str, dict[str, Any]] | None = None,
    ) -> bool:
        """The same as these words of a form, symptom by symptom, grade by grade and time by time."""
        same_details = all(getattr(self, name) == value for name, value in details.items())
        rows = {row.symptom: row for row in self.symptoms.all()}
        same_marks = {symptom: row.severity for symptom, row in rows.items()} == symptoms
        return (
            self.has_problem == has_problem
            and same_details
            and same_marks
            and all(
                getattr(rows[symptom], name) == value
                for symptom, values in (of_symptoms or {}).items()
                for name, value in values.items()
            )
        )


class AnswerSymptom(models.Model):
    """One symptom as the patient graded it; a clinician decides what it means."""

    answer = models.ForeignKey(Answer, models.CASCADE, related_name="symptoms")
    symptom = models.CharField(max_length=20, choices=choices(PatientSymptom))
    severity = models.CharField(max_length=10, choices=choices(PatientSeverity))
    began_at = models.DateTimeField(null=True, blank=True)
    still_there = models.BooleanField(null=True, blank=True, help_text="Empty when the patient did not say.")

    class Meta:
        ordering = ["pk"]
        constraints = [models.UniqueConstraint(fields=["answer", "symptom"], name="reactions_answersymptom_once")]

    def __str__(self) -> str:
        return f"{self.get_symptom_display()} ({self.get_severity_display().lower()})"
