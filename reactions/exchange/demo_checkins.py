"""Check-ins after the infusions of a made-up clinic: sent, mostly answered, and all of them over.

Nothing leaves and nobody has anything to do about them. The patients have not agreed to mail, no mail was ever queued,
each check-in is answered or expired, and each problem that was told is decided about. Shares are made up.
"""

import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import groupby
from operator import itemgetter
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from patients.models import Clinic, User
from reactions.clinical.questions import FIRST_DAYS, SETS
from reactions.clinical.schedule import DEFAULT_PLAN, Step, before_next_course, when_it_closes
from reactions.exchange.bulk import insert_all
from reactions.models import Answer, AnswerSymptom, CheckIn, Infusion, Reaction, ReviewDecision
from reactions.models.link import new_link
from reactions.vocabulary import CheckInState, PatientSeverity, PatientSymptom, RejectReason, ReviewVerdict

# Patients whose check-ins are made together.
TOGETHER = 500
MADE_UP = "Made up for demonstration."
# What a patient calls the terms of demo.py; others are “something else”.
IN_PATIENTS_WORDS = {
    "headache": PatientSymptom.HEADACHE,
    "chills": PatientSymptom.CHILLS,
    "fever": PatientSymptom.FEVER,
    "fatigue": PatientSymptom.TIRED,
    "nausea": PatientSymptom.NAUSEA,
    "vomiting": PatientSymptom.VOMITING,
    "myalgia": PatientSymptom.ACHES,
    "back_pain": PatientSymptom.ACHES,
    "urticaria": PatientSymptom.RASH,
}
SEVERITIES = {1: PatientSeverity.MILD, 2: PatientSeverity.MODERATE}


@dataclass
class _Course:
    """A course that was given: its last infusion, and its reactions that no check-in has told of yet."""

    pk: int
    infusion: int
    first_at: datetime
    ended_at: datetime
    reactions: list[Reaction] = field(default_factory=list)


def add_checkins(clinic: Clinic, *, by: User, seed: int, now: datetime) -> None:
    """The usual check-ins of every course of the clinic, as far as their windows are over. `by` has decided about them.

    Belongs inside a transaction, and in a clinic whose patients are all made up.
    """
    patients = list(clinic.patients.order_by("pk").values_list("pk", "mrn"))
    for start in range(0, len(patients), TOGETHER):
        batch = _Batch(by, now)
        some = dict(patients[start : start + TOGETHER])
        for patient, courses in _courses(list(some)):
            person = _Person(random.Random(f"{seed}-checkins-{some[patient]}"), clinic.zone, batch)  # noqa: S311
            person.answer(courses)
        batch.write()


def _courses(patients: list[int]) -> Iterator[tuple[int, list[_Course]]]:
    """(patient, courses in order of time), for these patients."""
    reactions: dict[int, list[Reaction]] = {}
    found = Reaction.objects.filter(infusion__patient__in=patients).exclude(onset_at=None)
    for reaction in found.select_related("infusion").prefetch_related("symptoms").order_by("onset_at"):
        reactions.setdefault(reaction.infusion.course_id, []).append(reaction)
    infusions = Infusion.objects.filter(patient__in=patients).exclude(ended_at=None).order_by("patient", "started_at")
    rows: Iterable[Any] = infusions.values_list("patient", "course", "pk", "started_at", "ended_at")
    for patient, given in groupby(rows, key=itemgetter(0)):
        courses: dict[int, _Course] = {}
        for _, pk, infusion, started_at, ended_at in given:
            course = courses.setdefault(pk, _Course(pk, infusion, started_at, ended_at, reactions.get(pk, [])))
            course.infusion, course.ended_at = infusion, ended_at
        yield patient, list(courses.values())


class _Batch:
    """Rows to be written together; those that follow from a check-in are made when it has its key."""

    def __init__(self, by: User, now: datetime) -> None:
        self.by, self.now = by, now
        self.answers: list[Answer] = []
        self.checkins: list[CheckIn] = []
        self.symptoms: list[AnswerSymptom] = []
        self.decisions: list[ReviewDecision] = []

    def write(self) -> None:
        insert_all(CheckIn, self.checkins)
        for answer in self.answers:
            answer.checkin_id = answer.checkin.pk
        insert_all(Answer, self.answers)
        for symptom in self.symptoms:
            symptom.answer_id = symptom.answer.pk
        insert_all(AnswerSymptom, self.symptoms)
        for decision in self.decisions:
            decision.answer_id, decision.checkin_id = decision.answer.pk, decision.answer.checkin_id
        insert_all(ReviewDecision, self.decisions)


