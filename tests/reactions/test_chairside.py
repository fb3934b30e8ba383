"""The page of a running infusion: what is written down on it, by one nurse or two."""

import re
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest
from django.db import IntegrityError, transaction
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from patients.models import AuditEvent, Patient, User
from reactions import recording
from reactions.models import CheckIn, ClinicProtocol, Infusion, Product, RateStep, SafetyCheck, Treatment, Vitals
from tests.support.factories import make_booking, make_checkins, make_infusion, make_reaction
from tests.support.forms import infusion_form

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("no_broker")]


@pytest.fixture
def infusion(patient: Patient, product: Product, nurse: User) -> Infusion:
    """Running for an hour at 42 mL/h."""
    started_at = (timezone.now() - timedelta(hours=1)).replace(second=0, microsecond=0)
    running = make_infusion(
        patient, product=product, started_at=started_at, ended_at=None, is_chairside=True, dose_g=Decimal(35)
    )
    running.rate_steps.create(at=started_at, rate_ml_per_h=42, reason="start", created_by=nurse)
    return running


def step(infusion: Infusion, **changes: Any) -> dict[str, Any]:
    latest = infusion.rate_steps.current().order_by("at").last()
    data = {"submission_id": uuid4(), "seen_step": latest.pk if latest else "", "rate_ml_per_h": "84", "tap": "rate"}
    return {f"step-{name}": value for name, value in (data | changes).items()}


def vitals(**changes: Any) -> dict[str, Any]:
    data = {"submission_id": uuid4(), "temperature_c": "36,9", "systolic_mmhg": "120", "diastolic_mmhg": "80"}
    return {f"vitals-{name}": value for name, value in (data | changes).items()}


def drug(**changes: Any) -> dict[str, Any]:
    data = {"submission_id": uuid4(), "drug": "acetaminophen", "dose": "650 mg", "route": "PO"}
    return {f"treatment-{name}": value for name, value in (data | changes).items()}


def vial(**changes: Any) -> dict[str, Any]:
    data = {"submission_id": uuid4(), "lot": "SYN-9", "expires_on": "2029-01-31", "grams": "20"}
    return {f"vial-{name}": value for name, value in (data | changes).items()}


def send(page: Client, name: str, infusion: Infusion, data: dict[str, Any]) -> Any:
    return page.post(reverse(f"reactions:{name}", args=[infusion.pk]), data)


def test_an_infusion_starts_now_in_one_form(page: Client, patient: Patient) -> None:
    data = infusion_form(started_at="", start_rate_ml_per_h="21", planned_rate_ml_per_h="168")
    answer = page.post(reverse("reactions:start_infusion", args=[patient.pk]), data)
    started = Infusion.objects.get()
    assert answer.url == reverse("reactions:running", args=[started.pk])
    assert timezone.now() - started.started_at < timedelta(minutes=2)
    assert started.ended_at is None
    only = started.rate_steps.get()
    assert (only.reason, only.rate_ml_per_h, only.at) == ("start", 21, started.started_at)
    assert not CheckIn.objects.exists()


@pytest.mark.parametrize("field", ["start_rate_ml_per_h", "planned_rate_ml_per_h"])
def test_no_infusion_starts_at_a_rate_that_no_pump_delivers(page: Client, patient: Patient, field: str) -> None:
    start = reverse("reactions:start_infusion", args=[patient.pk])
    rates = {"start_rate_ml_per_h": "21", "planned_rate_ml_per_h": "168"}
    answer = page.post(start, infusion_form(started_at="", **rates | {field: "1200.1"}))
    assert "Write at most 1200" in answer.content.decode()
    assert "1200.1" in answer.content.decode()
    assert not Infusion.objects.exists()
    page.post(start, infusion_form(started_at="", **rates | {field: "1200"}))
    assert Infusion.objects.count() == 1


def test_the_card_is_kept_with_who_answered_it(page: Client, patient: Patient, nurse: User) -> None:
    data = infusion_form(started_at="", start_rate_ml_per_h="21", **{"safety-reason": "Known, discussed"})
    page.post(reverse("reactions:start_infusion", args=[patient.pk]), data)
    check = SafetyCheck.objects.get()
    assert {item["code"] for item in check.items} >= {"first_infusion", "iga_not_known"}
    assert (check.acknowledged_by, check.reason) == (nurse, "Known, discussed")


@pytest.mark.parametrize("blank", ["", "   ", "\u200b", "-"])
def test_an_answer_that_says_nothing_is_none(page: Client, patient: Patient, blank: str) -> None:
    data = infusion_form(started_at="", start_rate_ml_per_h="21", **{"safety-reason": blank})
    text = page.post(reverse("reactions:start_infusion", args=[patient.pk]), data).content.decode()
    assert "Read the card and write why the infusion goes on" in text
    assert not Infusion.objects.exists()


def test_a_dose_changed_after_the_card_was_read_is_asked_about_again(page: Client, patient: Patient) -> None:
    start = reverse("reactions:start_infusion", args=[patient.pk])
    data = infusion_form(started_at="", start_rate_ml_per_h="21", dose_g="200")
    shown = page.post(start, data).context["entry"].card_codes
    again = page.post(start, data | {"safety-shown": shown, "dose_g": "400"})
    assert "The card says more now" in again.content.decode()
    shown = again.context["entry"].card_codes
    assert page.post(start, data | {"safety-shown": shown, "dose_g": "400"}).status_code == 302


def test_a_plan_does_not_hide_that_more_is_given(page: Client, patient: Patient) -> None:
    data = infusion_form(started_at="", start_rate_ml_per_h="21", dose_g="400", planned_g="140")
    text = page.post(reverse("reactions:start_infusion", args=[patient.pk]), data).content.decode()
    assert "more than 2.4 g/kg" in text


