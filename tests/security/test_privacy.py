"""What a clinic owes the people on record: consent, their copy, forgetting them, files without names."""

import csv
import json
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.apps import apps
from django.conf import settings
from django.core import mail
from django.core.management import CommandError, call_command
from django.db import models, transaction
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from patients import consent, registering, trail
from patients.belonging import rows_about, ways_to_patient
from patients.models import AuditEvent, AuditKey, Clinic, Patient, RecordVoided, StaleRecord, User, write_event
from patients.models.audit import DESTROYED
from patients.origin import Origin, acting_from
from patients.sealing.fields import sealed_fields
from reactions import recording
from reactions.exchange.patient_copy import SAY_NOTHING, everything_about
from reactions.models import Alert, AnswerDraft, CheckIn, Infusion, OutboxMessage, Product, WorkItem
from reactions.outbox.outcomes import finish
from reactions.recording import StillOpen, erase_patient, erasing, record_bounce
from reactions.tasks import tick
from reactions.views.privacy import past_their_time
from reactions.vocabulary import MailState
from tests.security.test_canary import CANARY, release_canaries
from tests.security.test_every_address import address_of, addresses, records_of
from tests.support.factories import make_checkins, make_infusion, make_patient, make_reaction

pytestmark = pytest.mark.django_db


@pytest.fixture
def filled(infusion: Infusion) -> dict[str, str]:
    """A patient with a row of every kind, each sealed word of them a canary, of whom nothing waits for anybody."""
    with transaction.atomic():
        records = records_of(infusion)
        infusion.premedications.create(drug="cetirizine", minutes_before=30)
        list(release_canaries())
        now, by = timezone.now(), infusion.created_by
        Alert.objects.update(acknowledged_at=now, acknowledged_by=by, what_was_done="Zeisig was called")
        WorkItem.objects.filter(closed_at=None).update(closed_at=now, closed_because="Complete.")
        for patient in Patient.objects.all():
            for report in CheckIn.objects.filter(infusion__patient=patient, answers__has_problem=True):
                answer = report.latest_answer()
                assert answer
                report.decisions.all()._raw_delete(using="default")
                report.decisions.create(
                    answer=answer,
                    version=1,
                    verdict="rejected",
                    reject_reason="not_related",
                    words="Zeisig said so",
                    decided_at=now,
                    decided_by=by,
                    submission_id=f"00000000-0000-4000-8000-{report.pk:012}",
                )
    return records


def erase(patient: Patient, by: User, reason: str = "Asked for in a letter.") -> None:
    erase_patient(patient, by=by, reason=reason, seen_version=patient.version, now=timezone.now())


def words_in_the_open(rows: models.QuerySet) -> str:
    """Every column of the rows, sealed ones opened."""
    names = [field.attname for field in rows.model._meta.concrete_fields]
    return " ".join(f"{getattr(row, name)}" for row in rows for name in names)


class TestConsent:
    def test_every_text_is_there_in_every_language(self) -> None:
        texts = consent.TEXTS[consent.CURRENT]
        assert texts.keys() == {code for code, _ in settings.LANGUAGES}
        assert all(texts.values())

    def test_the_record_keeps_which_text_was_read_when_and_to_whom_it_was_said(
        self, client: Client, clinic: Clinic, nurse: User
    ) -> None:
        client.force_login(nurse)
        page = client.get(reverse("patients:register")).content.decode()
        assert all(words in page for words in consent.TEXTS[consent.CURRENT].values())
        details = {"mrn": "TEST-NEW", "given_name": "Tessa", "family_name": "Synthetic", "email": "t@patients.example"}
        patient = registering.register_patient(
            by=nurse, clinic=clinic, details=details | {"language": "es"}, email_consent=True, now=timezone.now()
        )
        assert (patient.email_consent_text, patient.email_consent_by) == (f"{consent.CURRENT}:es", nurse)
        told = AuditEvent.objects.get(act="patient.registered").changes
        assert told["email_consent_text"] == [None, f"{consent.CURRENT}:es"]
        page = client.get(reverse("reactions:patient", args=[patient.pk])).content.decode()
        assert consent.TEXTS[consent.CURRENT]["es"] in page
        Patient.objects.filter(pk=patient.pk).update(language="en")
        assert Patient.objects.get().consent_words == (consent.TEXTS[consent.CURRENT]["es"], "es"), "what was read"

    def test_who_agreed_to_an_older_text_is_not_said_to_have_heard_the_newer_one(
        self, patient: Patient, nurse: User
    ) -> None:
        Patient.objects.filter(pk=patient.pk).update(email_consent_text="1")
        patient.refresh_from_db()
        registering.correct_patient(
            patient, by=nurse, details={"phone": "1"}, email_consent=True, seen_version=1, now=timezone.now()
        )
        assert patient.email_consent_text == "1"
        assert patient.consent_words == ("Ordinary email is not encrypted.", "en")
        assert consent.words_of("9:en") == consent.words_of("") == ("", "")

    def test_a_withdrawal_takes_the_text_with_it_and_stays_in_the_trail(self, patient: Patient, nurse: User) -> None:
        registering.correct_patient(
            patient, by=nurse, details={}, email_consent=False, seen_version=1, now=timezone.now()
        )
        assert (patient.email_consent_at, patient.email_consent_text) == (None, "")
        assert AuditEvent.objects.get(act="patient.corrected").changes["email_consent_text"] == ["2:en", ""]


