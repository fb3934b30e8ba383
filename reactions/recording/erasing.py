"""Taking out of the records what names a patient, while what was given and what came of it goes on being counted.

GDPR art. 17 gives the right, and its paragraph 3 the limits; how long records must be kept is the clinic's law to say.
"""

import secrets
from datetime import datetime

from django.db import models, transaction
from django.db.models import F, Value
from django.db.models.functions import Cast, Concat

from patients.belonging import rows_about
from patients.models import (
    MAIL_CAME_BACK,
    AuditKey,
    IgaResult,
    Patient,
    PatientMark,
    StaleRecord,
    User,
    write_event,
)
from patients.models.patient import ERASED
from patients.sealing.fields import Sealed, SealedJSONField, sealed_fields
from patients.words import DIAGNOSES
from reactions import worklist
from reactions.checkins.plan import cancel_for_patient
from reactions.exchange.log_drugs import is_plain_dose
from reactions.models import (
    Alert,
    AnswerDraft,
    CheckIn,
    Course,
    Infusion,
    OutboxMessage,
    Premedication,
    Report,
    ReportLink,
    Symptom,
    Treatment,
    WorkItem,
    WrongBirthYear,
)
from reactions.models.checkin import MAIL_REFUSED
from reactions.models.link import new_link
from reactions.models.worklist import ABOUT_A_PATIENT
from reactions.vocabulary import MailState, WorkKind

# How the number of an erased record begins.
ERASED_NUMBER = "erased-"
# Stands where there were words.
GONE = "Erased."
# Columns in the open in which people type. Each row gets words of its own where a rule of the database asks for that.
TYPED: dict[type[models.Model], tuple[str, ...]] = {
    Course: ("label",),
    Premedication: ("other_drug",),
    Symptom: ("other_text",),
    Treatment: ("other_drug",),
}
DOSES = (Premedication, Treatment)
# Columns too short for words in their place.
BLANKED: dict[type[models.Model], str] = {IgaResult: "anti_iga_isotype"}
# Rows that are about nothing but reaching the person.
OF_NO_USE = (PatientMark, AnswerDraft, ReportLink, WrongBirthYear)


class StillOpen(Exception):
    """Somebody has yet to act on the record; `what` says on what."""

    def __init__(self, what: list[str]) -> None:
        super().__init__(", ".join(what))
        self.what = what


class ErasedBefore(Exception):
    """Nothing names the patient any more."""


@transaction.atomic
def erase_patient(patient: Patient, *, by: User, reason: str, seen_version: int, now: datetime) -> None:
    """Take everything out of the database that names the patient, for good.

    Names, record number, birth date, ways to reach them, date of death and every free text about them are overwritten,
    drafts and links deleted, check-ins ended, and the key destroyed under which the audit trail tells of them. Who did
    what when stays in the trail; infusions, reactions and answers stay, without words. `reason` stays readable, and
    should name nobody.
    Raises StaleRecord; ErasedBefore; StillOpen where an infusion runs, or an alert, a report, a serious reaction or an
    emergency access waits for somebody.
    """
    # In the order of all verbs. Whoever waits for one of these finds the record closed, and writes nothing more.
    held = Patient.objects.select_for_update(of=("self",), no_key=True).select_related("clinic").get(pk=patient.pk)
    infusions, checkins = Infusion.objects.filter(patient=held), CheckIn.objects.filter(infusion__patient=held)
    list(infusions.order_by("pk").select_for_update(of=("self",), no_key=True).values_list("pk"))
    list(checkins.order_by("pk").select_for_update(of=("self",), no_key=True).values_list("pk"))
    if held.erased_at:
        raise ErasedBefore
    if held.version != seen_version:
        raise StaleRecord
    if what := still_open(held):
        raise StillOpen(what)
    cancel_for_patient(held, reason=ERASED, now=now)
    for kind in ABOUT_A_PATIENT:
        worklist.drop_about_patient(held, WorkKind(kind), because=ERASED, now=now)
    for rows in rows_about(held):
        if rows.model in OF_NO_USE:
            rows.delete()
        elif rows.model is OutboxMessage:
            _end_mails(rows)
        elif rows.model is CheckIn:
            _forget_links(rows)
        elif rows.model is not Patient:
            _overwrite(rows)
            _overwrite_typed(rows)
    _erase_person(held, by=by, now=now)
    # What the trail told of the patient cannot be read any more; this event stands under the service's own key.
    AuditKey.objects.update_or_create(patient_id=held.pk, defaults={"key": ""})
    write_event("patient.erased", by=by, about=held, clinic=held.clinic, reason=reason)