def test_what_began_days_ago_is_not_started_now(page: Client, patient: Patient) -> None:
    data = infusion_form(start_rate_ml_per_h="21")
    text = page.post(reverse("reactions:start_infusion", args=[patient.pk]), data).content.decode()
    assert "It began long ago" in text


def test_a_booked_course_is_the_one_to_begin(page: Client, patient: Patient) -> None:
    booked = make_booking(patient, in_days=0)
    form = page.get(reverse("reactions:start_infusion", args=[patient.pk])).context["entry"].form
    assert (form.initial["course"], form.initial["planned_days"]) == (booked, booked.planned_days)
    data = infusion_form(started_at="", start_rate_ml_per_h="21", course=str(booked.pk))
    page.post(reverse("reactions:start_infusion", args=[patient.pk]), data)
    assert Infusion.objects.get().course == booked


def test_a_card_that_nobody_read_keeps_the_form_open_with_what_was_typed(page: Client, patient: Patient) -> None:
    data = infusion_form(started_at="", start_rate_ml_per_h="21", notes="kept words", **{"safety-shown": ""})
    text = page.post(reverse("reactions:start_infusion", args=[patient.pk]), data).content.decode()
    assert "The card says more now" in text
    assert "kept words" in text
    assert not Infusion.objects.exists()


def test_a_contraindication_needs_the_name_of_who_decided(page: Client, patient: Patient, nurse: User) -> None:
    patient.risks.create(factor="severe_ig_reaction_elsewhere", created_by=nurse)
    start = reverse("reactions:start_infusion", args=[patient.pk])
    assert "Label contraindication" in page.get(start).content.decode()
    data = infusion_form(started_at="", start_rate_ml_per_h="21")
    assert "Write the name of the clinician who decided" in page.post(start, data).content.decode()
    page.post(start, data | {"safety-decided_by": "Dr. Synthia Test"})
    assert SafetyCheck.objects.get().decided_by == "Dr. Synthia Test"


@pytest.mark.parametrize(
    ("change", "reason", "rate"),
    [
        ({"rate_ml_per_h": "84"}, "step_up", 84),
        ({"rate_ml_per_h": "21"}, "slow", 21),
        ({"rate_ml_per_h": "", "tap": "pause"}, "pause", 0),
        ({"rate_ml_per_h": "", "tap": "stop"}, "stop", 0),
    ],
)
def test_a_tap_becomes_a_step(page: Client, infusion: Infusion, change: dict, reason: str, rate: int) -> None:
    assert send(page, "change_rate", infusion, step(infusion, **change)).status_code == 302
    latest = infusion.rate_steps.latest("at")
    assert (latest.reason, latest.rate_ml_per_h) == (reason, rate)


def test_after_a_pause_a_rate_resumes(page: Client, infusion: Infusion) -> None:
    send(page, "change_rate", infusion, step(infusion, tap="pause"))
    send(page, "change_rate", infusion, step(infusion, rate_ml_per_h="42"))
    assert list(infusion.rate_steps.values_list("reason", flat=True)) == ["start", "pause", "resume"]


def test_the_stop_ends_the_infusion_and_plans_its_check_ins(page: Client, infusion: Infusion) -> None:
    send(page, "change_rate", infusion, step(infusion, tap="stop"))
    infusion.refresh_from_db()
    assert infusion.ended_at == infusion.rate_steps.latest("at").at
    assert infusion.checkins.count() == 4
    shown = page.get(reverse("reactions:running", args=[infusion.pk])).content.decode()
    assert "Set this rate" not in shown


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"rate_ml_per_h": ""}, "Write the new rate"),
        ({"rate_ml_per_h": "42"}, "is not above the 42 mL/h before it"),
        ({"rate_ml_per_h": "-3"}, "Write at least 0.1"),
        ({"rate_ml_per_h": "many"}, "Write a number"),
        ({"rate_ml_per_h": "1200.1"}, "Write at most 1200"),
        ({"at": "2150-01-01T10:00"}, "lies in the future"),
        ({"at": "2020-01-01T10:00"}, "before the start"),
    ],
)
def test_an_impossible_step_is_refused_with_what_was_typed(
    page: Client, infusion: Infusion, change: dict, said: str
) -> None:
    answer = send(page, "change_rate", infusion, step(infusion, **change))
    assert said in answer.content.decode()
    assert infusion.rate_steps.count() == 1


def test_a_rate_set_on_an_old_page_is_refused_and_both_are_shown(page: Client, infusion: Infusion, nurse: User) -> None:
    seen = step(infusion, rate_ml_per_h="63")
    send(page, "change_rate", infusion, step(infusion, rate_ml_per_h="84"))
    answer = send(page, "change_rate", infusion, seen)
    text = answer.content.decode()
    assert answer.status_code == 409
    assert text.count("The rate was changed") == 1
    assert 'value="63"' in text
    assert "Step up, 84 mL/h" in text
    again = seen | {"step-seen_step": infusion.rate_steps.latest("at").pk}
    assert send(page, "change_rate", infusion, again).status_code == 302
    assert infusion.rate_steps.latest("at").reason == "slow"


@pytest.mark.parametrize(
    ("name", "form", "said"),
    [
        ("add_vitals", vitals(), "vital signs at {}"),
        ("give_treatment", drug(), "Acetaminophen (paracetamol) 650 mg at {}"),
        ("change_rate", {"step-rate_ml_per_h": "84,5"}, "84.5 mL/h from {}"),
        ("change_rate", {"step-rate_ml_per_h": "120.0"}, "120 mL/h from {}"),
        ("change_rate", {"step-tap": "pause"}, "pause at {}"),
        ("change_rate", {"step-tap": "stop"}, "stop at {}"),
        ("add_vial", vial(), "vial of lot SYN-9"),
    ],
)
def test_what_was_saved_is_said_once(page: Client, infusion: Infusion, name: str, form: dict, said: str) -> None:
    at = on_clock(infusion.started_at + timedelta(minutes=20), infusion)
    data = step(infusion) | form if name == "change_rate" else form
    send(page, name, infusion, data | dict.fromkeys(("step-at", "vitals-at", "treatment-at"), at))
    shown = reverse("reactions:running", args=[infusion.pk])
    assert f"Recorded: {said.format(at[-5:])}." in read_aloud(page.get(shown))
    assert "Recorded" not in read_aloud(page.get(shown))


