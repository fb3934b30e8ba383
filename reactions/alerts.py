"""Who is told of an alert.

Red and amber go by mail at once, and again in rounds until a named person acknowledges the alert with what was done
(clinical.escalation says when, a clinic's AlertPolicy how often). Each round tells whom the earlier ones told and
climbs a rung: who is first on call, who is second on call, all clinicians, the administrators. Where a clinic keeps no
rota all its clinicians are told at once. A rung on which nobody has an address that takes mail is passed over at once.
When another person comes on call while an alert is open, they are told as they come.

A round that was missed, because the service stood still, is not made up for: the present one is told. Nobody is told
twice in one round, nor again while an earlier mail about the same alert still waits to leave. A mail that the server
does not take is tried again until somebody acknowledges the alert; a person whose address is refused for good is told
no more until it is corrected. Green waits on the page of alerts. An alert that can reach nobody, or has not for a
quarter of an hour, is named at the top of every staff page of its clinic and in the log.

While an alert is open, a further answer to the same check-in at the same level goes into it instead of raising another
and mailing everybody twice. It keeps its time and names what was reported before.
"""

import logging
from collections.abc import Iterable
from datetime import datetime, timedelta
from functools import cached_property

from django.db.models import Prefetch

from patients.models import Clinic, StaffRole, User, write_event
from patients.words import StaffRoleName
from reactions import outbox
from reactions.clinical.escalation import Rung, Targets, due_by, round_at, round_begins, rungs
from reactions.clinical.triage import Triage, gone_and_lasted, triage
from reactions.models import Alert, AlertPolicy, Answer, AnswerDraft, CheckIn, OnCallShift, OutboxMessage
from reactions.vocabulary import AlertLevel, MailKind, MailState, PatientSeverity, PatientSymptom

logger = logging.getLogger(__name__)

# An alert whose mails still wait after this long counts as having reached nobody: a red one is to be acknowledged
# within 15 minutes.
TOLD_WITHIN = timedelta(minutes=15)
WHY_AT_MOST = 2_000


def raise_alert(answer: Answer, *, now: datetime) -> Alert | None:
    """The alert that an answer calls for, with its mails planned; None when no problem was reported.

    Belongs inside the transaction that stores the answer.
    """
    found = triage_of(answer)
    if found.level is None:
        return None
    open_one = Alert.objects.open().filter(answer__checkin=answer.checkin_id, level=found.level).first()
    if open_one and _take_into(open_one, answer, found):
        return open_one
    alert = Alert.objects.create(
        patient=answer.checkin.patient, answer=answer, level=found.level, why=_why(found.reasons), raised_at=now
    )
    if found.level in {AlertLevel.RED, AlertLevel.AMBER}:
        people = _Staff(alert.patient.clinic, now).to_tell(alert, 0)
        for person in people:
            _plan_mail(alert, person, 0, now)
        if not people:
            said = (
                "%s alert %s can reach nobody: the clinic %s has no active clinician or administrator with an address"
            )
            logger.error(said, alert.level, alert.pk, alert.patient.clinic.slug)
    return alert


def keep_telling(now: datetime) -> int:
    """Plan the mails of the round that each open alert is in. Returns how many mails; doing it twice plans none."""
    waiting = [MailState.QUEUED, MailState.SENDING]
    mails = OutboxMessage.objects.order_by("pk").only("alert", "recipient", "idempotency_key", "state", "sent_at")
    alerts = Alert.objects.open().mailed().select_related("patient__clinic").prefetch_related(Prefetch("mails", mails))
    staffs: dict[int, _Staff] = {}
    planned = 0
    for alert in alerts:
        clinic = alert.patient.clinic
        staff = staffs.setdefault(clinic.pk, _Staff(clinic, now))
        number = round_at(AlertLevel(alert.level), alert.raised_at, now, staff.targets)
        begins = round_begins(AlertLevel(alert.level), alert.raised_at, number, staff.targets)
        told = {
            mail.recipient_id
            for mail in alert.mails.all()
            if mail.state in waiting or (mail.sent_at and mail.sent_at >= begins and mail.state == MailState.SENT)
        }
        for person in staff.to_tell(alert, number):
            if person.pk not in told:
                _plan_mail(alert, person, number, now)
                planned += 1
    return planned


def due_times(alerts: Iterable[Alert]) -> dict[int, datetime]:
    """By when each is to be acknowledged, by the alert's key, after the targets of its clinic as they are now."""
    listed = list(alerts)
    clinics = {alert.patient.clinic_id: alert.patient.clinic for alert in listed}
    decided = {
        policy.clinic_id: policy for policy in AlertPolicy.objects.filter(clinic__in=clinics).select_related("clinic")
    }
    targets = {pk: (decided.get(pk) or AlertPolicy(clinic=clinic)).targets() for pk, clinic in clinics.items()}
    return {
        alert.pk: due_by(AlertLevel(alert.level), alert.raised_at, targets[alert.patient.clinic_id]) for alert in listed
    }