def _end_mails(rows: models.QuerySet) -> None:
    """None leaves any more. Whoever is sending one has lost it, and writes nothing back.

    What servers said of them may name people.
    """
    unsent = rows.filter(state__in=[MailState.QUEUED, MailState.SENDING])
    unsent.update(
        state=MailState.CANCELLED,
        lease_number=F("lease_number") + 1,
        lease_until=None,
        tried_at=None,
        last_error=ERASED,
    )
    rows.exclude(last_error__in=["", ERASED]).update(last_error=GONE)
    rows.update(sent_to="", refused_address="")


def _forget_links(rows: models.QuerySet) -> None:
    """Links that were mailed open nothing, and no digest tells to which address they went."""
    for pk in rows.values_list("pk", flat=True):
        nonce, link_hash = new_link()
        rows.filter(pk=pk).update(link_nonce=nonce, link_hash=link_hash, link_address="")
    for begin in (MAIL_CAME_BACK, MAIL_REFUSED):
        rows.filter(state_reason__startswith=begin).update(state_reason=begin)


def still_open(patient: Patient) -> list[str]:
    """What somebody has yet to see to before the patient can be erased, in words."""
    found = {
        "an infusion that is running": Infusion.objects.running().filter(patient=patient),
        "an alert": Alert.objects.open().filter(patient=patient),
        "a report to review": Report.objects.to_review().filter(infusion__patient=patient),
        "an emergency access that nobody has seen to": WorkItem.objects.open().filter(
            patient=patient, kind=WorkKind.EMERGENCY
        ),
        "a serious reaction to complete": WorkItem.objects.to_do().filter(reaction__infusion__patient=patient),
    }
    return [what for what, rows in found.items() if rows.exists()]


def _overwrite(rows: models.QuerySet) -> None:
    for field in sealed_fields(rows.model):
        if isinstance(field, SealedJSONField):
            rows.update(**{field.name: field.get_default()})
        else:
            _filled(rows, field).update(**{field.name: GONE})


def _filled(rows: models.QuerySet, field: Sealed) -> models.QuerySet:
    """Where something stands: what is empty says something by that, to the database's rules too."""
    return rows.exclude(**{field.name: ""}).exclude(**{f"{field.name}__isnull": True})


def _overwrite_typed(rows: models.QuerySet) -> None:
    """Words in the open, each by others, since a reaction has no symptom and an infusion no drug twice."""
    for name in TYPED.get(rows.model, ()):
        numbered = Concat(Value(f"{GONE} ("), Cast("pk", models.CharField()), Value(")"))
        # Such as a course's “3” or “2026-04”.
        told = rows.exclude(**{name: ""}).exclude(**{f"{name}__regex": r"^[0-9 ./-]+$"})
        told.update(**{name: numbered})
    if rows.model in BLANKED:
        rows.update(**{BLANKED[rows.model]: ""})
    if rows.model in DOSES:
        typed = [row.pk for row in rows.exclude(dose="") if not is_plain_dose(row.dose)]
        rows.filter(pk__in=typed).update(dose="")


def _erase_person(patient: Patient, *, by: User, now: datetime) -> None:
    """The record number has to be something; a diagnosis in own words may say more than a diagnosis."""
    # Not to be guessed, since somebody could have been given the number.
    patient.mrn = f"{ERASED_NUMBER}{secrets.token_hex(8)}"
    patient.given_name = patient.family_name = patient.email = patient.phone = ""
    patient.birth_date = patient.died_on = None
    if patient.diagnosis not in DIAGNOSES:
        patient.diagnosis = ""
    patient.time_zone = patient.bounced_address = patient.email_consent_text = ""
    patient.email_consent_at = patient.email_consent_by = patient.email_withdrawn_by_link_at = None
    if patient.void_reason:
        patient.void_reason = GONE
    patient.erased_at, patient.erased_by = now, by
    patient.version += 1
    patient.save()
    PatientMark.objects.filter(patient=patient).delete()