def read_aloud(answer: Any) -> str:
    """What stands where a screen reader looks for news; the place is there even when nothing is new."""
    found = re.search(r'<div class="said" role="status">(.*?)</div>', answer.content.decode(), re.DOTALL)
    assert found
    return found.group(1)


@pytest.mark.parametrize(
    ("name", "make", "model"),
    [
        ("add_vitals", vitals, Vitals),
        ("give_treatment", drug, Treatment),
    ],
)
def test_a_double_tap_or_a_form_sent_again_is_one_row(
    page: Client, infusion: Infusion, name: str, make: Any, model: Any
) -> None:
    data = make()
    send(page, name, infusion, data)
    send(page, name, infusion, data)
    assert model.objects.count() == 1


def test_a_stop_or_a_vial_sent_again_is_one(page: Client, infusion: Infusion) -> None:
    stop, scanned = step(infusion, tap="stop"), vial()
    for _ in range(2):
        send(page, "change_rate", infusion, stop)
        send(page, "add_vial", infusion, scanned)
    assert infusion.rate_steps.count() == 2
    assert infusion.vials.count() == 1


def test_two_nurses_and_one_minute(page: Client, infusion: Infusion) -> None:
    at = timezone.localtime(timezone.now(), infusion.zone).strftime("%Y-%m-%dT%H:%M")
    send(page, "add_vitals", infusion, vitals(at=at))
    answer = send(page, "add_vitals", infusion, vitals(at=at, temperature_c="39.1"))
    text = answer.content.decode()
    assert answer.status_code == 409
    assert "36.9 °C, pressure 120/80" in text
    assert 'value="39.1"' in text
    assert infusion.vitals.get().temperature_c == Decimal("36.9")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"temperature_c": "98.6"}, "Is it in °C?"),
        ({"diastolic_mmhg": ""}, "Write both values of the blood pressure"),
        ({"diastolic_mmhg": "130"}, "must be below the systolic value"),
        ({"temperature_c": "", "systolic_mmhg": "", "diastolic_mmhg": ""}, "Write at least one value"),
        ({"spo2_percent": "101"}, "is not possible"),
    ],
)
def test_impossible_vital_signs_are_refused(page: Client, infusion: Infusion, change: dict, said: str) -> None:
    assert said in send(page, "add_vitals", infusion, vitals(**change)).content.decode()
    assert not Vitals.objects.exists()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"drug": ""}, "Choose the drug"),
        ({"drug": "other"}, "Write the drug&#x27;s name"),
        ({"dose": "650"}, "number with its unit"),
        ({"at": "2020-01-01T10:00"}, "belongs to the premedication"),
    ],
)
def test_an_odd_drug_is_refused(page: Client, infusion: Infusion, change: dict, said: str) -> None:
    assert said in send(page, "give_treatment", infusion, drug(**change)).content.decode()
    assert not Treatment.objects.exists()


def test_a_vial_is_read_from_its_code(page: Client, infusion: Infusion) -> None:
    scan = "]d2010061414112345221ABC123\x1d10LOT456\x1d17291231"
    assert send(page, "add_vial", infusion, vial(scan=scan, lot="", expires_on="", grams="20")).status_code == 302
    added = infusion.vials.get()
    assert (added.gtin, added.lot, added.serial, str(added.expires_on)) == (
        "00614141123452",
        "LOT456",
        "ABC123",
        "2029-12-31",
    )


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"scan": "01006141411234591729123110LOT456", "lot": ""}, "check digit"),
        ({"scan": "hello", "lot": ""}, "scan"),
        ({"scan": "0100614141123452172912311" + "0LOT456", "lot": "ANOTHER"}, "The code says LOT456"),
        ({"lot": ""}, "Scan the vial, or write its lot"),
        ({"expires_on": "2020-01-31"}, "Expired on 2020-01-31"),
    ],
)
def test_an_odd_vial_is_refused(page: Client, infusion: Infusion, change: dict, said: str) -> None:
    text = send(page, "add_vial", infusion, vial(**change)).content.decode()
    assert said in text
    assert not infusion.vials.exists()


def test_the_same_vial_scanned_twice_is_noticed(page: Client, infusion: Infusion) -> None:
    scan = "010061414112345221ABC123\x1d10LOT456\x1d17291231"
    send(page, "add_vial", infusion, vial(scan=scan, lot="", expires_on=""))
    text = send(page, "add_vial", infusion, vial(scan=scan, lot="", expires_on="")).content.decode()
    assert "This very vial is recorded already" in text
    assert infusion.vials.count() == 1


def test_a_scanned_vial_sent_again_is_one_and_no_fault(page: Client, infusion: Infusion) -> None:
    scanned = vial(scan="010061414112345221ABC123\x1d10LOT456\x1d17291231", lot="", expires_on="")
    assert [send(page, "add_vial", infusion, scanned).status_code for _ in range(2)] == [302, 302]
    assert infusion.vials.count() == 1


def test_a_correction_opened_before_a_vial_was_added_is_stale(page: Client, infusion: Infusion) -> None:
    seen = infusion.version
    send(page, "add_vial", infusion, vial())
    data = infusion_form(seen_version=str(seen), reason="Old page", ended_at="", still_running="on")
    answer = page.post(reverse("reactions:correct_infusion", args=[infusion.pk]), data)
    assert answer.status_code == 409
    assert infusion.vials.get().lot == "SYN-9"


