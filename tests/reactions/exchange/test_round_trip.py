"""Out of the database and in again: the same file, the same rates."""

import csv
import io
import re
from datetime import date, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from django.core.management import CommandError, call_command
from django.test import Client
from django.utils import timezone

from patients.models import AuditEvent, Clinic, Patient, User
from reactions.exchange.demo import demo_rows
from reactions.exchange.log_rows import LogRow
from reactions.models import Infusion, Premedication, Product, Symptom
from tests.support.factories import make_infusion, make_patient, make_reaction
from tests.support.logs import good_row, import_log, reaction_rates, write_log

QUESTIONS = [
    ("--by=iga", "--by=premedication"),
    ("--by=first_infusion", "--window=delayed"),
    ("--by=drug:acetaminophen", "--unit=patient"),
    ("--by=product", "--by=setting", "--min-grade=2", "--interval=exact"),
]

VARIETY: list[dict[str, str]] = [
    {},
    {"day": "2", "started_at": "2026-05-05T09:00", "ended_at": "2026-05-05T13:00", "reactions": "none"},
    {
        "patient": "LOG-2",
        "given_name": "",
        "family_name": "",
        "iga": "pending",
        "premedication": "none",
        "reactions": "",
    },
    {"patient": "LOG-8", "iga": "pending", "iga_date": ""},
    {"patient": "LOG-3", "iga": "<0.07 g/L", "anti_iga": "positive", "premedication": "", "lots": "", "weight_kg": ""},
    {"patient": "LOG-4", "iga": "< 25 mg/dL", "reactions": "chills:2@40;other (Metallic taste):1@50|headache:3@2000"},
    {"patient": "=LOG-5", "iga": "", "iga_date": "", "premedication": "other (Herbal tea) 2 cups PO 15"},
    {"patient": "LOG-7", "premedication": "cetirizine 30 min;famotidine (20) 15;other (Herbal tea) (2) PO;loratadine"},
    {"patient": "LOG-9", "reactions": "headache:1;nausea:1@90;chills:2@40|fever:1|vomiting:1@30"},
    {"patient": "LOG-10", "given_name": "''=1", "diagnosis": "\n=1", "email": ""},
    {"patient": "LOG-6", "diagnosis": "Überlappung, “quoted”\nsecond line", "product": "Synthetic IG 10 %"},
]


def exported(clinic: str) -> str:
    output = io.StringIO()
    call_command("export_log", clinic=clinic, stdout=output, stderr=io.StringIO())
    return output.getvalue()


# What check-ins say is not in a log.
OF_CHECKINS = {"asked", "answered", "silent", "worst"}


def answers(clinic: str) -> list[object]:
    found: list[object] = []
    for question in QUESTIONS:
        answer = reaction_rates(f"--clinic={clinic}", *question)
        for rate in [*answer["strata"], answer["all"]]:
            found.append({name: value for name, value in rate.items() if name not in OF_CHECKINS})
    return found


def test_export_import_export_is_the_same_file_and_the_same_rates(clinic: Clinic, tmp_path: Path) -> None:
    rows = [good_row(serious="", outcome="", email="") | changes for changes in VARIETY]
    import_log(write_log(tmp_path / "log.csv", rows), clinic.slug)
    first = exported(clinic.slug)
    (tmp_path / "exported.csv").write_text(first, encoding="utf-8", newline="")
    import_log(tmp_path / "exported.csv", "copy", create_clinic=True, time_zone=clinic.time_zone)
    assert exported("copy") == first
    assert first.count("\n") > len(VARIETY)
    assert answers("copy") == answers(clinic.slug)


def test_voided_records_and_running_infusions_are_left_out(clinic: Clinic) -> None:
    done = make_infusion(make_patient(clinic))
    make_infusion(make_patient(clinic, mrn="TEST-RUNNING"), started_at=done.started_at, ended_at=None)
    void = make_infusion(make_patient(clinic, mrn="TEST-VOID"))
    void.voided_at, void.voided_by, void.void_reason = void.created_at, void.created_by, "Entered twice"
    void.save()
    text = exported(clinic.slug)
    assert "TEST-RUNNING" not in text
    assert "TEST-VOID" not in text
    assert len(text.splitlines()) == 2


def test_one_clinics_export_holds_no_other_clinics_rows(clinic: Clinic, other_clinic: Clinic) -> None:
    make_reaction(make_infusion(make_patient(other_clinic, mrn="TEST-ELSEWHERE")))
    assert "TEST-ELSEWHERE" not in exported(clinic.slug)


def test_cells_that_a_spreadsheet_would_run_are_defused(clinic: Clinic) -> None:
    make_infusion(make_patient(clinic, mrn="=1+1", given_name="@SUM(A1)"))
    assert "'=1+1,'@SUM(A1)," in exported(clinic.slug)


def test_made_up_infusions_are_the_same_for_the_same_seed(product: Product) -> None:
    def rows(seed: int) -> list[LogRow]:
        zone, today = ZoneInfo("America/New_York"), date(2026, 6, 30)
        return list(demo_rows(patients=5, infusions=30, seed=seed, zone=zone, today=today))

    assert rows(1) == rows(1)
    assert rows(1) != rows(2)
    assert len(rows(1)) == 30


