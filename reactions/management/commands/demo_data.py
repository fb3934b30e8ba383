"""Fill the database with clearly made-up clinics, people to sign in as, and check-ins that are under way."""

import random
from datetime import date, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import transaction
from django.utils import timezone

from patients.models import Clinic, Patient, StaffRole, User
from patients.registering import register_patient
from patients.words import Sex, StaffRoleName
from reactions import recording
from reactions.exchange.bulk import without_garbage_collection
from reactions.exchange.demo import demo_rows
from reactions.exchange.demo_checkins import add_checkins
from reactions.exchange.log_writer import BATCH, LogWriter
from reactions.models import ClinicProtocol, Product
from reactions.vocabulary import (
    Indication,
    PatientSeverity,
    PatientSymptom,
    PremedicationRecord,
    RateReason,
    ReactionRecord,
)

PASSWORD = "demo-ivigtrack-2026"  # noqa: S105 - printed on purpose, for made-up records only
CLINICS = (
    {"slug": "demo", "name": "Demo Infusion Clinic", "time_zone": "America/New_York", "phone": "+1 555 0100"},
    {
        "slug": "demo-two",
        "name": "Second Demo Clinic",
        "time_zone": "Europe/Paris",
        "phone": "+33 1 99 00 00 00",
        "emergency_number": "112",
    },
)
ACCOUNTS = (
    ("nurse", "Nora", "Nurse (demo)", "demo", StaffRoleName.CLINICIAN),
    ("admin", "Ada", "Administrator (demo)", "demo", StaffRoleName.ADMINISTRATOR),
    ("auditor", "Audrey", "Auditor (demo)", "demo", StaffRoleName.AUDITOR),
    ("other-nurse", "Odile", "Other Nurse (demo)", "demo-two", StaffRoleName.CLINICIAN),
)
DEMO_PROTOCOL = """Made-up protocol of the demonstration clinic.

1. Stop the infusion and call for help.
2. Follow the card on the wall.
3. Stay with the patient and write down the times."""
SECOND_CLINIC = {"patients": 5, "infusions": 30}