class TestCopy:
    def test_it_holds_every_row_and_every_word(self, filled: dict[str, str]) -> None:
        seen = set()
        for patient in Patient.objects.all():
            kinds = everything_about(patient)
            text = json.dumps([[kind.title, kind.rows] for kind in kinds], ensure_ascii=False)
            held = {rows.model.__name__: rows for rows in rows_about(patient) if rows.model not in SAY_NOTHING}
            assert sum(len(kind.rows) for kind in kinds[:-1]) == sum(rows.count() for rows in held.values())
            seen |= {name for name, rows in held.items() if rows.exists()}
            for rows in held.values():
                for field in sealed_fields(rows.model):
                    told = [getattr(row, field.name) for row in rows]
                    assert all(f"{value}" in text for value in told if isinstance(value, str | date)), field
            assert kinds[-1].title == "What was done with the record"
        # A kind of which there was no row was not tested.
        unseen = {rows.model for rows in rows_about(patient) if rows.model.__name__ not in seen}
        assert unseen == {AnswerDraft, *SAY_NOTHING}

    def test_it_is_written_for_people(self, infusion: Infusion, nurse: User) -> None:
        patient = infusion.patient
        make_reaction(infusion, is_serious=True, serious_criteria=["hospitalization", "disability"])
        registering.correct_patient(
            patient, by=nurse, details={"given_name": "Anew"}, email_consent=True, seen_version=1, now=timezone.now()
        )
        text = f"{everything_about(patient)}"
        assert "hospitalization, disability" in text
        assert "given name: Tessa → Anew" in text
        assert "'Dose (g)': '30'" in text or "'Dose g': '30'" in text
        assert "['" not in text.replace("[{'", "")
        # Who of the staff looked is not told; who wrote a record is part of it.
        assert "the clinic's staff" in text
        assert nurse.username not in text

    def test_it_tells_no_secret_of_the_service(self, filled: dict[str, str], infusion: Infusion) -> None:
        for patient in Patient.objects.all():
            told = f"{everything_about(patient)}"
            for checkin in CheckIn.objects.filter(infusion__patient=patient):
                assert checkin.link_hash not in told
                assert f"{bytes(checkin.link_nonce)}" not in told
            assert patient.mrn_digest not in told

    def test_it_tells_nothing_of_somebody_else(self, filled: dict[str, str], infusion: Infusion) -> None:
        other = make_patient(infusion.clinic, given_name="Otherone", family_name="Else")
        make_reaction(make_infusion(other, notes="Otherone was here"))
        write_event("patient.tested", by=None, patient_id=other.pk, reason="Otherone was here")
        assert "Otherone" not in f"{everything_about(infusion.patient)}"

    def test_an_administrator_has_it_as_a_page_and_as_a_file(
        self, client: Client, filled: dict[str, str], patient: Patient, administrator: User
    ) -> None:
        client.force_login(administrator)
        page = client.get(reverse("reactions:person_copy", args=[patient.pk]))
        assert "Zeisig" in page.content.decode()
        file = client.get(reverse("reactions:person_copy_json", args=[patient.pk]))
        assert json.loads(file.content)["Person"][0]["Medical record number"].startswith("Zeisig")
        assert AuditEvent.objects.filter(act="page.exported", by=administrator, patient_id=patient.pk).exists()


