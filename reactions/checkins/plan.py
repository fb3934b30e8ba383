"""Which check-ins follow an infusion, and when.

Counted from the end of the course's latest infusion. +24 h catches about three quarters of delayed reactions (interview
study of children, PMC2083046); +72 h closes the window of US labels; +8 days falls in the time in which most haemolysis
shows (PMID 33433931); +28 days covers thrombosis to day 30 (Blood 2016;127:200), or 2 days
before the next course, so that it is asked before that one begins. A check-in is open until the next one
opens, that of day 8 for a week, the last for two weeks. What each asks: clinical/questions.py.
"""

from datetime import date, datetime, time, timedelta

from django.db.models import QuerySet

from patients.models import Patient
from reactions import outbox
from reactions.clinical.questions import EVENING
from reactions.clinical.schedule import Step, before_next_course, when_it_closes, when_to_send
from reactions.models import AnaphylaxisRecord, CheckIn, CheckInPlan, Course, Infusion, Reaction
from reactions.models.checkin import PLANNED_OTHERWISE, RECORDED_LATE, SENT_TOO_LATE, SKIPPED
from reactions.models.link import new_link
from reactions.vocabulary import LABELS, CheckInKind, CheckInState, MailKind, MailState

# After a reaction that meets criteria of anaphylaxis one more is asked the same evening, since symptoms can come back
# (biphasic reactions, within 1 to 72 h). The hours are this project's own.
EVENING_AT = time(20)
EVENING_AT_THE_EARLIEST_IN = timedelta(hours=1)
EVENING_OPEN_FOR = timedelta(hours=16)
EVENING_WITHIN = timedelta(hours=12)

NO_END = "The course has no finished infusion."
NO_CRITERION = "No reaction to the infusion meets criteria of anaphylaxis any more."
OVER_BY_NEW_PLAN = "By the clinic's changed plan its time was over."


def plan_checkins(infusion: Infusion, *, now: datetime, plan_changed: bool = False) -> list[CheckIn]:
    """Bring the check-ins of the infusion's course in line with its latest infusion. Doing it twice changes nothing.

    What has not been sent moves to the latest infusion and to the clinic's plan as it is now; what was sent stays.
    Without a finished infusion what is planned is cancelled, except the evenings, and so is what the plan has no more.
    With `plan_changed` a step that would be over already is not asked of old courses. Returns the check-ins of the
    latest infusion. Belongs inside the transaction of a verb.
    """
    course = Course.objects.select_for_update(no_key=True).get(pk=infusion.course_id)
    CheckIn.objects.filter(course=course).held()
    plan = CheckInPlan.of(infusion.patient.clinic)
    latest = course.infusions.current().exclude(ended_at=None).order_by("-ended_at", "-pk").first()
    if latest is None or latest.ended_at is None:
        _planned(course).exclude(kind=CheckInKind.EVENING).update(state=CheckInState.CANCELLED, state_reason=NO_END)
        _plan_evening(infusion, plan, now, else_because=NO_END)
        return []
    steps = plan.steps_in_use()
    for step in steps:
        _plan_step(step, plan, course, latest, latest.ended_at, now, plan_changed=plan_changed)
    of_plan = {step.key for step in steps} | {CheckInKind.EVENING, CheckInKind.REPORT}
    _planned(course).exclude(kind__in=of_plan).update(state=CheckInState.CANCELLED, state_reason=PLANNED_OTHERWISE)
    _plan_evening(infusion, plan, now, else_because=PLANNED_OTHERWISE)
    return list(latest.checkins.all())


def _plan_step(
    step: Step,
    plan: CheckInPlan,
    course: Course,
    latest: Infusion,
    ended_at: datetime,
    now: datetime,
    *,
    plan_changed: bool,
) -> None:
    zone, quiet_hours = course.patient.zone, plan.quiet_hours()
    due_at = ended_at + step.after_end
    if step.before_next_course:
        due_at = before_next_course(due_at, ended_at, _next_day(course, ended_at), zone)
    closes_at = when_it_closes(step.open_for, due_at, zone, quiet_hours)
    over = closes_at <= now
    values = {
        "infusion": latest,
        "label": step.label,
        "question_set": step.question_set,
        "due_at": due_at,
        "closes_at": closes_at,
        "remind_after": step.remind_after,
        "state": CheckInState.MISSED if over else CheckInState.PLANNED,
        "state_reason": RECORDED_LATE if over else "",
    }
    own = CheckIn.objects.filter(infusion=latest, kind=step.key).first()
    kept = own or _planned(course).filter(kind=step.key).order_by("-pk").first()
    if kept:
        if _can_move(kept) and _goes_on_as_sent(kept):
            return
        if _can_move(kept) and not _was_missed_at(kept, due_at) and not (plan_changed and over):
            # Not where its mail has left this moment.
            moved = CheckIn.objects.filter(pk=kept.pk, state=kept.state, sent_at=None).update(**values)
            if moved:
                outbox.move(kept, due_at=when_to_send(max(due_at, now), zone, quiet_hours), expires_at=closes_at)
        elif plan_changed and over and kept.state == CheckInState.PLANNED:
            _end(CheckIn.objects.filter(pk=kept.pk), OVER_BY_NEW_PLAN)
        return
    if plan_changed and over:
        return
    nonce, link_hash = new_link()
    CheckIn.objects.create(course=course, kind=step.key, link_nonce=nonce, link_hash=link_hash, **values)


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
    """The check-in on the evening of an infusion, on the patient's clocks. Doing it twice changes nothing.

    After a reaction that meets criteria of anaphylaxis, and where the clinic's plan asks so, after each day of a course
    of several. What is written down more than 12 h after the onset, or the end, asks nobody that evening. Without a
    reason to ask the check-in is cancelled while it is not sent. Belongs inside the transaction of a verb.
    """
    Course.objects.select_for_update(no_key=True).get(pk=infusion.course_id)
    _plan_evening(infusion, CheckInPlan.of(infusion.patient.clinic), now, else_because=NO_CRITERION)