class _Person:
    """One made-up patient, who answers more or less often."""

    def __init__(self, chance: random.Random, zone: ZoneInfo, batch: _Batch) -> None:
        self.chance, self.zone, self.batch = chance, zone, batch
        self.diligence = chance.uniform(0.2, 0.5) if chance.random() < 0.1 else chance.uniform(0.72, 0.9)

    def answer(self, courses: list[_Course]) -> None:
        for course, following in zip(courses, [*courses[1:], None], strict=True):
            next_day = following.first_at.astimezone(self.zone).date() if following else None
            for step in DEFAULT_PLAN:
                due_at = course.ended_at + step.after_end
                if step.before_next_course:
                    due_at = before_next_course(due_at, course.ended_at, next_day, self.zone)
                closes_at = when_it_closes(step.open_for, due_at, self.zone, None)
                if closes_at <= self.batch.now:
                    self.get(step, course, due_at, closes_at)

    def get(self, step: Step, course: _Course, due_at: datetime, closes_at: datetime) -> None:
        """One check-in, and what the patient made of it."""
        nonce, link_hash = new_link()
        checkin = CheckIn(
            course_id=course.pk,
            infusion_id=course.infusion,
            kind=step.key,
            label=step.label,
            question_set=step.question_set,
            due_at=due_at,
            closes_at=closes_at,
            remind_after=step.remind_after,
            sent_at=due_at,
            state=CheckInState.EXPIRED,
            link_nonce=nonce,
            link_hash=link_hash,
        )
        self.batch.checkins.append(checkin)
        if self.chance.random() >= self.diligence:
            return
        checkin.state = CheckInState.ANSWERED
        checkin.answered_at = due_at + timedelta(minutes=self.chance.randrange(5, 36 * 60))
        answer = Answer(
            checkin=checkin,
            version=1,
            submitted_at=checkin.answered_at,
            has_problem=False,
            question_set=SETS[step.question_set].code,
        )
        self.batch.answers.append(answer)
        if step.question_set == FIRST_DAYS.name:
            self.tell(answer, course)

    def tell(self, answer: Answer, course: _Course) -> None:
        """A reaction at home is told of, mostly before anybody knew; one that the clinic saw, now and then."""
        reaction = next(iter(course.reactions), None)
        if reaction and reaction.onset_at and reaction.onset_at <= answer.submitted_at:
            course.reactions.remove(reaction)
            was_at_home = not reaction.infusion.ended_at or reaction.onset_at > reaction.infusion.ended_at
            if was_at_home or self.chance.random() < 0.3:
                is_first = was_at_home and self.chance.random() < 0.7
                self.report(answer, reaction, ReviewVerdict.ACCEPTED if is_first else ReviewVerdict.MERGED)
        elif self.chance.random() < 0.02:
            self.report(answer, None, ReviewVerdict.REJECTED)

    def report(self, answer: Answer, reaction: Reaction | None, verdict: ReviewVerdict) -> None:
        """A problem, and what a clinician decided about it the day after."""
        answer.has_problem, answer.still_there, answer.care_sought = True, False, "nothing"
        answer.comment = MADE_UP
        felt = {PatientSymptom.TIRED: PatientSeverity.MILD}
        if reaction:
            answer.began_at = reaction.onset_at
            felt = {
                IN_PATIENTS_WORDS.get(symptom.term, PatientSymptom.OTHER): SEVERITIES.get(
                    symptom.grade or 1, PatientSeverity.SEVERE
                )
                for symptom in reaction.symptoms.all()
            }
        self.batch.symptoms += [AnswerSymptom(answer=answer, symptom=name, severity=how) for name, how in felt.items()]
        self.batch.decisions.append(
            ReviewDecision(
                answer=answer,
                version=1,
                verdict=verdict,
                reaction=reaction,
                reject_reason="" if reaction else RejectReason.NOT_RELATED,
                words=MADE_UP,
                decided_at=min(answer.submitted_at + timedelta(days=1), self.batch.now),
                decided_by=self.batch.by,
                submission_id=UUID(int=self.chance.getrandbits(128), version=4),
            )
        )