class TestErasing:
    def test_nothing_in_the_database_names_the_person(self, filled: dict[str, str], administrator: User) -> None:
        made_to_reach_them = {"PatientMark", "AnswerDraft", "ReportLink", "WrongBirthYear"}
        for patient in Patient.objects.all():
            assert CANARY.search(words_in_the_open(Patient.objects.filter(pk=patient.pk)).encode())
            counted = {rows.model.__name__: rows.count() for rows in rows_about(patient)}
            erase(patient, administrator)
            for rows in rows_about(patient):
                assert not CANARY.search(words_in_the_open(rows).encode()), rows.model
            left = {rows.model.__name__: rows.count() for rows in rows_about(patient)}
            assert left == counted | dict.fromkeys(made_to_reach_them, 0)

    def test_the_trail_keeps_who_did_what_and_tells_no_more(
        self, filled: dict[str, str], infusion: Infusion, administrator: User
    ) -> None:
        patient = Patient.objects.get(pk=infusion.patient_id)
        registering.correct_patient(
            patient,
            by=administrator,
            details={"given_name": "Zeisig Anew"},
            email_consent=True,
            seen_version=patient.version,
            now=timezone.now(),
        )
        before = AuditEvent.objects.filter(patient_id=patient.pk).count()
        trail.seal_events(now=timezone.now())
        erase(patient, administrator)
        told = AuditEvent.objects.filter(patient_id=patient.pk)
        assert told.count() == before
        assert {event.reason for event in told} == {DESTROYED}
        assert not any(event.changes for event in told)
        assert not AuditKey.objects.get(patient_id=patient.pk).key
        assert AuditEvent.objects.get(act="patient.erased").reason == "Asked for in a letter."
        trail.seal_events(now=timezone.now())
        assert trail.verify().faults == []

    def test_words_in_columns_that_are_in_the_open_go_too(self, infusion: Infusion, administrator: User) -> None:
        """Twice each, where a rule lets no two be alike."""
        for number in range(2):
            words = f"Zeisig's tea {number}"
            infusion.premedications.create(drug="other", other_drug=words, dose="as Zeisig likes it")
            infusion.treatments.create(
                at=infusion.started_at, drug="other", other_drug=words, dose="10 mg", created_by=infusion.created_by
            )
            make_reaction(infusion, {}).symptoms.create(term="other", other_text=words, ctcae_version="5.0")
        infusion.course.label = "Zeisig's third"
        infusion.course.save()
        plain = make_infusion(infusion.patient, course=infusion.patient.courses.create(label="2026-04")).course
        erase(infusion.patient, administrator)
        for rows in rows_about(infusion.patient):
            assert not CANARY.search(words_in_the_open(rows).encode()), rows.model
        plain.refresh_from_db()
        assert plain.label == "2026-04"
        assert [given.dose for given in infusion.premedications.all()] == ["", ""]
        assert [given.dose for given in infusion.treatments.all()] == ["10 mg", "10 mg"]

    def test_every_column_of_text_about_a_patient_is_sealed_overwritten_or_written_by_machines(self) -> None:
        """Whoever adds a column in which people type says here, or in erasing.TYPED, what becomes of it."""
        written_by_machines = {
            *("Vial.lot", "Vial.gtin", "Vial.serial", "CausalityAssessment.category", "Signature.printed_name"),
            *("CheckIn.kind", "CheckIn.label", "CheckIn.state_reason", "CheckIn.link_hash", "CheckIn.link_address"),
            *("OutboxMessage.idempotency_key", "OutboxMessage.message_id", "OutboxMessage.last_error"),
            *("WorkItem.closed_because", "PatientRisk.factor", "Answer.question_set", "Answer.language"),
        }
        found = set()
        for model in apps.get_models():
            if model is Patient or model._meta.proxy or not ways_to_patient(model) or model in erasing.OF_NO_USE:
                continue
            overwritten = {field.name for field in sealed_fields(model)} | set(erasing.TYPED.get(model, ()))
            overwritten |= {erasing.BLANKED.get(model, "")}
            for field in model._meta.concrete_fields:
                if isinstance(field, models.CharField | models.TextField) and not field.choices:
                    is_dose = model in erasing.DOSES and field.name == "dose"
                    if field.name not in overwritten and not is_dose:
                        found.add(f"{model.__name__}.{field.name}")
        assert found <= written_by_machines | {"OutboxMessage.sent_to", "OutboxMessage.refused_address"}, (
            found - written_by_machines
        )

    def test_rates_count_on(self, infusion: Infusion, administrator: User) -> None:
        make_reaction(infusion)
        before = Infusion.objects.counted().with_reacted().values_list("pk", "reacted")
        erase(infusion.patient, administrator)
        assert list(Infusion.objects.counted().with_reacted().values_list("pk", "reacted")) == list(before)

    def test_every_page_still_opens_and_names_nobody(
        self, client: Client, filled: dict[str, str], infusion: Infusion, administrator: User
    ) -> None:
        patient = Patient.objects.get(pk=infusion.patient_id)
        token = CheckIn.objects.earliest("due_at").link_path().split("/")[2]
        others = Patient.objects.exclude(pk=patient.pk)
        for one in (patient, *others):
            erase(one, administrator)
        client.force_login(administrator)
        opened = 0
        for name, pattern in addresses():
            if name.startswith(("account", "mfa", "usersessions")):
                continue
            answer = client.get(address_of(name, pattern, filled, token), follow=True)
            assert answer.status_code < 500, name
            opened += answer.status_code == 200
            assert not CANARY.search(answer.getvalue()), name
        assert opened > 60

    def test_nothing_more_is_written_or_sent(self, infusion: Infusion, nurse: User, administrator: User) -> None:
        patient = infusion.patient
        make_checkins(infusion)
        erase(patient, administrator)
        assert patient.pk not in Patient.objects.named().values_list("pk", flat=True)
        with pytest.raises(RecordVoided):
            registering.record_iga(patient, by=nurse, result={"value": 80, "measured_on": timezone.localdate()})
        with pytest.raises(StaleRecord):
            registering.correct_patient(
                patient,
                by=nurse,
                details={"given_name": "Back"},
                email_consent=False,
                seen_version=1,
                now=timezone.now(),
            )
        tick()
        assert mail.outbox == []

    def test_mails_end_and_links_open_nothing(self, infusion: Infusion, administrator: User) -> None:
        """Also a mail that is being sent, and what its server says of it afterwards."""
        patient = infusion.patient
        make_checkins(infusion)
        first, second, *_ = infusion.checkins.order_by("due_at")
        token = first.link_path().split("/")[2]
        now = timezone.now()
        message = OutboxMessage.objects.create(
            idempotency_key="one", kind="checkin_invitation", checkin=first, message_id="<one@ivigtrack>", due_at=now,
            state="sending", lease_number=1, lease_until=now + timedelta(minutes=2), tried_at=now, sent_to="digest",
        )  # fmt: skip
        CheckIn.objects.filter(pk=second.pk).update(
            state="cancelled", state_reason="Mail to this address came back. 550 tessa.zeisig: no such user"
        )
        CheckIn.objects.filter(pk=first.pk).update(link_address="digest")
        erase(patient, administrator)
        assert finish(message, MailState.REFUSED, error="550 tessa.zeisig: no such user") == "overtaken"
        record_bounce("<one@ivigtrack>", words="550 tessa.zeisig", for_good=True, now=now)
        told = " ".join(words_in_the_open(rows) for rows in rows_about(patient))
        assert "zeisig" not in told.lower()
        assert "digest" not in told
        assert not CheckIn.objects.of_token(token).exists()
        assert {one.state for one in infusion.checkins.all()} == {"cancelled"}
        message.refresh_from_db()
        assert message.state == "cancelled"

    def test_a_log_writes_nothing_to_an_erased_record(
        self, infusion: Infusion, administrator: User, tmp_path: Path
    ) -> None:
        erase(infusion.patient, administrator)
        infusion.patient.refresh_from_db()
        log = tmp_path / "log.csv"
        line = f"{infusion.patient.mrn},Tessa,Privigen,30,2026-01-05T10:00,2026-01-05T14:00"
        log.write_text(f"patient,given_name,product,dose_g,started_at,ended_at\n{line}\n")
        with pytest.raises(CommandError, match="nothing more is written to that record"):
            call_command("import_log", str(log), clinic=infusion.clinic.slug)
        assert Infusion.objects.count() == 1

    def test_the_number_that_follows_can_be_nobodys(self, patient: Patient, administrator: User) -> None:
        make_patient(patient.clinic, mrn=f"erased-{patient.pk}")
        erase(patient, administrator)

    def test_from_where_a_patient_answered_goes_with_them(self, infusion: Infusion, administrator: User) -> None:
        with acting_from(Origin("203.0.113.77", "Phone")):
            told = write_event("answer.sent", by=None, patient_id=infusion.patient_id)
        assert (told.address, told.came_from) == (None, "203.0.113.77")
        erase(infusion.patient, administrator)
        assert AuditEvent.objects.get(pk=told.pk).came_from == ""

    @pytest.mark.parametrize("waits", ["alert", "report", "serious"])
    def test_what_somebody_has_to_act_on_is_not_forgotten(
        self, infusion: Infusion, administrator: User, waits: str
    ) -> None:
        now = timezone.now()
        if waits == "serious":
            make_reaction(infusion, is_serious=True).work.create(
                clinic=infusion.clinic, kind="serious_reaction", opened_at=now
            )
        else:
            make_checkins(infusion)
            checkin = infusion.checkins.earliest("due_at")
            severity = "severe" if waits == "alert" else "mild"
            recording.submit_answer(
                checkin, has_problem=True, details={}, symptoms={"headache": severity}, now=checkin.due_at
            )
            if waits == "report":
                Alert.objects.update(acknowledged_at=now, acknowledged_by=administrator, what_was_done="Called")
        expected = {"alert": "an alert", "report": "a report to review", "serious": "a serious reaction to complete"}
        with pytest.raises(StillOpen, match=expected[waits]):
            erase(infusion.patient, administrator)

    def test_a_diagnosis_in_own_words_goes_and_a_known_one_stays(self, clinic: Clinic, administrator: User) -> None:
        own, known = make_patient(clinic, diagnosis="Mr Zeisig's", time_zone="Asia/Tokyo"), make_patient(clinic)
        for patient in (own, known):
            erase(patient, administrator)
            patient.refresh_from_db()
        assert (own.diagnosis, own.time_zone, known.diagnosis) == ("", "", "Dermatomyositis")

    def test_what_waits_for_somebody_is_done_first(self, infusion: Infusion, administrator: User) -> None:
        Infusion.objects.filter(pk=infusion.pk).update(ended_at=None)
        with pytest.raises(StillOpen, match="an infusion that is running"):
            erase(infusion.patient, administrator)
        Infusion.objects.filter(pk=infusion.pk).update(ended_at=timezone.now())
        item = infusion.patient.work.create(clinic=infusion.clinic, kind="emergency", opened_at=timezone.now())
        with pytest.raises(StillOpen, match="an emergency access that nobody has seen to"):
            erase(infusion.patient, administrator)
        item.delete()
        assert Patient.objects.get().given_name

    def test_the_page_asks_for_the_record_number(self, client: Client, patient: Patient, administrator: User) -> None:
        client.force_login(administrator)
        address = reverse("reactions:erase_patient", args=[patient.pk])
        sent = {"seen_version": "1", "mrn": "TEST-OTHER", "reason": "Asked for in a letter."}
        refused = client.post(address, sent)
        assert "not the number of the record" in refused.content.decode()
        named = client.post(address, sent | {"mrn": patient.mrn, "reason": f"Asked for by {patient.family_name}"})
        assert "without the name and the number" in named.content.decode()
        patient.refresh_from_db()
        assert patient.erased_at is None
        done = client.post(address, sent | {"mrn": patient.mrn}, follow=True)
        page = done.content.decode()
        assert f"Erased patient {patient.pk}" in page
        assert "Start an infusion" not in page
        assert client.get(address).status_code == 404
        assert patient.full_name not in client.get("/patients/").content.decode()
        told = client.get(f"/patients/trail/?patient={patient.pk}").content.decode()
        assert "Asked for in a letter." in told

    def test_a_record_that_changed_meanwhile_is_left(
        self, client: Client, patient: Patient, administrator: User
    ) -> None:
        client.force_login(administrator)
        sent = {"seen_version": "7", "mrn": patient.mrn, "reason": "Asked for in a letter."}
        page = client.post(reverse("reactions:erase_patient", args=[patient.pk]), sent).content.decode()
        assert "changed in the meantime" in page
        assert Patient.objects.get().given_name

    def test_the_same_number_can_be_given_again(self, patient: Patient, nurse: User, administrator: User) -> None:
        mrn = patient.mrn
        erase(patient, administrator)
        make_patient(patient.clinic, mrn=mrn)


