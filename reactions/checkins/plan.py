"""Which check-ins follow an infusion, and when.

Counted from the end of the course's latest infusion. +24 h catches about three quarters of delayed reactions (interview
study of children, PMC2083046); +72 h closes the window of US labels; +8 days falls in the time in which most haemolysis
shows (PMID 33433931); +28 days covers thrombosis to day 30 (Blood 2016;127:200), or 2 days
before the next course, so that it is asked before that one begins. A check-in is open until the next one
opens, that of day 8 for a week, the last for two weeks.
"""

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta

from django.db.models import QuerySet

from patients.models import Patient
from reactions import outbox
from reactions.clinical.schedule import before_next_course
from reactions.models import AnaphylaxisRecord, CheckIn, Course, Infusion, Reaction
from reactions.models.checkin import RECORDED_LATE, SENT_TOO_LATE
from reactions.models.link import new_link
from reactions.vocabulary import CheckInKind, CheckInState


@dataclass(frozen=True)
class Step:
    """One check-in: due so long after the end, open for so long."""

    kind: CheckInKind
    after_end: timedelta
    open_for: timedelta


DEFAULT_PLAN = (
    Step(CheckInKind.HOURS_24, timedelta(hours=24), timedelta(hours=48)),
    Step(CheckInKind.HOURS_72, timedelta(hours=72), timedelta(days=5)),
    Step(CheckInKind.DAYS_8, timedelta(days=8), timedelta(days=7)),
    Step(CheckInKind.DAYS_28, timedelta(days=28), timedelta(days=14)),
)

# After a reaction that meets criteria of anaphylaxis one more is asked the same evening, since symptoms can come back
# (biphasic reactions, within 1 to 72 h). The hours are this project's own.
EVENING_AT = time(20)
EVENING_AT_THE_EARLIEST_IN = timedelta(hours=1)
EVENING_OPEN_FOR = timedelta(hours=16)
EVENING_WITHIN = timedelta(hours=12)

NO_END = "The course has no finished infusion."
NO_CRITERION = "No reaction to the infusion meets criteria of anaphylaxis any more."


def plan_checkins(infusion: Infusion, *, now: datetime) -> list[CheckIn]:
    """Bring the check-ins of the infusion's course in line with its latest infusion. Doing it twice changes nothing.

    What has not been sent moves to the latest infusion; what was sent stays. Without a finished infusion what is
    planned is cancelled. Returns the check-ins of the latest infusion. Belongs inside the transaction of a verb.
    """
    course = Course.objects.select_for_update(no_key=True).get(pk=infusion.course_id)
    latest = course.infusions.current().exclude(ended_at=None).order_by("-ended_at", "-pk").first()
    if latest is None or latest.ended_at is None:
        _planned(course).update(state=CheckInState.CANCELLED, state_reason=NO_END)
        return []
    for step in DEFAULT_PLAN:
        _plan_step(step, course, latest, latest.ended_at, now)
    return list(latest.checkins.all())


def _plan_step(step: Step, course: Course, latest: Infusion, ended_at: datetime, now: datetime) -> None:
    due_at = ended_at + step.after_end
    if step.kind == CheckInKind.DAYS_28:
        zone = course.patient.zone
        due_at = before_next_course(due_at, ended_at, _next_day(course, ended_at), zone)
    closes_at = due_at + step.open_for
    over = closes_at <= now
    values = {
        "infusion": latest,
        "due_at": due_at,
        "closes_at": closes_at,
        "state": CheckInState.MISSED if over else CheckInState.PLANNED,
        "state_reason": RECORDED_LATE if over else "",
    }
    own = CheckIn.objects.filter(infusion=latest, kind=step.kind).first()
    kept = own or _planned(course).filter(kind=step.kind).order_by("-pk").first()
    if kept:
        if _can_move(kept) and not _was_missed_at(kept, due_at):
            CheckIn.objects.filter(pk=kept.pk).update(**values)
            outbox.move(kept, due_at=due_at, expires_at=closes_at)
        return
    nonce, link_hash = new_link()
    CheckIn.objects.create(course=course, kind=step.kind, link_nonce=nonce, link_hash=link_hash, **values)


def plan_for_booking(patient: Patient, *, now: datetime) -> None:
    """Bring the last check-in in line with a course that was booked, moved or taken off the bookings."""
    finished = Infusion.objects.current().filter(patient=patient).exclude(ended_at=None)
    if latest := finished.order_by("-ended_at", "-pk").first():
        plan_checkins(latest, now=now)


