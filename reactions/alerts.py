"""Who is told of an alert, until someone acknowledges."""

from datetime import datetime

from patients.models import StaffRole
from patients.words import StaffRoleName
from reactions import outbox
from reactions.clinical.triage import triage
from reactions.models import Alert, Answer
from reactions.vocabulary import AlertLevel, MailKind, PatientSeverity, PatientSymptom


def raise_alert(answer: Answer, *, now: datetime) -> Alert | None:
    """Make the alert that an answer calls for and plan its mails; None when no problem was reported.

    Red and amber go by mail to the clinic's clinicians at once; green waits on the page of alerts. Belongs inside the
    transaction that stores the answer.
    """
    found = triage(
        has_problem=answer.has_problem,
        symptoms={PatientSymptom(row.symptom): PatientSeverity(row.severity) for row in answer.symptoms.all()},
        care_sought=answer.care_sought,
        still_there=answer.still_there,
    )
    if found.level is None:
        return None
    patient = answer.checkin.patient
    why = "Reported: " + ", ".join(found.reasons)
    alert = Alert.objects.create(patient=patient, answer=answer, level=found.level, why=why[:300], raised_at=now)
    if found.level in {AlertLevel.RED, AlertLevel.AMBER}:
        _plan_mails(alert, now)
    return alert


def _plan_mails(alert: Alert, now: datetime) -> None:
    roles = StaffRole.objects.filter(
        clinic=alert.patient.clinic, role=StaffRoleName.CLINICIAN, is_active=True, user__is_active=True
    )
    for role in roles.exclude(user__email="").select_related("user"):
        key = f"alert:{alert.pk}:{role.user_id}"
        outbox.enqueue(MailKind.ALERT, key=key, due_at=now, alert=alert, recipient=role.user)