class TestRetention:
    def test_records_past_their_time_are_listed(self, clinic: Clinic, infusion: Infusion) -> None:
        now = infusion.started_at + timedelta(days=3660)
        never = make_patient(clinic)
        Patient.objects.filter(pk=never.pk).update(created_at=now - timedelta(days=3700))
        assert not past_their_time(clinic, now=now).exists()
        clinic.keep_years = 10
        assert list(past_their_time(clinic, now=now)) == [never, infusion.patient]
        assert list(past_their_time(clinic, now=now - timedelta(days=60))) == []

    def test_also_on_the_day_that_some_years_lack(self, clinic: Clinic, infusion: Infusion) -> None:
        clinic.keep_years = 1
        leap = datetime(2032, 2, 29, 12, tzinfo=infusion.started_at.tzinfo)
        assert list(past_their_time(clinic, now=leap)) == [infusion.patient]

    def test_the_page_lists_them(self, client: Client, clinic: Clinic, infusion: Infusion, administrator: User) -> None:
        Infusion.objects.update(
            started_at=timezone.now() - timedelta(days=800), ended_at=timezone.now() - timedelta(days=799)
        )
        client.force_login(administrator)
        assert "kept for good" in client.get(reverse("reactions:privacy")).content.decode()
        Clinic.objects.filter(pk=clinic.pk).update(keep_years=1)
        page = client.get(reverse("reactions:privacy")).content.decode()
        assert reverse("reactions:erase_patient", args=[infusion.patient_id]) in page


