"""The verbs around what comes back: a patient stops the mails, a mail is returned, somebody puts it right.

Nobody is signed in behind the first two: they are told by the patient's link, the mail provider or a returned mail.
"""

from collections.abc import Collection
from datetime import datetime

from django.db import transaction
from django.db.models import F

from patients.models import MAIL_CAME_BACK, WITHDRAWN_BY_LINK, Patient, User, address_digest, write_event
from reactions import worklist
from reactions.models import CheckIn, OutboxMessage, WorkItem
from reactions.recording.writing import write_about
from reactions.vocabulary import CheckInState, MailState, WorkKind

# States of a mail that may have reached a mail server: with a try that broke off it may be waiting for the next one.
MAY_HAVE_LEFT = [MailState.SENT, MailState.SENDING, MailState.QUEUED]


@transaction.atomic
def withdraw_email(checkin: CheckIn, *, now: datetime) -> bool:
    """Take the patient's consent to email back, as they asked by the link in the mail of this check-in.

    What is planned is cancelled; a check-in that was sent can still be answered. Doing it twice changes nothing.
    Returns whether it changed something.
    """
    patient = _hold(checkin.patient)
    if patient.email_consent_at is None:
        return False
    changes = {
        "email_consent_at": [str(patient.email_consent_at), None],
        "email_withdrawn_by_link_at": [None, str(now)],
    }
    # Counted up, so that a form which was opened before does not give the consent back.
    Patient.objects.filter(pk=patient.pk).update(
        email_consent_at=None,
        email_consent_by=None,
        email_consent_text="",
        email_withdrawn_by_link_at=now,
        version=F("version") + 1,
    )
    planned = CheckIn.objects.filter(infusion__patient=patient, state=CheckInState.PLANNED)
    planned.update(state=CheckInState.CANCELLED, state_reason=WITHDRAWN_BY_LINK)
    reason = "By the patient's link."
    write_event(
        "email.withdrawn",
        by=None,
        about=patient,
        clinic=patient.clinic,
        patient_id=patient.pk,
        changes=changes,
        reason=reason,
    )
    worklist.drop_about_patient(patient, WorkKind.BOUNCED, because="The patient stopped the mails.", now=now)
    worklist.follow_patient(patient, WorkKind.UNSUBSCRIBED, now=now)
    return True


@transaction.atomic
def record_bounce(
    message_id: str,
    *,
    words: str,
    for_good: bool,
    given_up: bool = False,
    addresses: Collection[str] = (),
    now: datetime,
) -> bool:
    """Write down that the mail of this Message-ID came back, or (`for_good` false) is held up on its way.

    With `given_up` the server tries no further, though the address may be right: a mailbox that is full, a way that was
    closed for too long. Then the address still gets what comes later.
    `addresses` are those that the report names; when none is the one that the mail was last sent to, the report is
    about an address that was corrected since, or about one to which the patient has mail passed on. It is noted.
    A mail that is held up or given up, one to staff, and one whose check-in is answered change their own row alone.
    Otherwise the check-in ends, nothing more goes to the address, and an item on the worklist says so until it is put
    right. A report that is known changes nothing. `words` hold no address. Returns whether a mail of ours was meant.
    """
    message = OutboxMessage.objects.filter(message_id=message_id).with_all_it_says().first()
    if message is None:
        return False
    patient = _hold(message.checkin.patient) if message.checkin else None
    if patient and patient.erased_at:
        # A server's words may name the person.
        return True
    mails = OutboxMessage.objects.filter(pk=message.pk, state__in=MAY_HAVE_LEFT).exclude(sent_to="", attempts=0)
    checkin = CheckIn.objects.select_for_update(no_key=True).get(pk=message.checkin.pk) if message.checkin else None
    elsewhere = bool(addresses and message.sent_to) and message.sent_to not in map(address_digest, addresses)
    if not for_good or elsewhere or (checkin and checkin.state == CheckInState.ANSWERED):
        if not for_good:
            why = "Given up" if given_up else "Held up"
        else:
            why = "Came back from another address" if elsewhere else "Came back later"
        note = f"{why}: {words}"[:300]
        mails.exclude(last_error=note).update(last_error=note)
        return True
    came_back = mails.update(
        state=MailState.BOUNCED,
        bounced_at=now,
        last_error=words[:300],
        refused_address=F("sent_to"),
        lease_until=None,
        tried_at=None,
    )
    if came_back and checkin and patient:
        _end_what_came_back(checkin, patient, message, words, now)
    return True


def _end_what_came_back(checkin: CheckIn, patient: Patient, message: OutboxMessage, words: str, now: datetime) -> None:
    reason = f"{MAIL_CAME_BACK} {words}"[:200]
    open_ones = CheckIn.objects.filter(pk=checkin.pk, state__in=[CheckInState.PLANNED, CheckInState.SENT])
    open_ones.update(state=CheckInState.CANCELLED, state_reason=reason)
    write_event(
        "mail.came_back", by=None, about=message, clinic=patient.clinic, patient_id=patient.pk, reason=words[:500]
    )
    digest = address_digest(patient.email)
    if not patient.email or message.sent_to not in {"", digest}:
        # It went to an address that has been put right since.
        return
    Patient.objects.filter(pk=patient.pk).update(bounced_address=digest)
    if patient.email_consent_at and not patient.died_on and not patient.is_closed:
        worklist.follow_patient(patient, WorkKind.BOUNCED, now=now)


@transaction.atomic
def settle_work(item: WorkItem, *, by: User, now: datetime) -> bool:
    """Say that an item about a patient is dealt with. Returns whether it was open, and still about what was seen.

    Of mail that came back that means: the address is right, and what is open goes there once more. `item.patient` is
    the patient as the person saw them: when mail to another address came back since, nobody has said that it is right.
    """
    seen = item.patient
    if seen is None:
        raise ValueError("An item about a reaction closes when the reaction is complete.")
    # Held first: whatever comes back takes its turn, and finds the item closed or leaves it open.
    patient = _hold(seen)
    changes: dict[str, list[object]] = {"closed_at": [None, str(now)]}
    because = "Seen."
    if item.kind == WorkKind.BOUNCED:
        because = "The address was confirmed."
        if patient.bounced_address not in {"", seen.bounced_address}:
            return False
    if not WorkItem.objects.open().filter(pk=item.pk).update(closed_at=now, closed_because=because):
        return False
    if item.kind == WorkKind.BOUNCED and patient.bounced_address:
        # Counted up, so that a form which was opened before does not speak of the address as it was.
        Patient.objects.filter(pk=patient.pk).update(bounced_address="", version=F("version") + 1)
        changes["mail_came_back"] = [True, False]
    write_about(item, "work.settled", by=by, changes=changes, reason=because)
    return True


def _hold(patient: Patient) -> Patient:
    """The patient as stored, held until the transaction ends; a void one too."""
    held = Patient.objects.select_for_update(of=("self",), no_key=True).select_related("clinic")
    return held.get(pk=patient.pk)