def test_a_correction_keeps_what_the_vials_code_said(page: Client, infusion: Infusion) -> None:
    scan = "010061414112345221ABC123\x1d10LOT456\x1d17291231"
    send(page, "add_vial", infusion, vial(scan=scan, lot="", expires_on=""))
    send(page, "add_vial", infusion, vial(lot="SYN-8"))
    scanned, typed = infusion.vials.all()
    infusion.refresh_from_db()
    address = reverse("reactions:correct_infusion", args=[infusion.pk])
    assert f'name="vials-0-pk" value="{scanned.pk}"' in page.get(address).content.decode()
    rows = {
        "vials-0-pk": scanned.pk,
        "vials-0-lot": "LOT456",
        "vials-0-expires_on": "2029-12-31",
        "vials-0-grams": "10",
    }
    # The second is emptied, the third is new.
    rows |= {"vials-1-pk": typed.pk, "vials-2-lot": "SYN-7"}
    data = infusion_form(seen_version=infusion.version, reason="Grams", ended_at="", still_running="on")
    started_at = timezone.localtime(infusion.started_at, infusion.zone).strftime("%Y-%m-%dT%H:%M")
    assert page.post(address, data | {"started_at": started_at} | rows).status_code == 302
    kept, added = infusion.vials.all()
    assert (kept.pk, kept.gtin, kept.serial, kept.grams) == (scanned.pk, "00614141123452", "ABC123", 10)
    assert kept.submission_id == scanned.submission_id
    assert (added.lot, added.gtin) == ("SYN-7", "")
    before, after = AuditEvent.objects.get(act="infusion.corrected").changes["vials"]
    assert [row["lot"] for row in before] == ["LOT456", "SYN-8"]
    assert [(row["lot"], row["serial"]) for row in after] == [("LOT456", "ABC123"), ("SYN-7", "")]


@pytest.mark.parametrize(("lot", "code"), [("lot456", ("00614141123452", "ABC123")), ("LOT457", ("", ""))])
def test_a_vial_of_another_lot_is_not_the_one_whose_code_was_read(
    page: Client, infusion: Infusion, lot: str, code: tuple[str, str]
) -> None:
    send(
        page, "add_vial", infusion, vial(scan="010061414112345221ABC123\x1d10LOT456\x1d17291231", lot="", expires_on="")
    )
    scanned = infusion.vials.get()
    infusion.refresh_from_db()
    data = infusion_form(seen_version=infusion.version, reason="Lot", ended_at="", still_running="on")
    data |= {"started_at": on_clock(infusion.started_at, infusion)}
    data |= {"vials-0-pk": scanned.pk, "vials-0-lot": lot, "vials-0-expires_on": "2029-12-31"}
    assert page.post(reverse("reactions:correct_infusion", args=[infusion.pk]), data).status_code == 302
    kept = infusion.vials.get()
    assert (kept.pk, kept.lot, (kept.gtin, kept.serial)) == (scanned.pk, lot, code)


def test_a_vial_of_another_infusion_is_never_taken_over(page: Client, infusion: Infusion, nurse: User) -> None:
    other = make_infusion(infusion.patient, product=infusion.product, started_at=timezone.now() - timedelta(days=9))
    foreign = other.vials.create(lot="SYN-4", serial="X1")
    recording.correct_infusion(
        infusion,
        by=nurse,
        details={},
        vials=[{"pk": foreign.pk, "lot": "SYN-5"}],
        premedications=[],
        reason="Forged",
        seen_version=1,
        now=timezone.now(),
    )
    foreign.refresh_from_db()
    assert (foreign.infusion, foreign.lot) == (other, "SYN-4")
    assert infusion.vials.get().lot == "SYN-5"


def test_what_is_derived_is_shown(page: Client, infusion: Infusion) -> None:
    started_at = timezone.now() - timedelta(minutes=60, seconds=5)
    Infusion.objects.filter(pk=infusion.pk).update(started_at=started_at)
    infusion.rate_steps.update(at=started_at)
    send(page, "add_vial", infusion, vial(grams="20"))
    text = page.get(reverse("reactions:running", args=[infusion.pk])).content.decode()
    for words in ("42 mL/h", "0.60 mL/kg/h", "1 h 00 min", "42 of 350 mL", "12 %", "0.50 g/kg", "20 g of 35 g"):
        assert words in text, words
    assert "The vials hold another amount than the dose" in text


def test_vital_signs_due_and_missed_follow_the_clinics_schedule(page: Client, infusion: Infusion) -> None:
    address = reverse("reactions:running", args=[infusion.pk])
    assert "2 missed" in page.get(address).content.decode()
    ClinicProtocol.objects.create(clinic=infusion.clinic, vitals_first_min=120, vitals_every_min=120)
    text = page.get(address).content.decode()
    assert "1 missed" in text
    assert "120 min after the start" in text


def begun(infusion: Infusion, minutes: int) -> None:
    at = timezone.now() - timedelta(minutes=minutes, seconds=5)
    Infusion.objects.filter(pk=infusion.pk).update(started_at=at)
    infusion.rate_steps.update(at=at)
    infusion.refresh_from_db()


def vitals_panel(page: Client, infusion: Infusion) -> str:
    text = page.get(reverse("reactions:running", args=[infusion.pk])).content.decode()
    return " ".join(
        re.sub(r"<[^>]+>", " ", text.split('aria-label="Vital signs due"')[1].split("</section>")[0]).split()
    )


def test_a_baseline_is_due_in_the_first_minutes_and_missed_after_them(page: Client, infusion: Infusion) -> None:
    begun(infusion, 4)
    assert "Due now Vital signs: before the start" in vitals_panel(page, infusion)
    assert "missed" not in vitals_panel(page, infusion)
    begun(infusion, 5)
    assert "Due now Vital signs: 15 min after the start" in vitals_panel(page, infusion)
    assert "1 missed Before the start" in vitals_panel(page, infusion)