def _plan_evening(infusion: Infusion, plan: CheckInPlan, now: datetime, *, else_because: str) -> None:
    zone, quiet_hours = infusion.patient.zone, plan.quiet_hours()
    asked_of = _onset_of_anaphylaxis(infusion, now)
    if asked_of:
        quiet_hours = None
    else:
        asked_of = _end_of_day(infusion, plan)
    stored = CheckIn.objects.filter(infusion=infusion, kind=CheckInKind.EVENING)
    planned = stored.select_for_update(of=("self",), no_key=True).first()
    if asked_of is None:
        if planned and planned.state == CheckInState.PLANNED:
            _end(CheckIn.objects.filter(pk=planned.pk), else_because)
        return
    waits = planned is not None and planned.state == CheckInState.PLANNED
    goes_on = planned is None or waits or _ended_for(planned, NO_CRITERION, NO_END, PLANNED_OTHERWISE)
    if now - asked_of > EVENING_WITHIN or not goes_on or (planned and _goes_on_as_sent(planned)):
        return
    evening = datetime.combine(asked_of.astimezone(zone).date(), EVENING_AT, zone)
    due_at = max(evening, now + EVENING_AT_THE_EARLIEST_IN)
    if planned and waits and evening <= planned.due_at < evening + timedelta(hours=24):
        return
    values = {"due_at": due_at, "closes_at": when_it_closes(EVENING_OPEN_FOR, due_at, zone, quiet_hours)}
    if planned:
        CheckIn.objects.filter(pk=planned.pk).update(state=CheckInState.PLANNED, state_reason="", **values)
        outbox.move(planned, due_at=when_to_send(due_at, zone, quiet_hours), expires_at=values["closes_at"])
        return
    nonce, link_hash = new_link()
    CheckIn.objects.create(
        course=infusion.course,
        infusion=infusion,
        kind=CheckInKind.EVENING,
        label=LABELS[CheckInKind][CheckInKind.EVENING],
        question_set=EVENING.name,
        link_nonce=nonce,
        link_hash=link_hash,
        **values,
    )


def _end_of_day(infusion: Infusion, plan: CheckInPlan) -> datetime | None:
    """The infusion's end where the plan asks on the evening of each day of a course of several, planned or given."""
    if not plan.asks_same_evening or infusion.is_void:
        return None
    course = infusion.course
    return infusion.ended_at if course.planned_days > 1 or course.infusions.current().count() > 1 else None


def when_its_mail_leaves(checkin: CheckIn, *, now: datetime, plan: CheckInPlan | None = None) -> datetime:
    """`now`, or the end of the clinic's quiet hours, in UTC. The evening after an anaphylaxis knows no quiet hours.

    `plan` is the clinic's, where the caller has it already.
    """
    if checkin.kind == CheckInKind.EVENING and _onset_of_anaphylaxis(checkin.infusion, now):
        return now
    plan = plan or CheckInPlan.of(checkin.patient.clinic)
    return when_to_send(now, checkin.patient.zone, plan.quiet_hours())


def _onset_of_anaphylaxis(infusion: Infusion, now: datetime) -> datetime | None:
    """The latest onset of a reaction that meets criteria of anaphylaxis; None without such a one.

    One that nobody recorded counts as at the infusion's end, and as now while it runs.
    """
    records = AnaphylaxisRecord.objects.current().exclude(criteria=[])
    reactions = Reaction.objects.current().filter(infusion=infusion, anaphylaxis__in=records)
    unrecorded = infusion.ended_at or now
    return max((onset or unrecorded for onset in reactions.values_list("onset_at", flat=True)), default=None)


def _goes_on_as_sent(checkin: CheckIn) -> bool:
    """Make one that was called off, in the moment in which its mail left, one that was sent. False for any other."""
    if checkin.state != CheckInState.CANCELLED or checkin.sent_at:
        return False
    left = checkin.mails.filter(kind=MailKind.CHECKIN_INVITATION, state=MailState.SENT).first()
    if left is None:
        return False
    own = CheckIn.objects.filter(pk=checkin.pk, state=checkin.state)
    return own.update(state=CheckInState.SENT, state_reason="", sent_at=left.sent_at) > 0


def _can_move(checkin: CheckIn) -> bool:
    """Not sent, not answered, and not ended by anybody's decision."""
    goes_on = _ended_for(checkin, NO_END, PLANNED_OTHERWISE, OVER_BY_NEW_PLAN)
    waiting = checkin.state in {CheckInState.PLANNED, CheckInState.MISSED} or goes_on
    return waiting and checkin.sent_at is None


def _ended_for(checkin: CheckIn, *reasons: str) -> bool:
    """It ended for one of these reasons, and nobody has answered it since."""
    return checkin.state != CheckInState.ANSWERED and checkin.state_reason in reasons


def _was_missed_at(checkin: CheckIn, due_at: datetime) -> bool:
    """The service missed it at this very time: planning again does not bring it back.

    A later one went out, or another host sent it before this one became the sender.
    """
    missed = checkin.state == CheckInState.MISSED and checkin.state_reason in {SENT_TOO_LATE, SKIPPED}
    return missed and checkin.due_at == due_at


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