def _next_day(course: Course, ended_at: datetime) -> date | None:
    """The first day of the patient's next course on the patient's clocks, given or booked; None without one."""
    patient = course.patient
    others = patient.courses.exclude(pk=course.pk)
    given = Infusion.objects.current().filter(course__in=others, started_at__gt=ended_at).order_by("started_at").first()
    booked = others.booked(ended_at.astimezone(patient.zone).date()).first()
    days = [given.started_at.astimezone(patient.zone).date() if given else None, booked and booked.planned_for]
    return min((day for day in days if day), default=None)


def plan_evening(infusion: Infusion, *, now: datetime) -> None:
    """One more check-in on the evening of a reaction that meets criteria of anaphylaxis, on the patient's clocks.

    What is written down more than 12 h after the onset asks nobody that evening. Without such a reaction the check-in
    is cancelled while it is not sent. Doing it twice changes nothing. Belongs inside the transaction of a verb.
    """
    planned = CheckIn.objects.filter(infusion=infusion, kind=CheckInKind.EVENING).first()
    onset = _onset_of_anaphylaxis(infusion, now)
    if onset is None:
        if planned and planned.state == CheckInState.PLANNED:
            _end(CheckIn.objects.filter(pk=planned.pk), NO_CRITERION)
        return
    if now - onset > EVENING_WITHIN or (planned and planned.state_reason != NO_CRITERION):
        return
    evening = datetime.combine(onset.astimezone(infusion.patient.zone).date(), EVENING_AT, infusion.patient.zone)
    due_at = max(evening, now + EVENING_AT_THE_EARLIEST_IN)
    values = {"due_at": due_at, "closes_at": due_at + EVENING_OPEN_FOR}
    if planned:
        CheckIn.objects.filter(pk=planned.pk).update(state=CheckInState.PLANNED, state_reason="", **values)
        return
    nonce, link_hash = new_link()
    CheckIn.objects.create(
        course=infusion.course,
        infusion=infusion,
        kind=CheckInKind.EVENING,
        link_nonce=nonce,
        link_hash=link_hash,
        **values,
    )


def _onset_of_anaphylaxis(infusion: Infusion, now: datetime) -> datetime | None:
    """The latest onset of a reaction that meets criteria of anaphylaxis, now where it was not recorded; else None."""
    records = AnaphylaxisRecord.objects.current().exclude(criteria=[])
    reactions = Reaction.objects.current().filter(infusion=infusion, anaphylaxis__in=records)
    return max((onset or now for onset in reactions.values_list("onset_at", flat=True)), default=None)


def _can_move(checkin: CheckIn) -> bool:
    """Not sent, not answered, and not ended by anybody's decision."""
    waiting = checkin.state in {CheckInState.PLANNED, CheckInState.MISSED} or checkin.state_reason == NO_END
    return waiting and checkin.sent_at is None


def _was_missed_at(checkin: CheckIn, due_at: datetime) -> bool:
    """The service missed it at this very time: planning again does not bring it back, since a later one went out."""
    return checkin.state == CheckInState.MISSED and checkin.state_reason == SENT_TOO_LATE and checkin.due_at == due_at


def cancel_checkins(infusion: Infusion, *, reason: str, now: datetime) -> None:
    """End the check-ins of an infusion that was voided; those not sent go to the course's latest other infusion."""
    others = Infusion.objects.current().filter(course=infusion.course_id).exclude(pk=infusion.pk).exclude(ended_at=None)
    if others.exists():
        plan_checkins(infusion, now=now)
    _end(CheckIn.objects.filter(infusion=infusion), reason)


def cancel_for_patient(patient: Patient, *, reason: str, now: datetime) -> None:
    """End every check-in of the patient that is planned or open."""
    _end(CheckIn.objects.filter(infusion__patient=patient), reason)


def _end(checkins: QuerySet[CheckIn], reason: str) -> None:
    open_ones = checkins.filter(state__in=[CheckInState.PLANNED, CheckInState.OPEN, CheckInState.SENT])
    open_ones.update(state=CheckInState.CANCELLED, state_reason=reason)


def _planned(course: Course) -> QuerySet[CheckIn]:
    return CheckIn.objects.filter(course=course, state=CheckInState.PLANNED)