def test_a_baseline_taken_in_the_first_minutes_is_not_asked_for_again(
    page: Client, infusion: Infusion, nurse: User
) -> None:
    begun(infusion, 4)
    taken = infusion.vitals.create(
        at=infusion.started_at + timedelta(minutes=2), heart_rate_per_min=72, created_by=nurse
    )
    assert "Next Vital signs: 15 min after the start" in vitals_panel(page, infusion)
    begun(infusion, 10)
    Vitals.objects.filter(pk=taken.pk).update(at=infusion.started_at + timedelta(minutes=2))
    assert "missed" not in vitals_panel(page, infusion)


@pytest.mark.parametrize(("first", "late"), [(30, 9), (120, 9), (10, 0)])
def test_how_late_a_baseline_may_be_follows_the_schedule(
    page: Client, infusion: Infusion, first: int, late: int
) -> None:
    ClinicProtocol.objects.create(clinic=infusion.clinic, vitals_first_min=first)
    begun(infusion, late)
    assert ("before the start" in vitals_panel(page, infusion)) is bool(late)
    begun(infusion, late + 1)
    assert "1 missed" in vitals_panel(page, infusion)


def test_sets_that_are_late_are_said_until_something_is_measured(page: Client, infusion: Infusion, nurse: User) -> None:
    begun(infusion, 4)
    assert "Late" not in vitals_panel(page, infusion)
    begun(infusion, 26)
    first = timezone.localtime(infusion.started_at + timedelta(minutes=15), infusion.zone)
    assert f"Late Nothing was measured since {first:%H:%M}" in vitals_panel(page, infusion)
    infusion.vitals.create(at=timezone.now(), heart_rate_per_min=72, created_by=nurse)
    assert "Late" not in vitals_panel(page, infusion)
    assert "2 missed" in vitals_panel(page, infusion)


def test_the_mean_rate_is_said_with_and_without_pauses(page: Client, infusion: Infusion, nurse: User) -> None:
    begun(infusion, 60)
    address = reverse("reactions:running", args=[infusion.pk])
    assert "without pauses" not in page.get(address).content.decode()
    at = infusion.started_at + timedelta(minutes=30)
    infusion.rate_steps.create(at=at, rate_ml_per_h=0, reason="pause", created_by=nurse)
    assert "21 mL/h, 42 mL/h without pauses" in page.get(address).content.decode()


def test_observed_without_a_reaction_is_an_entry_of_its_own(page: Client, infusion: Infusion, nurse: User) -> None:
    Infusion.objects.filter(pk=infusion.pk).update(reaction_record="not_recorded")
    send(page, "say_observed", infusion, {})
    infusion.refresh_from_db()
    assert infusion.reaction_record == "observed"
    assert AuditEvent.objects.get(act="infusion.observed").by == nurse


def test_a_step_is_corrected_and_start_and_end_follow(page: Client, infusion: Infusion) -> None:
    send(page, "change_rate", infusion, step(infusion, tap="stop"))
    stop = infusion.rate_steps.latest("at")
    earlier = stop.at - timedelta(minutes=10)
    data = {
        "submission_id": uuid4(),
        "seen_version": 1,
        "at": timezone.localtime(earlier, infusion.zone).strftime("%Y-%m-%dT%H:%M:%S"),
        "reason": "Written down late",
    }
    assert page.post(reverse("reactions:correct_step", args=[stop.pk]), data).status_code == 302
    infusion.refresh_from_db()
    assert abs(infusion.ended_at - earlier) < timedelta(seconds=1)
    due = infusion.checkins.earliest("due_at").due_at
    assert due == infusion.ended_at + timedelta(hours=24)
    stale = page.post(reverse("reactions:correct_step", args=[stop.pk]), data)
    assert stale.status_code == 409


def correct(page: Client, row: Any, **changes: Any) -> Any:
    """Send the form that corrects a row as it shows it, with changes."""
    address = reverse(
        {RateStep: "reactions:correct_step", Vitals: "reactions:correct_vitals"}[type(row)], args=[row.pk]
    )
    form = page.get(address).context["form"]
    shown = {name: form[name].value() for name in form.fields}
    data = {name: value for name, value in shown.items() if value is not None} | {"reason": "Typed wrong"}
    return page.post(address, data | changes)


def said_at(answer: Any, field: str) -> str:
    return " ".join(answer.context["form"].errors.get(field, []))


def test_correcting_the_start_moves_the_infusion_and_both_histories_say_so(page: Client, infusion: Infusion) -> None:
    start, earlier = infusion.rate_steps.get(), infusion.started_at - timedelta(minutes=15)
    correct(page, start, at=on_clock(earlier, infusion))
    before = str(infusion.started_at)
    infusion.refresh_from_db()
    start.refresh_from_db()
    assert (infusion.started_at, start.at, infusion.version) == (earlier, earlier, 2)
    event = AuditEvent.objects.get(act="infusion.corrected")
    assert (event.changes, event.reason) == ({"started_at": [before, str(earlier)]}, "Typed wrong")


def test_the_start_is_not_moved_behind_a_reaction(page: Client, infusion: Infusion) -> None:
    make_reaction(infusion, minutes=10)
    start = infusion.rate_steps.get()
    answer = correct(page, start, at=on_clock(infusion.started_at + timedelta(minutes=20), infusion))
    began = on_clock(infusion.started_at + timedelta(minutes=10), infusion).replace("T", " ")
    assert f"A reaction to this infusion began at {began}, before this start" in said_at(answer, "at")
    assert nothing_moved(infusion, start)


