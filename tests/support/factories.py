"""Made-up records, one function a kind. Whatever is not given gets a plausible value."""

from datetime import date, timedelta
from decimal import Decimal
from itertools import count
from typing import Any
from uuid import uuid4

from django.db import transaction
from django.utils import timezone

from patients.models import Clinic, Patient, StaffRole, User
from patients.words import StaffRoleName
from reactions import recording
from reactions.checkins.plan import plan_checkins
from reactions.clinical.ctcae import version_for
from reactions.models import (
    AnaphylaxisRecord,
    Course,
    Infusion,
    Product,
    Reaction,
    ResponseMeasures,
    Signal,
    Symptom,
)
from reactions.vocabulary import PremedicationRecord, ReactionRecord
from tests.support import PASSWORD

_numbers = count(1)


def make_staff(clinic: Clinic, username: str, role: StaffRoleName = StaffRoleName.CLINICIAN, **fields: Any) -> User:
    """Somebody who works in the clinic and signs in with tests.support.PASSWORD."""
    defaults: dict[str, Any] = {"email": f"{username}@staff.example", "is_staff": role == StaffRoleName.ADMINISTRATOR}
    user = User.objects.create_user(username, password=PASSWORD, **(defaults | fields))
    StaffRole.objects.create(user=user, clinic=clinic, role=role)
    return user


def make_patient(clinic: Clinic, **fields: Any) -> Patient:
    """A patient who agreed to email. `email_consent_at=None` makes one who did not."""
    number = next(_numbers)
    recorder = fields.pop("created_by", None) or _recorder(clinic)
    defaults = {
        "mrn": f"TEST-{number:05}",
        "given_name": "Tessa",
        "family_name": f"Synthetic{number}",
        "birth_date": date(1970, 1, 1),
        "diagnosis": "Dermatomyositis",
        "email": f"patient{number}@patients.example",
        "email_consent_at": timezone.now() - timedelta(days=30),
    }
    values = defaults | fields
    values.setdefault("email_consent_by", recorder if values["email_consent_at"] else None)
    values.setdefault("email_consent_text", "2:en" if values["email_consent_at"] else "")
    return Patient.objects.create(clinic=clinic, created_by=recorder, **values)


def make_infusion(patient: Patient, **fields: Any) -> Infusion:
    """An infusion of 30 g over 4 hours that ended 25 hours ago, in a course of its own unless one is given.

    Giving only `started_at` or only `ended_at` moves the other with it.
    """
    if "started_at" in fields:
        fields.setdefault("ended_at", fields["started_at"] + timedelta(hours=4))
    ended_at = fields.setdefault("ended_at", timezone.now() - timedelta(hours=25))
    if ended_at is not None:
        fields.setdefault("started_at", ended_at - timedelta(hours=4))
    if "course" not in fields:
        fields["course"] = Course.objects.create(patient=patient, label=f"T{next(_numbers)}")
    if "product" not in fields:
        fields["product"] = privigen()
    defaults = {
        "dose_g": Decimal(30),
        "weight_kg": Decimal(70),
        "premedication_record": PremedicationRecord.NONE,
        "reaction_record": ReactionRecord.OBSERVED,
        "created_by": patient.created_by,
    }
    return Infusion.objects.create(patient=patient, **(defaults | fields))


def make_reaction(
    infusion: Infusion, symptoms: dict[str, int | None] | None = None, minutes: int = 30, **fields: Any
) -> Reaction:
    """A reaction that began `minutes` after the start, with a grade for each CTCAE term; by default chills, grade 2."""
    onset_at = infusion.started_at + timedelta(minutes=minutes)
    defaults = {"onset_at": onset_at, "created_by": infusion.created_by}
    reaction = Reaction.objects.create(infusion=infusion, **(defaults | fields))
    for term, grade in ({"chills": 2} if symptoms is None else symptoms).items():
        version = version_for(term, infusion.clinic.ctcae_version)
        Symptom.objects.create(
            reaction=reaction, term=term, grade=grade, ctcae_version=version, onset_at=reaction.onset_at
        )
    return reaction


def suspect(infusion: Infusion, by: User | None = None, **fields: Any) -> AnaphylaxisRecord:
    """Suspected anaphylaxis, opened as with a tap half an hour after the start. No evidence is recorded."""
    return recording.suspect_anaphylaxis(
        infusion,
        by=by or infusion.created_by,
        at=fields.get("at", infusion.started_at + timedelta(minutes=30)),
        submission_id=uuid4(),
        now=timezone.now(),
    )


def make_response(patient: Patient, **fields: Any) -> ResponseMeasures:
    """A muscle test of 138 and a creatine kinase of 900, measured today."""
    today = timezone.localdate(timezone=patient.clinic.zone)
    defaults = {"measured_on": today, "mmt8": 138, "ck_u_per_l": 900, "created_by": patient.created_by}
    return ResponseMeasures.objects.create(patient=patient, **(defaults | fields))


def make_booking(patient: Patient, in_days: int = 7, **fields: Any) -> Course:
    """A course of two days and 140 g that is booked for so many days from today."""
    day = timezone.localdate(timezone=patient.clinic.zone) + timedelta(days=in_days)
    defaults = {"label": f"B{next(_numbers)}", "planned_for": day, "planned_days": 2, "planned_g": Decimal(140)}
    return Course.objects.create(patient=patient, **(defaults | fields))


def make_checkins(infusion: Infusion) -> None:
    """The check-ins of the infusion's course, in a transaction as a verb plans them."""
    with transaction.atomic():
        plan_checkins(infusion, now=timezone.now())


def make_signal(clinic: Clinic, **fields: Any) -> Signal:
    """An open signal of a lot, found just now: 4 reactions in 10 infusions. No infusions stand behind it."""
    now = timezone.now()
    defaults: dict[str, Any] = {
        "kind": "lot",
        "product": "Privigen",
        "lot": "SYN-1",
        "raised_at": now,
        "found_at": now,
        "observed": 4,
        "total": 10,
        "patients": 5,
        "expected": 0.5,
        "first_at": now - timedelta(days=30),
        "last_at": now - timedelta(days=1),
        "events": 4,
        "infusions": 10,
        "words": "4 reactions in 10 infusions, given to 5 patients; 0.5 expected.",
        "compared_with": "2 of 40 other infusions of Privigen with a reaction.",
        "method": "Made up",
        "false_alarm": "Made up",
    }
    values = defaults | fields
    values.setdefault("what", f"Lot {values['lot']} of {values['product']}")
    return Signal.objects.create(clinic=clinic, **values)


def privigen() -> Product:
    """Privigen, from the product table that ships with IVIGTrack."""
    return Product.objects.for_infusion().get(name="Privigen")


def _recorder(clinic: Clinic) -> User:
    """Who writes the record down: somebody of the clinic, newly made where nobody works there yet."""
    role = StaffRole.objects.filter(clinic=clinic, is_active=True).select_related("user").order_by("pk").first()
    return role.user if role else make_staff(clinic, f"recorder-{clinic.slug}")