class Command(BaseCommand):
    help = "Make two demonstration clinics with made-up patients, and accounts to sign in with."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--patients", type=int, default=60)
        parser.add_argument("--infusions", type=int, default=600)
        parser.add_argument("--seed", type=int, default=1)
        parser.add_argument("--years", type=int, default=0, help="in which treatments ended; without it all go on")
        parser.add_argument("--no-checkins", action="store_true", help="no check-ins after the infusions of long ago")
        parser.add_argument("--force", action="store_true", help="even beside clinics that are not demonstrations")

    @without_garbage_collection()
    def handle(self, *args: Any, **options: Any) -> None:
        patients, infusions, seed = options["patients"], options["infusions"], options["seed"]
        if patients < 1 or infusions < patients:
            raise CommandError("Ask for at least one patient, and for no fewer infusions than patients.")
        others = Clinic.objects.exclude(slug__in=[clinic["slug"] for clinic in CLINICS])
        if others.exists() and not options["force"]:
            raise CommandError(
                "This database holds clinics that are not demonstrations. Made-up patients do not belong beside them;"
                " use another database, or --force."
            )
        if Patient.objects.filter(clinic__slug="demo").exists():
            self.stdout.write("The demonstration clinics are filled already; nothing was added.")
            return self.tell_logins()
        with transaction.atomic():
            first, second = (self.make_clinic(clinic) for clinic in CLINICS)
            nurse, _, _, other_nurse = (self.make_account(*account) for account in ACCOUNTS)
            self.fill(first, nurse, patients=patients, infusions=infusions, seed=seed, years=options["years"])
            self.fill(second, other_nurse, seed=seed + 1, **SECOND_CLINIC)
            if not options["no_checkins"]:
                add_checkins(first, by=nurse, seed=seed, now=timezone.now())
                add_checkins(second, by=other_nurse, seed=seed + 1, now=timezone.now())
            self.start_checkins(first, nurse, seed)
            self.start_chairside(first, nurse, seed)
        return self.tell_logins()

    def make_clinic(self, fields: dict[str, str]) -> Clinic:
        clinic, _ = Clinic.objects.get_or_create(slug=fields["slug"], defaults=fields)
        return clinic

    def make_account(self, username: str, given: str, family: str, slug: str, role: StaffRoleName) -> User:
        user, is_new = User.objects.get_or_create(
            username=username,
            defaults={"first_name": given, "last_name": family, "email": f"{username}@staff.example.org"},
        )
        if is_new:
            user.set_password(PASSWORD)
            user.save()
        StaffRole.objects.get_or_create(user=user, clinic=Clinic.objects.get(slug=slug), role=role)
        return user

    def fill(self, clinic: Clinic, by: User, *, patients: int, infusions: int, seed: int, years: int = 0) -> None:
        now = timezone.now()
        writer = LogWriter(clinic, by=by, now=now)
        batch, done = [], 0
        rows = demo_rows(
            patients=patients,
            infusions=infusions,
            seed=seed,
            zone=clinic.zone,
            today=timezone.localdate(now, clinic.zone),
            years=years,
        )
        for row in rows:
            batch.append(row)
            if len(batch) == BATCH:
                writer.write(batch)
                done += len(batch)
                batch = []
                if done % (25 * BATCH) == 0:
                    self.stderr.write(f"{done} of {infusions} infusions")
        writer.write(batch)
        self.stdout.write(f"{clinic}: {patients} patients, {done + len(batch)} infusions.")

    def start_checkins(self, clinic: Clinic, nurse: User, seed: int) -> None:
        """A few people treated in the last days, recorded as a nurse does it, so that mails leave and answers wait."""
        chance = random.Random(f"{seed}-checkins")  # noqa: S311 - made-up people, no secrets
        for number, hours_ago in enumerate((26, 30, 50, 80, 200)):
            ended = timezone.now() - timedelta(hours=hours_ago)
            patient = register_patient(
                by=nurse,
                clinic=clinic,
                details={
                    "mrn": f"DEMO-LIVE-{number + 1}",
                    "given_name": "Livia",
                    "family_name": f"Synthetic Willow {number + 1}",
                    "birth_date": ended.date() - timedelta(days=365 * (40 + number)),
                    "sex": Sex.FEMALE,
                    "diagnosis": "Dermatomyositis",
                    "email": f"demo.live.{number + 1}@example.org",
                    "phone": f"+1 555 01{10 + number}",
                },
                email_consent=True,
                now=ended,
            )
            infusion = recording.record_infusion(
                by=nurse,
                patient=patient,
                course=None,
                planned_days=1,
                details={
                    "product": Product.objects.get(name="Privigen", is_current=True),
                    "started_at": ended - timedelta(hours=4),
                    "ended_at": ended,
                    "dose_g": Decimal(35),
                    "weight_kg": Decimal(70),
                    "premedication_record": PremedicationRecord.NONE,
                    "reaction_record": ReactionRecord.OBSERVED,
                },
                vials=[{"lot": "DEMO-LIVE", "grams": Decimal(35)}],
                premedications=[],
                acknowledged=recording.Acknowledgement("Made up for demonstration."),
                submission_id=UUID(int=chance.getrandbits(128), version=4),
                now=ended,
            )
            if hours_ago == 80:
                recording.submit_answer(
                    infusion.checkins.earliest("due_at"),
                    has_problem=True,
                    details={"still_there": True, "care_sought": "medicine", "comment": "Made up for demonstration."},
                    symptoms={PatientSymptom.HEADACHE: PatientSeverity.MODERATE},
                    now=ended + timedelta(hours=25),
                )

    def start_chairside(self, clinic: Clinic, nurse: User, seed: int) -> None:
        """One person who is being treated now, booked again and measured over half a year."""
        chance, now = random.Random(f"{seed}-chairside"), timezone.now().replace(second=0, microsecond=0)  # noqa: S311

        def submission() -> UUID:
            return UUID(int=chance.getrandbits(128), version=4)

        ClinicProtocol.objects.get_or_create(clinic=clinic, defaults={"anaphylaxis_text": DEMO_PROTOCOL})
        patient = register_patient(
            by=nurse,
            clinic=clinic,
            details={
                "mrn": "DEMO-LIVE-NOW",
                "given_name": "Nola",
                "family_name": "Synthetic Aspen",
                "birth_date": date(1958, 3, 14),
                "sex": Sex.FEMALE,
                "diagnosis": "Dermatomyositis",
                "phone": "+1 555 0142",
            },
            email_consent=False,
            now=now,
        )
        recording.set_risks(patient, by=nurse, factors={"diabetes": "Diet only", "no_hypersensitivity": ""}, now=now)
        for months, mmt8, ck in ((6, 118, 2900), (4, 126, 1500), (2, 134, 700), (0, 139, 310)):
            recording.record_response(
                by=nurse,
                patient=patient,
                measures={
                    "measured_on": timezone.localdate(now, clinic.zone) - timedelta(days=30 * months),
                    "mmt8": mmt8,
                    "ck_u_per_l": ck,
                    "physician_global": Decimal(months + 1),
                },
                submission_id=submission(),
            )
        started = now - timedelta(minutes=70)
        infusion = recording.record_infusion(
            by=nurse,
            patient=patient,
            course=None,
            planned_days=1,
            details={
                "product": Product.objects.get(name="Octagam 10 %", is_current=True),
                "started_at": started,
                "dose_g": Decimal(35),
                "weight_kg": Decimal(70),
                "indication": Indication.DERMATOMYOSITIS,
                "planned_rate_ml_per_h": Decimal(168),
                "premedication_record": PremedicationRecord.GIVEN,
            },
            vials=[{"lot": "DEMO-LIVE-2", "grams": Decimal(20)}, {"lot": "DEMO-LIVE-3", "grams": Decimal(15)}],
            premedications=[{"drug": "acetaminophen", "dose": "650 mg", "route": "PO", "minutes_before": 30}],
            acknowledged=recording.Acknowledgement("Made up for demonstration."),
            submission_id=submission(),
            start_rate_ml_per_h=Decimal(42),
            now=now,
        )
        seen = infusion.rate_steps.get()
        for minutes, rate in ((30, 84), (60, 168)):
            seen = recording.record_step(
                infusion,
                by=nurse,
                at=started + timedelta(minutes=minutes),
                rate_ml_per_h=Decimal(rate),
                reason=RateReason.STEP_UP,
                seen_step=seen.pk,
                submission_id=submission(),
                now=now,
            )
        for minutes, heart_rate in ((-10, 72), (15, 74), (31, 78), (62, 80)):
            recording.record_vitals(
                infusion,
                by=nurse,
                at=started + timedelta(minutes=minutes),
                values={
                    "temperature_c": Decimal("36.8"),
                    "heart_rate_per_min": heart_rate,
                    "systolic_mmhg": 124,
                    "diastolic_mmhg": 78,
                    "spo2_percent": 98,
                },
                submission_id=submission(),
            )
        recording.book_course(
            by=nurse,
            patient=patient,
            planned_for=(now + timedelta(days=28)).date(),
            planned_days=1,
            planned_g=Decimal(35),
        )

    def tell_logins(self) -> None:
        self.stdout.write(f"Sign in with the password {PASSWORD} as")
        for username, _, _, slug, role in ACCOUNTS:
            self.stdout.write(f"  {username:<12} {role} of {slug}")