def test_the_start_is_not_moved_behind_a_drug_given_during_the_infusion(
    page: Client, infusion: Infusion, nurse: User
) -> None:
    at, start = infusion.started_at + timedelta(minutes=10), infusion.rate_steps.get()
    void, drug = (
        infusion.treatments.create(at=at + timedelta(minutes=one), drug=name, created_by=nurse)
        for one, name in enumerate(("paracetamol", "cetirizine"))
    )
    recording.void_treatment(void, by=nurse, reason="Twice", seen_version=1, now=timezone.now())
    answer = correct(page, start, at=on_clock(at + timedelta(minutes=2), infusion))
    assert f"{drug} was given during this infusion at {on_clock(drug.at, infusion).replace('T', ' ')}" in said_at(
        answer, "at"
    )
    assert nothing_moved(infusion, start)
    assert correct(page, start, at=on_clock(drug.at, infusion)).status_code == 302


def test_a_start_of_which_the_safety_card_warns_is_answered_with_the_infusion(page: Client, infusion: Infusion) -> None:
    last = infusion.started_at - timedelta(days=43) + timedelta(minutes=10)
    make_infusion(infusion.patient, product=infusion.product, started_at=last)
    start = infusion.rate_steps.get()
    answer = correct(page, start, at=on_clock(infusion.started_at + timedelta(minutes=10), infusion))
    assert "43 days since the last infusion" in said_at(answer, "at")
    assert nothing_moved(infusion, start)
    assert correct(page, start, at=on_clock(infusion.started_at + timedelta(minutes=9), infusion)).status_code == 302


def nothing_moved(infusion: Infusion, *rows: Any) -> bool:
    """The infusion and its rows are stored as they were read before."""
    return all(
        getattr(type(row)._base_manager.get(pk=row.pk), name) == getattr(row, name)
        for row in (infusion, *rows)
        for name in ("version", "started_at" if row is infusion else "at")
    )


def test_the_start_is_not_moved_to_where_another_infusion_starts(page: Client, infusion: Infusion) -> None:
    other = make_infusion(infusion.patient, product=infusion.product, started_at=timezone.now() - timedelta(hours=7))
    other_start = other.started_at.replace(second=0, microsecond=0)
    Infusion.objects.filter(pk=other.pk).update(started_at=other_start)
    start = infusion.rate_steps.get()
    answer = correct(page, start, at=on_clock(other_start, infusion))
    assert "An infusion of this patient with the same start is already recorded" in said_at(answer, "at")
    assert nothing_moved(infusion, start)


def test_a_corrected_rate_must_still_fit_its_neighbours(page: Client, infusion: Infusion, stepped: RateStep) -> None:
    answer = correct(page, stepped, rate_ml_per_h="21")
    assert "is not above the 42 mL/h before it" in said_at(answer, "at")
    stepped.refresh_from_db()
    assert (stepped.rate_ml_per_h, stepped.version) == (84, 1)


def test_vital_signs_are_not_moved_to_the_minute_of_others(page: Client, infusion: Infusion, nurse: User) -> None:
    first, second = (
        infusion.vitals.create(
            at=infusion.started_at + timedelta(minutes=minutes), heart_rate_per_min=72, created_by=nurse
        )
        for minutes in (10, 20)
    )
    answer = correct(page, second, at=on_clock(first.at, infusion))
    assert f"This minute has a row by {nurse} already" in said_at(answer, "at")
    assert nothing_moved(infusion, first, second)


def test_correcting_only_the_rate_leaves_the_moment_of_the_tap(page: Client, infusion: Infusion) -> None:
    send(page, "change_rate", infusion, step(infusion))
    tapped = infusion.rate_steps.latest("at")
    RateStep.objects.filter(pk=tapped.pk).update(at=tapped.at.replace(microsecond=250_000))
    assert correct(page, tapped, rate_ml_per_h="63").status_code == 302
    again = RateStep.objects.get(pk=tapped.pk)
    assert (again.rate_ml_per_h, again.at.microsecond) == (63, 250_000)


@pytest.fixture
def over(patient: Patient, product: Product) -> Infusion:
    """Recorded afterwards: two hours that ended three hours ago, without rate steps."""
    ended_at = (timezone.now() - timedelta(hours=3)).replace(second=0, microsecond=0)
    return make_infusion(patient, product=product, started_at=ended_at - timedelta(hours=2), ended_at=ended_at)


def after_start(infusion: Infusion, minutes: int) -> str:
    return on_clock(infusion.started_at + timedelta(minutes=minutes), infusion)


@pytest.mark.parametrize("is_over", [True, False])
def test_the_first_rate_of_what_was_recorded_without_lies_at_its_start(
    page: Client, over: Infusion, is_over: bool
) -> None:
    if not is_over:
        Infusion.objects.filter(pk=over.pk).update(ended_at=None)
    answer = send(page, "change_rate", over, step(over, at=after_start(over, 10)))
    assert f"The infusion started at {after_start(over, 0).replace('T', ' ')}" in said_at_step(answer)
    assert not over.rate_steps.exists()
    send(page, "change_rate", over, step(over))
    assert (over.rate_steps.get().reason, over.rate_steps.get().at) == ("start", over.started_at)


def said_at_step(answer: Any) -> str:
    return " ".join(answer.context["step_form"].errors.get("at", []))


