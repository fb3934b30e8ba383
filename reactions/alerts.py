"""Who is told of an alert.

Red and amber go by mail, at once, to every active clinician of the clinic who has an address; where there is none, to
its administrators. A mail that the server does not take is tried again until somebody acknowledges the alert; when a
clinician's address is refused for good and nobody else was told, the administrators are. Green waits on the page of
alerts. An alert that can reach nobody, or has not for a quarter of an hour, is named at the top of every staff page of
its clinic and in the log. There is no second round: whoever was told and does not react is not told again.

While an alert is open, a further answer to the same check-in at the same level goes into it instead of raising another
and mailing everybody twice. It keeps its time and names what was reported before.
"""

import logging
from collections.abc import Iterable
from datetime import datetime, timedelta

from patients.models import StaffRole, write_event
from patients.words import StaffRoleName
from reactions import outbox
from reactions.clinical.triage import Triage, gone_and_lasted, triage
from reactions.models import Alert, Answer
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
    found = _triage(answer)
    if found.level is None:
        return None
    open_one = Alert.objects.open().filter(answer__checkin=answer.checkin_id, level=found.level).first()
    if open_one and _take_into(open_one, answer, found):
        return open_one
    alert = Alert.objects.create(
        patient=answer.checkin.patient, answer=answer, level=found.level, why=_why(found.reasons), raised_at=now
    )
    if found.level in {AlertLevel.RED, AlertLevel.AMBER} and not _plan_mails(alert, now):
        said = "%s alert %s can reach nobody: the clinic %s has no active clinician or administrator with an address"
        logger.error(said, alert.level, alert.pk, alert.patient.clinic.slug)
    return alert


def tell_where_nobody_was(now: datetime) -> int:
    """Plan mails of open alerts that have none left, for whoever can be told by now. Returns how many alerts."""
    alone = Alert.objects.without_a_mail().select_related("patient__clinic")
    return sum(_plan_mails(alert, now) > 0 for alert in alone)


def _plan_mails(alert: Alert, now: datetime) -> int:
    """Plan the alert's mails; returns how many. People whose mail about this alert was refused are passed over.

    A mail that was called off, because the person had no address or did not work here for a while, is planned anew.
    """
    staff = StaffRole.objects.filter(clinic=alert.patient.clinic, is_active=True, user__is_active=True)
    refused = alert.mails.filter(state=MailState.REFUSED).values("recipient")
    reachable = staff.exclude(user__email="").exclude(user__in=refused)
    for role in (StaffRoleName.CLINICIAN, StaffRoleName.ADMINISTRATOR):
        people = [found.user for found in reachable.filter(role=role).select_related("user")]
        for person in people:
            key = f"alert:{alert.pk}:{person.pk}"
            outbox.enqueue(MailKind.ALERT, key=key, due_at=now, alert=alert, recipient=person)
            outbox.queue_called_off(key, now)
        if people:
            return len(people)
    return 0


def _take_into(alert: Alert, answer: Answer, found: Triage) -> bool:
    """Let the alert be about the newer answer; False when somebody acknowledged it meanwhile."""
    before = alert.answer.checkin.answers.filter(submitted_at__gte=alert.raised_at, version__lt=answer.version)
    why = _why(found.reasons, before=[reason for earlier in before for reason in _triage(earlier).reasons])
    if not Alert.objects.open().filter(pk=alert.pk).update(answer=answer, why=why):
        return False
    patient, changes = answer.checkin.patient, {"answer": [alert.answer_id, answer.pk], "why": [alert.why, why]}
    alert.answer, alert.why = answer, why
    write_event("alert.updated", by=None, about=alert, clinic=patient.clinic, patient_id=patient.pk, changes=changes)
    return True


def _triage(answer: Answer) -> Triage:
    rows = {PatientSymptom(row.symptom): row for row in answer.symptoms.all()}
    told = {symptom: (row.began_at, row.still_there) for symptom, row in rows.items()}
    return triage(
        {symptom: PatientSeverity(row.severity) for symptom, row in rows.items()},
        has_problem=answer.has_problem,
        care_sought=answer.care_sought,
        still_there=answer.still_there,
        **gone_and_lasted(told, answer.submitted_at),
    )


def _why(reasons: Iterable[str], *, before: Iterable[str] = ()) -> str:
    """“Reported: chest pain; dizzy. Before: fainting or collapse”."""
    now_said = list(reasons)
    earlier = [reason for reason in dict.fromkeys(before) if reason not in now_said]
    return ("Reported: " + "; ".join(now_said) + (f". Before: {'; '.join(earlier)}" if earlier else ""))[:WHY_AT_MOST]