class _Staff:
    """Who can be told of alerts at a clinic at this moment, asked for once a tick."""

    def __init__(self, clinic: Clinic, now: datetime) -> None:
        self.clinic = clinic
        self.now = now

    @cached_property
    def targets(self) -> Targets:
        return AlertPolicy.of(self.clinic).targets()

    @cached_property
    def has_rota(self) -> bool:
        return OnCallShift.objects.filter(clinic=self.clinic).exists()

    @cached_property
    def rungs(self) -> dict[Rung, list[User]]:
        found: dict[Rung, list[User]] = {rung: [] for rung in Rung}
        if self.has_rota:
            shifts = OnCallShift.objects.filter(clinic=self.clinic).answering().at(self.now)
            for shift in shifts.select_related("person"):
                found[Rung(shift.rung)].append(shift.person)
        roles = StaffRole.objects.at_work().filter(clinic=self.clinic, user__is_active=True)
        for role in roles.exclude(user__email="").select_related("user").order_by("pk"):
            rung = Rung.CLINICIANS if role.role == StaffRoleName.CLINICIAN else Rung.ADMINISTRATORS
            found[rung].append(role.user)
        return found

    def to_tell(self, alert: Alert, number: int) -> list[User]:
        """Whom the round tells, and none whose mail about this alert came back."""
        lost = {mail.recipient_id for mail in alert.mails.all() if mail.state in {MailState.REFUSED, MailState.BOUNCED}}
        ladder = [
            [person for person in self.rungs[rung] if person.pk not in lost]
            for rung in rungs(AlertLevel(alert.level), has_rota=self.has_rota)
        ]
        reached = [people for people in ladder if people][: number + 1]
        return list({person.pk: person for people in reached for person in people}.values())


def _plan_mail(alert: Alert, person: User, number: int, now: datetime) -> None:
    """One mail for each alert, person and round. One that was called off, for lack of an address, is planned anew."""
    key = f"alert:{alert.pk}:{person.pk}" + (f":{number}" if number else "")
    outbox.enqueue(MailKind.ALERT, key=key, due_at=now, alert=alert, recipient=person)
    outbox.queue_called_off(key, now)


def _take_into(alert: Alert, answer: Answer, found: Triage) -> bool:
    """Let the alert be about the newer answer; False when somebody acknowledged it meanwhile."""
    before = alert.answer.checkin.answers.filter(submitted_at__gte=alert.raised_at, version__lt=answer.version)
    why = _why(found.reasons, before=[reason for earlier in before for reason in triage_of(earlier).reasons])
    if not Alert.objects.open().filter(pk=alert.pk).update(answer=answer, why=why):
        return False
    patient, changes = answer.checkin.patient, {"answer": [alert.answer_id, answer.pk], "why": [alert.why, why]}
    alert.answer, alert.why = answer, why
    write_event("alert.updated", by=None, about=alert, clinic=patient.clinic, patient_id=patient.pk, changes=changes)
    return True


def triage_of(answer: Answer) -> Triage:
    """The level of a stored answer and why, each symptom by its own beginning and end."""
    rows = {PatientSymptom(row.symptom): row for row in answer.symptoms.all()}
    told = {symptom: (row.began_at, row.still_there) for symptom, row in rows.items()}
    return triage(
        {symptom: PatientSeverity(row.severity) for symptom, row in rows.items()},
        has_problem=answer.has_problem,
        care_sought=answer.care_sought,
        still_there=answer.still_there,
        **gone_and_lasted(told, answer.submitted_at),
    )


def heard_by_clinic(checkin: CheckIn, draft: AnswerDraft | None, *, marked_anew: bool) -> frozenset[str]:
    """The symptoms that made the clinic hear red words: those a half-filled form has told, and an earlier answer's.

    An earlier answer's, `marked_anew` on the screen of the problems, are told once more. What was told as over, or in
    an answer that was not red, has to be told when it is there after all.
    """
    heard = frozenset(draft.told) if draft else frozenset()
    answer = checkin.latest_answer()
    if answer and not marked_anew and triage_of(answer).level == AlertLevel.RED:
        heard |= {row.symptom for row in answer.symptoms.all() if row.still_there is not False}
    return heard


def _why(reasons: Iterable[str], *, before: Iterable[str] = ()) -> str:
    """“Reported: chest pain; dizzy. Before: fainting or collapse”."""
    now_said = list(reasons)
    earlier = [reason for reason in dict.fromkeys(before) if reason not in now_said]
    return ("Reported: " + "; ".join(now_said) + (f". Before: {'; '.join(earlier)}" if earlier else ""))[:WHY_AT_MOST]