class TestWithoutNames:
    def rows(self, clinic: Clinic, by: User) -> list[dict[str, Any]]:
        return list(csv.DictReader(recording.export_without_names(clinic, by=by)))

    def test_days_for_dates_and_one_group_above_89(self, clinic: Clinic, administrator: User) -> None:
        old = make_patient(clinic, birth_date=date(1934, 6, 1), diagnosis="Myositis after Mr Zeisig's fall")
        first = datetime(2024, 5, 30, 9, tzinfo=clinic.zone)
        make_infusion(old, started_at=first)
        later = make_infusion(old, started_at=first + timedelta(days=28))
        make_reaction(later, {"chills": 2})
        younger = make_patient(clinic, birth_date=date(1970, 5, 31))
        for day in (0, 28):
            make_infusion(younger, started_at=first + timedelta(days=day))
        every = self.rows(clinic, administrator)
        ages = sorted((row["age_years"], row["day_since_first"], row["course"]) for row in every)
        # An age that rose would tell a birthday: 53 on the first day, 54 on the next.
        assert ages == [("53", "0", "1"), ("53", "28", "2"), ("90+", "0", "1"), ("90+", "28", "2")]
        rows = [row for row in every if row["age_years"] == "90+"]
        assert len({row["person"] for row in rows}) == 1
        assert (rows[0]["diagnosis"], rows[0]["reactions"]) == ("other", "none")
        assert rows[1]["reactions"] == "chills:2@30"
        told = AuditEvent.objects.get(act="log.exported_without_names")
        assert (told.by, told.changes) == (administrator, {"rows": [None, 4]})

    def test_nobody_is_in_it(self, filled: dict[str, str], infusion: Infusion, administrator: User) -> None:
        Infusion.objects.filter(pk=infusion.pk).update(
            premedication_record="given",
            product=Product.objects.create(name="Octagam for Mr Zeisig", source="A log"),
        )
        infusion.premedications.create(drug="other", other_drug="Zeisig's tea", dose="as Zeisig likes it")
        make_reaction(infusion, {}).symptoms.create(term="other", other_text="Zeisig itch", ctcae_version="5.0")
        text = "".join(recording.export_without_names(infusion.clinic, by=administrator))
        assert "other" in text
        assert not CANARY.search(text.encode())
        for patient in Patient.objects.all():
            assert patient.mrn not in text
        started = timezone.localtime(infusion.started_at, infusion.clinic.zone)
        assert f"{started:%Y-%m}" not in text
        assert "SYN" not in text

    def test_two_files_cannot_be_laid_beside_each_other(self, clinic: Clinic, administrator: User) -> None:
        for number in range(30):
            make_infusion(make_patient(clinic, birth_date=date(1950 + number, 1, 1)))
        one, two = (self.rows(clinic, administrator) for _ in range(2))
        assert not {row["person"] for row in one} & {row["person"] for row in two}
        orders = [[row["age_years"] for row in rows] for rows in (one, two)]
        assert sorted(orders[0]) == sorted(orders[1])
        assert orders[0] != orders[1]
        assert sorted(orders[0]) not in (orders[0], orders[0][::-1])


def test_every_model_about_a_patient_is_found_by_itself() -> None:
    """A foreign key to a patient, or to a row that has one, is enough."""
    about = {model.__name__ for model in apps.get_models() if ways_to_patient(model)}
    assert {"Vial", "AnswerSymptom", "OutboxMessage", "EmergencyAccess", "PatientMark"} <= about
    assert not about & {"Clinic", "User", "Product", "Signal", "AuditKey"}