def test_a_demonstration_has_as_much_as_was_asked_for_and_can_be_signed_in_to(db: None, client: Client) -> None:
    said = io.StringIO()
    for _ in range(2):
        call_command("demo_data", patients=5, infusions=30, stdout=said, stderr=said)
    patients = [one for one in Patient.objects.filter(clinic__slug="demo") if not one.mrn.startswith("DEMO-LIVE")]
    assert Infusion.objects.filter(patient__in=patients).count() == 30
    assert len(patients) == 5
    password = re.search(r"password (\S+)", said.getvalue())[1]
    for username in ("nurse", "admin", "other-nurse"):
        assert client.login(username=username, password=password)


def test_made_up_patients_do_not_go_beside_real_ones(clinic: Clinic) -> None:
    with pytest.raises(CommandError, match="do not belong beside them"):
        call_command("demo_data", patients=5, infusions=30)
    assert not Patient.objects.exists()


def test_onsets_that_were_not_recorded_stand_last_on_every_database(clinic: Clinic) -> None:
    infusion = make_infusion(make_patient(clinic))
    make_reaction(infusion, {"fever": 1}, onset_at=None, outcome="recovering")
    later = make_reaction(infusion, {"chills": 2}, minutes=40, outcome="recovered")
    Symptom.objects.create(reaction=later, term="nausea", grade=1, ctcae_version="5.0")
    make_reaction(infusion, {"headache": 1}, minutes=20, outcome="not_recovered")
    cells = next(csv.DictReader(io.StringIO(exported(clinic.slug))))
    assert cells["reactions"] == "headache:1@20|chills:2@40;nausea:1|fever:1"
    assert cells["outcome"] == "recovering"


def test_an_onset_that_only_the_reaction_has_is_not_lost(clinic: Clinic) -> None:
    infusion = make_infusion(make_patient(clinic))
    reaction = make_reaction(infusion, {}, minutes=20)
    Symptom.objects.create(reaction=reaction, term="chills", grade=2, ctcae_version="5.0")
    assert next(csv.DictReader(io.StringIO(exported(clinic.slug))))["reactions"] == "chills:2@20"


def test_infusions_of_one_moment_stand_by_record_number(clinic: Clinic) -> None:
    start = timezone.now() - timedelta(days=2)
    for mrn in ("b-1", "B-2", "a-10", "a-9", "Ä-1"):
        make_infusion(make_patient(clinic, mrn=mrn), started_at=start)
    rows = list(csv.DictReader(io.StringIO(exported(clinic.slug))))
    assert [row["patient"] for row in rows] == ["B-2", "a-10", "a-9", "b-1", "Ä-1"]


def test_an_unclear_dose_stands_in_brackets_and_comes_back(clinic: Clinic, tmp_path: Path) -> None:
    doses = {
        "cetirizine": ("10", "", None),
        "famotidine": ("20 mg IV", "", 30),
        "loratadine": ("10 mg 1 h", "PO", None),
    }
    infusion = make_infusion(make_patient(clinic), premedication_record="given")
    for drug, (dose, route, minutes) in doses.items():
        infusion.premedications.create(drug=drug, dose=dose, route=route, minutes_before=minutes)
    first = exported(clinic.slug)
    assert "cetirizine (10);famotidine (20 mg IV) 30;loratadine (10 mg 1 h) PO" in first
    (tmp_path / "exported.csv").write_text(first, encoding="utf-8", newline="")
    import_log(tmp_path / "exported.csv", "copy", create_clinic=True, time_zone=clinic.time_zone)
    copies = Premedication.objects.filter(infusion__patient__clinic__slug="copy")
    assert {drug.drug: (drug.dose, drug.route, drug.minutes_before) for drug in copies} == doses


def test_made_up_infusions_go_out_and_come_in(db: None, tmp_path: Path) -> None:
    call_command("demo_data", patients=8, infusions=80, stdout=io.StringIO(), stderr=io.StringIO())
    # A running infusion counts in rates and is not exported: it is over by now.
    Infusion.objects.filter(ended_at=None).update(ended_at=timezone.now())
    first = exported("demo")
    (tmp_path / "demo.csv").write_text(first, encoding="utf-8", newline="")
    import_log(tmp_path / "demo.csv", "copy", create_clinic=True, time_zone="America/New_York")
    assert exported("copy") == first
    assert answers("copy") == answers("demo")


def test_the_history_names_who_exported(clinic: Clinic, nurse: User) -> None:
    call_command("export_log", clinic=clinic.slug, by=nurse.username, stdout=io.StringIO(), stderr=io.StringIO())
    assert AuditEvent.objects.get(act="log.exported").by == nurse
    exported(clinic.slug)
    service = AuditEvent.objects.filter(act="log.exported").latest("pk").by
    assert service is not None
    assert (service.username, service.is_active, service.has_usable_password()) == ("export", False, False)


def test_nothing_is_exported_for_an_account_that_is_not_there(clinic: Clinic, tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="There is no account “nobody”"):
        call_command("export_log", clinic=clinic.slug, by="nobody", output=str(tmp_path / "log.csv"))
    assert not (tmp_path / "log.csv").exists()


def test_an_unknown_clinic_is_named(db: None) -> None:
    with pytest.raises(CommandError, match="nowhere"):
        exported("nowhere")