def test_rates_are_written_down_after_the_infusion(page: Client, over: Infusion) -> None:
    ended_at = over.ended_at
    make_checkins(over)
    checkins = list(over.checkins.values_list("due_at", "state"))
    shown = reverse("reactions:running", args=[over.pk])
    assert "Start at this rate" in page.get(shown).content.decode()
    for form in ({"rate_ml_per_h": "42"}, {"rate_ml_per_h": "84", "at": after_start(over, 30)}, {"tap": "stop"}):
        assert send(page, "change_rate", over, step(over, **form)).status_code == 302
    assert list(over.rate_steps.values_list("reason", "at")) == [
        ("start", over.started_at),
        ("step_up", over.started_at + timedelta(minutes=30)),
        ("stop", ended_at),
    ]
    over.refresh_from_db()
    assert over.ended_at == ended_at
    assert list(over.checkins.values_list("due_at", "state")) == checkins
    assert not AuditEvent.objects.filter(act="infusion.ended").exists()
    assert "Set this rate" not in page.get(shown).content.decode()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"at": 120}, "Write when before that this was"),
        ({"at": 150}, "Write when before that this was"),
        ({}, "Write when before that this was"),
        ({"tap": "pause"}, "Write when before that this was"),
        ({"tap": "stop", "at": 150}, "its stop belongs there"),
        ({"tap": "stop", "at": 110}, "its stop belongs there"),
    ],
)
def test_no_step_lies_behind_the_recorded_end(page: Client, over: Infusion, change: dict, said: str) -> None:
    send(page, "change_rate", over, step(over, rate_ml_per_h="42"))
    if "at" in change:
        change = change | {"at": after_start(over, change["at"])}
    answer = send(page, "change_rate", over, step(over, **change))
    assert f"The infusion ended at {after_start(over, 120).replace('T', ' ')}" in said_at_step(answer)
    assert said in said_at_step(answer)
    assert over.rate_steps.count() == 1


def test_correcting_a_rate_leaves_an_end_that_no_stop_tells(page: Client, over: Infusion) -> None:
    send(page, "change_rate", over, step(over, rate_ml_per_h="42"))
    start, ended_at = over.rate_steps.get(), over.ended_at
    assert correct(page, start, rate_ml_per_h="21").status_code == 302
    start.refresh_from_db()
    answer = correct(page, start, at=after_start(over, 120))
    assert "Write when before that this was" in said_at(answer, "at")
    page.post(reverse("reactions:void_step", args=[start.pk]), {"seen_version": "2", "reason": "Not known"})
    assert not over.rate_steps.current().exists()
    over.refresh_from_db()
    assert over.ended_at == ended_at


def test_without_its_stop_an_infusion_runs_on(page: Client, infusion: Infusion) -> None:
    send(page, "change_rate", infusion, step(infusion, tap="stop"))
    stop = infusion.rate_steps.latest("at")
    page.post(reverse("reactions:void_step", args=[stop.pk]), {"seen_version": "1", "reason": "Too early"})
    infusion.refresh_from_db()
    assert infusion.ended_at is None
    assert set(infusion.checkins.values_list("state", flat=True)) == {"cancelled"}


def test_the_start_cannot_be_taken_back_from_under_other_steps(page: Client, infusion: Infusion) -> None:
    send(page, "change_rate", infusion, step(infusion))
    first = infusion.rate_steps.earliest("at")
    answer = page.post(
        reverse("reactions:void_step", args=[first.pk]), {"seen_version": "1", "reason": "Mistake"}, follow=True
    )
    assert "It cannot be taken back" in answer.content.decode()
    assert RateStep.objects.current().count() == 2


def test_correcting_the_infusion_moves_its_steps(page: Client, infusion: Infusion) -> None:
    started = timezone.localtime(infusion.started_at - timedelta(minutes=5), infusion.zone)
    ended = timezone.localtime(timezone.now() - timedelta(minutes=1), infusion.zone)
    data = infusion_form(
        seen_version="1",
        started_at=started.strftime("%Y-%m-%dT%H:%M"),
        ended_at=ended.strftime("%Y-%m-%dT%H:%M"),
        reason="Clock was wrong",
    )
    assert page.post(reverse("reactions:correct_infusion", args=[infusion.pk]), data).status_code == 302
    steps = list(infusion.rate_steps.current().order_by("at"))
    infusion.refresh_from_db()
    assert [s.at for s in steps] == [infusion.started_at, infusion.ended_at]
    assert [s.reason for s in steps] == ["start", "stop"]


def on_clock(at: datetime, infusion: Infusion) -> str:
    return timezone.localtime(at, infusion.zone).strftime("%Y-%m-%dT%H:%M")


@pytest.fixture
def stepped(infusion: Infusion, nurse: User) -> RateStep:
    """A step up half an hour after the start."""
    at = infusion.started_at + timedelta(minutes=30)
    made: RateStep = infusion.rate_steps.create(at=at, rate_ml_per_h=84, reason="step_up", created_by=nurse)
    return made


def test_two_steps_never_have_one_time(page: Client, infusion: Infusion, stepped: RateStep) -> None:
    typed = step(infusion, rate_ml_per_h="105", at=on_clock(stepped.at, infusion))
    answer = send(page, "change_rate", infusion, typed)
    assert "Two steps have the time" in answer.content.decode()
    data = {"submission_id": uuid4(), "seen_version": 1, "reason": "Clock", "rate_ml_per_h": "84"}
    data["at"] = on_clock(infusion.started_at, infusion)
    answer = page.post(reverse("reactions:correct_step", args=[stepped.pk]), data)
    assert "Two steps have the time" in answer.content.decode()
    moved = infusion_form(started_at=data["at"], seen_version="1", reason="Clock", ended_at="", still_running="on")
    moved["started_at"] = on_clock(stepped.at, infusion)
    answer = page.post(reverse("reactions:correct_infusion", args=[infusion.pk]), moved)
    assert "Two steps have the time" in answer.content.decode()
    assert [one.version for one in infusion.rate_steps.all()] == [1, 1]


def test_a_start_may_move_to_where_the_stop_stood(infusion: Infusion, nurse: User) -> None:
    started, ended = infusion.started_at, infusion.started_at + timedelta(minutes=20)
    infusion.rate_steps.create(at=ended, rate_ml_per_h=0, reason="stop", created_by=nurse)
    Infusion.objects.filter(pk=infusion.pk).update(ended_at=ended)

    def move(start: datetime, end: datetime) -> None:
        now, details = timezone.now(), {"started_at": start, "ended_at": end}
        words: dict[str, Any] = {"by": nurse, "vials": [], "premedications": [], "reason": "Clock", "now": now}
        infusion.refresh_from_db()
        recording.correct_infusion(infusion, details=details, seen_version=infusion.version, **words)

    move(ended, ended + timedelta(minutes=20))
    move(started, ended)
    assert [one.at for one in infusion.rate_steps.current()] == [started, ended]
    # Each move is in the row's own history, and a form that was opened before it is stale.
    assert [one.version for one in infusion.rate_steps.current()] == [3, 3]
    assert [event.reason for event in AuditEvent.objects.filter(act="rate.corrected")] == ["Clock"] * 4


def test_a_form_that_waited_for_a_connection_keeps_the_time_of_its_tap(page: Client, infusion: Infusion) -> None:
    tapped = datetime.now().astimezone() - timedelta(minutes=20)
    send(page, "add_vitals", infusion, vitals(tapped_at=tapped.isoformat()))
    assert infusion.vitals.get().at == tapped.replace(second=0, microsecond=0)


@pytest.mark.parametrize(
    "tapped", ["", "rubbish", "2020-01-01T10:00:00Z", "2150-01-01T10:00:00Z", "2026-01-01T10:00:00"]
)
def test_a_tap_that_cannot_be_is_stamped_on_arrival(page: Client, infusion: Infusion, tapped: str) -> None:
    send(page, "add_vitals", infusion, vitals(tapped_at=tapped))
    assert timezone.now() - infusion.vitals.get().at < timedelta(minutes=2)


def test_a_void_infusion_takes_nothing_more(page: Client, infusion: Infusion, nurse: User) -> None:
    Infusion.objects.filter(pk=infusion.pk).update(voided_at=timezone.now(), voided_by=nurse, void_reason="Twice")
    assert send(page, "add_vitals", infusion, vitals()).status_code == 404
    assert page.get(reverse("reactions:running", args=[infusion.pk])).status_code == 200


@pytest.mark.parametrize(
    ("name", "first", "changes"),
    [
        ("change_rate", {"step-rate_ml_per_h": "84"}, {"step-rate_ml_per_h": "63"}),
        ("change_rate", {"step-rate_ml_per_h": "21"}, {"step-tap": "pause"}),
        ("add_vitals", vitals(), {"vitals-temperature_c": "39.1"}),
        ("give_treatment", drug(), {"treatment-dose": "500 mg"}),
        ("add_vial", vial(), {"vial-lot": "SYN-8"}),
    ],
)
def test_a_row_sent_again_with_other_words_says_that_it_was_saved_before(
    page: Client, infusion: Infusion, name: str, first: dict, changes: dict
) -> None:
    data = step(infusion) | first if name == "change_rate" else first
    for _ in range(2):
        assert send(page, name, infusion, data).status_code == 302
    answer = send(page, name, infusion, data | changes)
    assert answer.status_code == 200
    said = answer.content.decode()
    assert "This form was saved already" in said
    way = re.search(r'<a href="([^"]+)">Look at what is stored', said)
    assert way
    assert page.get(way[1]).status_code == 200


def test_a_refused_form_is_named_at_the_head_of_the_page(page: Client, infusion: Infusion) -> None:
    said = send(page, "add_vitals", infusion, vitals(systolic_mmhg="70", diastolic_mmhg="90")).content.decode()
    head = said[: said.index('id="live"')]
    assert re.search(r'role="alert" tabindex="-1" autofocus>\s*<p>Nothing was saved yet', head)
    assert '<a href="#id_vitals-' in head


def test_another_time_is_another_word_and_a_time_left_open_is_none(page: Client, infusion: Infusion) -> None:
    data = vitals()
    send(page, "add_vitals", infusion, data)
    infusion.vitals.update(at=infusion.started_at)
    assert send(page, "add_vitals", infusion, data).status_code == 302
    typed = data | {"vitals-at": on_clock(infusion.started_at + timedelta(minutes=5), infusion)}
    assert "This form was saved already" in send(page, "add_vitals", infusion, typed).content.decode()


def test_an_infusion_never_denies_its_own_reaction(page: Client, infusion: Infusion) -> None:
    Infusion.objects.filter(pk=infusion.pk).update(reaction_record="not_recorded")
    running = reverse("reactions:running", args=[infusion.pk])
    assert "Observed, no reaction" in page.get(running).content.decode()
    make_reaction(infusion)
    assert "Observed, no reaction" not in page.get(running).content.decode()
    answer = page.post(reverse("reactions:say_observed", args=[infusion.pk]), follow=True)
    assert "A reaction to this infusion is recorded" in answer.content.decode()
    for said in ("not_recorded", "seen"):
        data = infusion_form(seen_version="1", reason="Doubt", ended_at="", still_running="on", reaction_seen=said)
        data["started_at"] = on_clock(infusion.started_at, infusion)
        answer = page.post(reverse("reactions:correct_infusion", args=[infusion.pk]), data)
        assert "A reaction to this infusion is recorded" in answer.content.decode()
    infusion.refresh_from_db()
    assert infusion.version == 1


def test_one_vial_is_one_row_of_an_infusion(infusion: Infusion, nurse: User) -> None:
    one = {"lot": "SYN-1", "gtin": "00614141123452", "serial": "ABC123"}
    recording.add_vial(infusion, by=nurse, vial=one, submission_id=uuid4())
    with pytest.raises(recording.VialThere):
        recording.add_vial(infusion, by=nurse, vial=one, submission_id=uuid4())
    with pytest.raises(IntegrityError), transaction.atomic():
        infusion.vials.create(**one)
    for _ in range(2):
        recording.add_vial(infusion, by=nurse, vial=one | {"serial": ""}, submission_id=uuid4())
