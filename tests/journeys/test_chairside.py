"""Four hours at the chairside, written down through the pages alone on a tablet."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from decimal import Decimal

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone
from playwright.sync_api import Browser, Page, expect
from pytest_django.live_server_helper import LiveServer

from patients.models import Clinic, Patient, User
from reactions.models import AnaphylaxisRecord, Infusion
from tests.journeys.conftest import NewPage, sign_in
from tests.journeys.eyes import look_at
from tests.support.factories import make_infusion, make_reaction
from tests.support.notes import note

TABLET = {"width": 820, "height": 1180}
STARTS_AT_ML_PER_H = 21
# Minutes after the start, and what is tapped: a rate in mL/h, or a button.
STEPS: tuple[tuple[int, str], ...] = (
    (30, "42"),
    (60, "84"),
    (90, "126"),
    (100, "Pause"),
    (115, "84"),
    (145, "126"),
    (160, "84"),
    (175, "168"),
    (200, "210"),
    (240, "Stop: the infusion is over"),
)
VITALS: tuple[tuple[int, tuple[str, ...]], ...] = (
    (-10, ("36.7", "72", "124", "78", "14", "98")),
    (15, ("36.8", "74", "122", "76", "14", "98")),
    (30, ("36.9", "78", "118", "74", "16", "97")),
    (101, ("38.2", "104", "110", "70", "20", "96")),
    (115, ("38.0", "96", "114", "72", "18", "97")),
    (175, ("37.2", "84", "120", "76", "16", "98")),
    (240, ("36.9", "76", "122", "78", "14", "98")),
)


class Taps:
    """Counts what a finger does: taps on controls, and fields filled in."""

    def __init__(self) -> None:
        self.taps = self.fields = 0

    def tap(self, page: Page, name: str) -> None:
        page.get_by_role("button", name=name, exact=True).or_(
            page.get_by_role("link", name=name, exact=True)
        ).first.click()
        self.taps += 1

    def fill(self, page: Page, selector: str, value: str) -> None:
        page.locator(selector).fill(value)
        self.fields += 1


@pytest.fixture
def started_at(clinic: Clinic) -> datetime:
    return (timezone.now() - timedelta(hours=4, minutes=20)).astimezone(clinic.zone).replace(second=0, microsecond=0)


def clock(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M")


@pytest.mark.django_db(transaction=True)
def test_four_hours_with_eleven_steps_seven_vitals_and_a_reaction(
    new_person: NewPage, nurse: User, patient: Patient, started_at: datetime, no_broker: None
) -> None:
    page, hand = new_person(), Taps()
    page.set_viewport_size(TABLET)
    sign_in(page, nurse)
    page.goto(reverse("reactions:patient", args=[patient.pk]))
    start(page, hand, started_at)
    at = {minutes: clock(started_at + timedelta(minutes=minutes)) for minutes, _ in (*STEPS, *VITALS)}
    for number, (minutes, values) in enumerate(VITALS, start=1):
        for selector, value in zip(VITALS_FIELDS, values, strict=True):
            hand.fill(page, selector, value)
        hand.fill(page, "#id_vitals-at", at[minutes])
        hand.tap(page, "Record vital signs")
        expect(page.get_by_role("link", name=re.compile("Correct the vital signs"))).to_have_count(number)
    for number, (minutes, what) in enumerate(STEPS, start=2):
        hand.fill(page, "#id_step-at", at[minutes])
        if what.isdecimal():
            hand.fill(page, "#id_step-rate_ml_per_h", what)
            hand.tap(page, "Resume at this rate" if minutes == 115 else "Set this rate")
        else:
            if "Stop" in what:
                look_at(page, "running")
            hand.tap(page, what)
        expect(page.get_by_role("link", name=re.compile("Correct the rate step"))).to_have_count(number)
    react(page, hand, clock(started_at + timedelta(minutes=98)))
    infusion = Infusion.objects.get()
    steps = list(infusion.rate_steps.current().order_by("at"))
    assert [step.reason for step in steps].count("step_up") == 6
    assert len(steps) == 11
    assert infusion.vitals.current().count() == 7
    assert infusion.ended_at == started_at + timedelta(hours=4)
    assert infusion.checkins.count() == 4
    reaction = infusion.reactions.get()
    assert {(symptom.term, symptom.grade) for symptom in reaction.symptoms.all()} == {("chills", 2), ("headache", 1)}
    page.goto(reverse("reactions:running", args=[infusion.pk]))
    expect(page.get_by_text("at 126 mL/h")).to_be_visible()
    look_at(page, "running-over")
    note(
        f"{hand.taps} taps and {hand.fields} fields: an infusion of four hours with 11 rate steps, 7 sets of vital"
        " signs, a scanned vial and a reaction with 2 symptoms"
    )


VITALS_FIELDS = (
    "#id_vitals-temperature_c",
    "#id_vitals-heart_rate_per_min",
    "#id_vitals-systolic_mmhg",
    "#id_vitals-diastolic_mmhg",
    "#id_vitals-respiratory_rate_per_min",
    "#id_vitals-spo2_percent",
)


def start(page: Page, hand: Taps, started_at: datetime) -> None:
    hand.tap(page, "Start an infusion")
    look_at(page, "start-empty")
    page.locator("#id_product").select_option(label="Privigen")
    page.locator("#id_indication").select_option("cidp")
    hand.fill(page, "#id_started_at", clock(started_at))
    hand.fill(page, "#id_dose_g", "35")
    hand.fill(page, "#id_weight_kg", "70")
    hand.fill(page, "#id_planned_rate_ml_per_h", "400")
    hand.fill(page, "#id_start_rate_ml_per_h", str(STARTS_AT_ML_PER_H))
    page.get_by_label("None given").check()
    hand.tap(page, "Start the infusion")
    expect(page.get_by_text("Read the card and write why the infusion goes on.").first).to_be_visible()
    expect(page.locator(".safety-card")).to_contain_text("IgA was never tested")
    expect(page.locator(".safety-card")).to_contain_text("above")
    look_at(page, "start-refused")
    hand.fill(page, "#id_safety-reason", "Known, closely watched")
    hand.tap(page, "Start the infusion")
    expect(page.get_by_role("heading", name=re.compile("Privigen"))).to_be_visible()
    page.locator("#id_vial-scan").fill("(01)00614141123452(10)LOT456(17)281231(21)ABC123")
    hand.tap(page, "Add the vial")
    expect(page.get_by_text("Lot LOT456").first).to_be_visible()


@pytest.fixture
def running(patient: Patient, nurse: User) -> Infusion:
    infusion = make_infusion(patient, started_at=timezone.now() - timedelta(hours=1), ended_at=None, is_chairside=True)
    infusion.rate_steps.create(at=infusion.started_at, rate_ml_per_h=42, reason="start", created_by=nurse)
    return infusion


@pytest.mark.django_db(transaction=True)
def test_a_lost_connection_loses_nothing_and_sends_once(
    new_person: NewPage, nurse: User, running: Infusion, no_broker: None
) -> None:
    page = new_person()
    sign_in(page, nurse)
    page.goto(reverse("reactions:running", args=[running.pk]))
    page.locator("#id_vitals-temperature_c").fill("38.4")
    page.reload()
    expect(page.locator("#id_vitals-temperature_c")).to_have_value("38.4")
    expect(page.get_by_text("What you typed before is here again.")).to_be_visible()
    page.context.set_offline(True)
    tapped_at = timezone.now()
    page.get_by_role("button", name="Record vital signs").click()
    expect(page.get_by_text("No connection. Nothing is lost")).to_be_visible()
    look_at(page, "running-offline")
    assert not running.vitals.exists()
    page.context.set_offline(False)
    expect(page.get_by_role("link", name=re.compile("Correct the vital signs"))).to_have_count(1, timeout=15_000)
    recorded = running.vitals.get()
    assert recorded.at == tapped_at.replace(second=0, microsecond=0)
    expect(page.locator("#id_vitals-temperature_c")).to_have_value("")


@pytest.mark.django_db(transaction=True)
def test_times_tapped_without_a_connection_keep_their_moments(
    new_person: NewPage, nurse: User, running: Infusion, no_broker: None
) -> None:
    page = new_person()
    sign_in(page, nurse)
    page.goto(reverse("reactions:running", args=[running.pk]))
    page.get_by_role("button", name="Suspected anaphylaxis").click()
    expect(page.get_by_role("heading", name="Suspected anaphylaxis")).to_be_visible()
    page.context.set_offline(True)
    page.get_by_role("button", name="Infusion stopped").click()
    expect(page.get_by_text("No connection. Nothing is lost")).to_be_visible()
    page.get_by_role("button", name="Adrenaline 1").click()
    page.context.set_offline(False)
    expect(page.locator(".tile-done")).to_have_count(2, timeout=15_000)
    record = AnaphylaxisRecord.objects.get()
    assert record.stopped_at
    assert record.moments["adrenaline_1_at"]


@pytest.mark.django_db(transaction=True)
def test_two_forms_that_wait_are_both_sent(
    new_person: NewPage, nurse: User, running: Infusion, no_broker: None
) -> None:
    page = new_person()
    sign_in(page, nurse)
    page.goto(reverse("reactions:running", args=[running.pk]))
    page.context.set_offline(True)
    page.locator("#id_vitals-heart_rate_per_min").fill("88")
    page.get_by_role("button", name="Record vital signs").click()
    expect(page.get_by_text("No connection. Nothing is lost").first).to_be_visible()
    page.get_by_role("button", name="Pause").click()
    page.context.set_offline(False)
    expect(page.get_by_text("paused")).to_be_visible(timeout=15_000)
    expect(page.get_by_role("link", name=re.compile("Correct the vital signs"))).to_have_count(1)
    assert running.vitals.get().heart_rate_per_min == 88
    expect(page.locator("#id_vitals-heart_rate_per_min")).to_have_value("")


@pytest.mark.django_db(transaction=True)
def test_an_emergency_goes_first_and_is_not_held_up_by_a_refused_form(
    new_person: NewPage, nurse: User, running: Infusion, no_broker: None
) -> None:
    page = new_person()
    sign_in(page, nurse)
    page.goto(reverse("reactions:running", args=[running.pk]))
    page.context.set_offline(True)
    page.locator("#id_vitals-temperature_c").fill("88")
    page.get_by_role("button", name="Record vital signs").click()
    expect(page.get_by_text("No connection. Nothing is lost").first).to_be_visible()
    tapped_at = timezone.now()
    page.get_by_role("button", name="Suspected anaphylaxis").click()
    sent: list[str] = []
    page.on("request", lambda request: sent.append(request.url) if request.method == "POST" else None)
    page.context.set_offline(False)
    expect(page.locator("#id_vitals-temperature_c.is-invalid")).to_have_value("88", timeout=15_000)
    assert sent[0].endswith(reverse("reactions:suspect_anaphylaxis", args=[running.pk]))
    record = AnaphylaxisRecord.objects.get()
    assert record.reaction.onset_at == tapped_at.replace(second=0, microsecond=0)
    expect(page.get_by_text("Saved: “Suspected anaphylaxis”, tapped at")).to_be_visible()
    page.get_by_role("button", name="Suspected anaphylaxis").click()
    expect(page.get_by_role("heading", name="Suspected anaphylaxis")).to_be_visible()
    assert AnaphylaxisRecord.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_an_emergency_leads_to_its_page_once_the_others_are_stored(
    new_person: NewPage, nurse: User, running: Infusion, no_broker: None
) -> None:
    page = new_person()
    sign_in(page, nurse)
    page.goto(reverse("reactions:running", args=[running.pk]))
    page.context.set_offline(True)
    page.get_by_role("button", name="Suspected anaphylaxis").click()
    page.get_by_role("button", name="Pause").click()
    page.locator("#id_vitals-heart_rate_per_min").fill("120")
    page.get_by_role("button", name="Record vital signs").click()
    page.context.set_offline(False)
    expect(page.get_by_role("heading", name="Suspected anaphylaxis")).to_be_visible(timeout=15_000)
    assert running.vitals.get().heart_rate_per_min == 120
    assert list(running.rate_steps.values_list("reason", flat=True)) == ["start", "pause"]
    assert AnaphylaxisRecord.objects.count() == 1
    page.goto(reverse("reactions:running", args=[running.pk]))
    expect(page.get_by_role("button", name="Pause")).to_be_hidden()
    expect(page.get_by_text("Not saved yet")).to_have_count(0)


@pytest.mark.django_db(transaction=True)
def test_of_several_refused_forms_each_comes_back_with_its_button_and_time(
    new_person: NewPage, nurse: User, running: Infusion, no_broker: None
) -> None:
    page = new_person()
    sign_in(page, nurse)
    page.goto(reverse("reactions:running", args=[running.pk]))
    page.context.set_offline(True)
    page.locator("#id_vitals-temperature_c").fill("88")
    page.get_by_role("button", name="Record vital signs").click()
    page.locator("#id_step-rate_ml_per_h").fill("9000")
    page.get_by_role("button", name="Set this rate").click()
    page.locator("#id_treatment-drug").select_option("acetaminophen")
    page.get_by_role("button", name="Record the drug").click()
    expect(page.get_by_text("No connection. Nothing is lost")).to_have_count(3)
    tapped_before = timezone.now()
    page.context.set_offline(False)
    expect(page.locator("#id_vitals-temperature_c.is-invalid")).to_have_value("88", timeout=15_000)
    assert running.treatments.count() == 1
    unsaved = page.locator(".unsaved li")
    expect(unsaved).to_have_count(1)
    expect(unsaved).to_contain_text("Not saved yet: “Set this rate”, tapped at")
    expect(page.locator("#rate").get_by_text("Tap it again: it is saved with that time")).to_be_visible()
    look_at(page, "running-unsaved")
    expect(page.locator("#id_step-rate_ml_per_h")).to_have_value("9000")
    page.locator("#id_step-rate_ml_per_h").fill("84")
    page.get_by_role("button", name="Set this rate").click()
    expect(page.get_by_role("link", name=re.compile("Correct the rate step"))).to_have_count(2)
    assert running.rate_steps.current().latest("pk").at <= tapped_before
    expect(unsaved).to_have_count(0)


@pytest.mark.django_db(transaction=True)
def test_a_form_that_waited_long_and_was_refused_keeps_the_time_of_its_tap(
    new_person: NewPage, nurse: User, running: Infusion, no_broker: None
) -> None:
    page = new_person()
    tapped_at = (timezone.now() - timedelta(minutes=20)).replace(second=0, microsecond=0)
    page.clock.install(time=tapped_at)
    sign_in(page, nurse)
    page.goto(reverse("reactions:running", args=[running.pk]))
    page.context.set_offline(True)
    page.locator("#id_vitals-temperature_c").fill("88")
    page.get_by_role("button", name="Record vital signs").click()
    expect(page.get_by_text("No connection. Nothing is lost")).to_be_visible()
    page.clock.fast_forward("05:00")
    page.context.set_offline(False)
    expect(page.locator("#id_vitals-temperature_c.is-invalid")).to_have_value("88", timeout=15_000)
    clock = f"{tapped_at.astimezone(running.zone):%H:%M}"
    expect(page.locator("#vitals")).to_contain_text(f"“Record vital signs”, tapped at {clock}")
    page.locator("#id_vitals-temperature_c").fill("38")
    page.get_by_role("button", name="Record vital signs").click()
    expect(page.get_by_role("link", name=re.compile("Correct the vital signs"))).to_have_count(1)
    assert running.vitals.get().at == tapped_at


@pytest.mark.django_db(transaction=True)
def test_a_tap_that_was_not_saved_is_named_on_every_page_until_it_is(
    new_person: NewPage, nurse: User, running: Infusion, no_broker: None
) -> None:
    page = new_person()
    sign_in(page, nurse)
    address = reverse("reactions:running", args=[running.pk])
    page.goto(address)
    page.route("**/anaphylaxis/", lambda route: route.abort())
    with page.expect_event("requestfailed"):
        page.get_by_role("button", name="Suspected anaphylaxis").click()
    page.goto(reverse("patients:list"))
    unsaved = page.locator(".unsaved li")
    expect(unsaved).to_contain_text("Not saved yet: “Suspected anaphylaxis”, tapped at")
    page.unroute("**/anaphylaxis/")
    unsaved.get_by_role("link").click()
    expect(page.locator(".actions").get_by_text("Not saved yet: “Suspected anaphylaxis”")).to_be_visible()
    page.get_by_role("button", name="Do not save it").click()
    expect(page.get_by_text("Not saved yet")).to_have_count(0)
    page.goto(address)
    expect(page.get_by_text("Not saved yet")).to_have_count(0)
    assert not AnaphylaxisRecord.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_a_connection_that_drops_again_refuses_nothing(
    new_person: NewPage, nurse: User, running: Infusion, no_broker: None
) -> None:
    page = new_person()
    sign_in(page, nurse)
    page.goto(reverse("reactions:running", args=[running.pk]))
    page.context.set_offline(True)
    page.locator("#id_vitals-heart_rate_per_min").fill("88")
    page.get_by_role("button", name="Record vital signs").click()
    page.locator("#id_treatment-drug").select_option("acetaminophen")
    page.get_by_role("button", name="Record the drug").click()
    page.get_by_role("button", name="Pause").click()
    for dropped in ("**/vitals/", "**/treatments/"):
        page.route(dropped, lambda route: route.abort(), times=1)
    page.context.set_offline(False)
    expect(page.get_by_text("paused")).to_be_visible(timeout=30_000)
    assert running.vitals.get().heart_rate_per_min == 88
    assert running.treatments.count() == 1
    expect(page.get_by_role("link", name=re.compile("Correct the vital signs"))).to_have_count(1)
    expect(page.get_by_text("Not saved yet")).to_have_count(0)


@pytest.mark.django_db(transaction=True)
def test_forms_that_wait_while_somebody_is_signed_out_go_after_the_next_sign_in(
    new_person: NewPage, nurse: User, running: Infusion, no_broker: None
) -> None:
    page = new_person()
    sign_in(page, nurse)
    page.goto(reverse("reactions:running", args=[running.pk]))
    other = page.context.new_page()
    other.goto(reverse("patients:list"))
    other.get_by_role("button", name="Sign out").click()
    page.context.set_offline(True)
    page.get_by_role("button", name="Pause").click()
    page.locator("#id_vitals-heart_rate_per_min").fill("88")
    page.get_by_role("button", name="Record vital signs").click()
    page.context.set_offline(False)
    expect(page.get_by_text("You are signed out: sign in in another tab.").first).to_be_visible(timeout=15_000)
    sign_in(other, nurse)
    expect(page.get_by_text("paused")).to_be_visible(timeout=15_000)
    expect(page.get_by_role("link", name=re.compile("Correct the vital signs"))).to_have_count(1)
    assert running.vitals.get().heart_rate_per_min == 88


@pytest.mark.django_db(transaction=True)
def test_a_tap_that_ends_at_the_sign_in_is_there_again_after_it(
    new_person: NewPage, nurse: User, running: Infusion, no_broker: None
) -> None:
    running.reaction_record = "not_recorded"
    running.save()
    page = new_person()
    sign_in(page, nurse)
    page.goto(reverse("reactions:running", args=[running.pk]))
    other = page.context.new_page()
    other.goto(reverse("patients:list"))
    other.get_by_role("button", name="Sign out").click()
    expect(other.get_by_role("heading", name="Sign in")).to_be_visible()
    page.get_by_role("button", name="Observed, no reaction").click()
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    sign_in(other, nurse)
    expect(other.get_by_role("heading", name="Patients")).to_be_visible()
    page.goto(reverse("reactions:running", args=[running.pk]))
    expect(page.locator("#reaction").get_by_text("Not saved yet: “Observed, no reaction”, tapped at")).to_be_visible()
    page.get_by_role("button", name="Observed, no reaction").click()
    expect(page.get_by_text("Recorded: watched, no reaction seen.")).to_be_visible()
    expect(page.get_by_text("Not saved yet")).to_have_count(0)


OLDER = """
  delete AbortSignal.timeout;
  const Whole = FormData;
  window.FormData = class extends Whole { constructor(form) { super(form); } };
"""


@pytest.mark.django_db(transaction=True)
def test_an_older_browser_waits_and_sends_as_well(
    new_person: NewPage, nurse: User, running: Infusion, no_broker: None
) -> None:
    page = new_person()
    page.add_init_script(OLDER)
    sign_in(page, nurse)
    page.goto(reverse("reactions:running", args=[running.pk]))
    page.context.set_offline(True)
    page.locator("#id_step-rate_ml_per_h").fill("84")
    page.get_by_role("button", name="Pause").click()
    page.locator("#id_vitals-heart_rate_per_min").fill("88")
    page.get_by_role("button", name="Record vital signs").click()
    page.context.set_offline(False)
    expect(page.get_by_role("link", name=re.compile("Correct the vital signs"))).to_have_count(1, timeout=15_000)
    assert list(running.rate_steps.values_list("reason", flat=True)) == ["start", "pause"]


# Parts that browsers in use lack, and room to keep what is typed.
LACKING = {
    "inert": "delete HTMLElement.prototype.inert",
    "requestSubmit": "delete HTMLFormElement.prototype.requestSubmit",
    "submitter": "delete SubmitEvent.prototype.submitter",
    "room": "Storage.prototype.setItem = () => { throw new DOMException('full', 'QuotaExceededError'); }",
}


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("lack", LACKING)
def test_a_browser_that_lacks_a_part_sends_its_forms_all_the_same(
    new_person: NewPage, nurse: User, running: Infusion, no_broker: None, lack: str
) -> None:
    page = new_person()
    page.add_init_script(LACKING[lack])
    sign_in(page, nurse)
    page.goto(reverse("reactions:running", args=[running.pk]))
    page.locator("#id_vitals-heart_rate_per_min").fill("88")
    page.get_by_role("button", name="Record vital signs").click()
    expect(page.get_by_role("link", name=re.compile("Correct the vital signs"))).to_have_count(1)
    page.get_by_role("button", name="Pause").click()
    expect(page.get_by_text("paused")).to_be_visible()
    page.get_by_role("button", name="Suspected anaphylaxis").click()
    expect(page.get_by_role("heading", name="Suspected anaphylaxis")).to_be_visible()
    expect(page.get_by_text("Not saved yet")).to_have_count(0)


@pytest.mark.django_db(transaction=True)
def test_numbers_that_cannot_be_refreshed_say_since_when(
    new_person: NewPage, nurse: User, running: Infusion, no_broker: None
) -> None:
    page = new_person()
    page.clock.install()
    sign_in(page, nurse)
    page.goto(reverse("reactions:running", args=[running.pk]))
    as_of = page.locator("[data-as-of]")
    expect(as_of).to_have_text(re.compile(r"As of \d\d:\d\d"))
    shown = as_of.get_attribute("data-as-of")
    page.context.set_offline(True)
    page.clock.fast_forward("00:31")
    expect(as_of).to_have_text(f"Not refreshed since {shown}: no connection.")
    look_at(page, "running-stale")
    # Read aloud by being in a status outside of what is replaced.
    expect(page.locator("[data-reader]")).to_have_text(f"Not refreshed since {shown}: no connection.")
    running.rate_steps.create(at=timezone.now(), rate_ml_per_h=0, reason="pause", created_by=nurse)
    page.context.set_offline(False)
    expect(page.get_by_text("paused")).to_be_visible(timeout=15_000)
    expect(as_of).to_have_text(re.compile(r"As of \d\d:\d\d"))


@pytest.mark.django_db(transaction=True)
def test_who_is_signed_out_is_told_and_goes_on_after_signing_in_in_another_tab(
    new_person: NewPage, nurse: User, running: Infusion, no_broker: None
) -> None:
    page = new_person()
    page.clock.install()
    sign_in(page, nurse)
    page.goto(reverse("reactions:running", args=[running.pk]))
    page.locator("#id_vitals-heart_rate_per_min").fill("88")
    other = page.context.new_page()
    other.goto(reverse("patients:list"))
    other.get_by_role("button", name="Sign out").click()
    expect(other.get_by_role("heading", name="Sign in")).to_be_visible()
    page.clock.fast_forward("00:31")
    expect(page.locator("[data-as-of]")).to_contain_text("you are signed out. Sign in in another tab;")
    sign_in(other, nurse)
    expect(other.get_by_role("heading", name="Patients")).to_be_visible()
    expect(page.locator("[data-as-of]")).to_contain_text("As of", timeout=15_000)
    page.get_by_role("button", name="Record vital signs").click()
    expect(page.get_by_role("link", name=re.compile("Correct the vital signs"))).to_have_count(1)


@pytest.mark.django_db(transaction=True)
def test_a_warning_that_comes_with_a_refresh_is_read_aloud_once(
    new_person: NewPage, nurse: User, running: Infusion, no_broker: None
) -> None:
    running.planned_rate_ml_per_h = Decimal(60)
    running.save()
    page = new_person()
    page.clock.install()
    sign_in(page, nurse)
    page.goto(reverse("reactions:running", args=[running.pk]))
    reader = page.locator("[data-reader]")
    expect(reader).to_have_text("")
    missed = page.locator("#live details")
    missed.locator("summary").click()
    running.rate_steps.create(at=timezone.now(), rate_ml_per_h=84, reason="step_up", created_by=nurse)
    page.clock.fast_forward("00:31")
    expect(reader).to_contain_text("The rate is above the 60 mL/h that were planned.")
    expect(missed).to_have_attribute("open", "")
    # The words leave the reader only when others enter: whether they enter again, is counted.
    page.evaluate(
        """() => {
          window.timesSaid = 0;
          const reader = document.querySelector("[data-reader]");
          new MutationObserver(() => window.timesSaid++).observe(reader, {childList: true, characterData: true});
        }"""
    )
    # What a refresh brings is seen before the clock goes on: a jump would cut short one that is under way.
    running.rate_steps.create(at=timezone.now(), rate_ml_per_h=96, reason="step_up", created_by=nurse)
    page.clock.fast_forward("00:31")
    expect(page.locator("#live")).to_contain_text("96")
    running.rate_steps.create(at=timezone.now(), rate_ml_per_h=0, reason="pause", created_by=nurse)
    page.clock.fast_forward("00:31")
    expect(page.get_by_text("paused")).to_be_visible()
    assert page.evaluate("window.timesSaid") == 0


@pytest.mark.django_db(transaction=True)
def test_a_draft_brings_back_the_boxes_that_were_ticked(
    new_person: NewPage, nurse: User, running: Infusion, no_broker: None
) -> None:
    page = new_person()
    sign_in(page, nurse)
    page.goto(reverse("reactions:record_reaction", args=[running.pk]))
    page.get_by_label("Hospital stay").check()
    page.reload()
    expect(page.get_by_label("Hospital stay")).to_be_checked()
    expect(page.get_by_label("Death", exact=False).first).not_to_be_checked()


@pytest.mark.django_db(transaction=True)
def test_what_left_and_was_not_saved_is_there_again(
    new_person: NewPage, nurse: User, running: Infusion, no_broker: None
) -> None:
    page = new_person()
    sign_in(page, nurse)
    address = reverse("reactions:running", args=[running.pk])
    page.goto(address)
    page.route("**/vitals/", lambda route: route.abort())
    page.locator("#id_vitals-temperature_c").fill("38.4")
    with page.expect_event("requestfailed", lambda request: request.url.endswith("/vitals/")):
        page.get_by_role("button", name="Record vital signs").click()
    page.unroute("**/vitals/")
    page.goto(address)
    expect(page.locator("#id_vitals-temperature_c")).to_have_value("38.4")
    page.get_by_role("button", name="Record vital signs").click()
    expect(page.get_by_role("link", name=re.compile("Correct the vital signs"))).to_have_count(1)
    expect(page.locator("#id_vitals-temperature_c")).to_have_value("")


@pytest.mark.django_db(transaction=True)
def test_a_double_click_is_one_row(new_person: NewPage, nurse: User, running: Infusion, no_broker: None) -> None:
    page = new_person()
    sign_in(page, nurse)
    page.goto(reverse("reactions:running", args=[running.pk]))
    page.locator("#id_step-rate_ml_per_h").fill("84")
    page.get_by_role("button", name="Set this rate").dblclick()
    expect(page.get_by_role("link", name=re.compile("Correct the rate step"))).to_have_count(2)
    assert running.rate_steps.count() == 2


@pytest.mark.django_db(transaction=True)
def test_what_is_said_after_a_save_moves_no_button(
    new_person: NewPage, nurse: User, running: Infusion, no_broker: None
) -> None:
    page = new_person()
    page.set_viewport_size(TABLET)
    sign_in(page, nurse)
    page.goto(reverse("reactions:running", args=[running.pk]))
    button = page.get_by_role("button", name="Suspected anaphylaxis")
    place = button.bounding_box()
    page.locator("#id_treatment-drug").select_option("acetaminophen")
    page.get_by_role("button", name="Record the drug").click()
    expect(page.locator("main > [role='status']")).to_contain_text("Recorded: Acetaminophen")
    look_at(page, "running-saved")
    assert button.bounding_box() == place


@pytest.mark.django_db(transaction=True)
def test_everything_works_without_a_script(
    browser: Browser, live_server: LiveServer, nurse: User, running: Infusion, no_broker: None
) -> None:
    context = browser.new_context(base_url=live_server.url, java_script_enabled=False, viewport=TABLET)
    page = context.new_page()
    sign_in(page, nurse)
    page.goto(reverse("reactions:running", args=[running.pk]))
    page.locator("#id_vitals-heart_rate_per_min").fill("88")
    page.get_by_role("button", name="Record vital signs").click()
    page.get_by_role("button", name="Pause").click()
    expect(page.get_by_text("paused")).to_be_visible()
    page.locator("#id_step-rate_ml_per_h").fill("42")
    page.get_by_role("button", name="Resume at this rate").click()
    page.locator("#id_treatment-drug").select_option("acetaminophen")
    page.get_by_role("button", name="Record the drug").click()
    expect(page.get_by_role("link", name=re.compile("Correct Acetaminophen"))).to_have_count(1)
    context.close()
    assert list(running.rate_steps.values_list("reason", flat=True)) == ["start", "pause", "resume"]


def react(page: Page, hand: Taps, onset: str) -> None:
    hand.tap(page, "Record a reaction")
    if not page.locator("#id_symptoms-1-term").is_visible():
        hand.tap(page, "Add a symptom")
    for number, (term, grade) in enumerate([("chills", "2"), ("headache", "1")]):
        page.locator(f"#id_symptoms-{number}-term").select_option(term)
        page.locator(f"#id_symptoms-{number}-grade").select_option(grade)
        hand.taps += 2
        hand.fill(page, f"#id_symptoms-{number}-onset_at", onset)
    page.locator("#id_action").select_option("paused")
    page.locator("#id_outcome").select_option("recovered")
    hand.taps += 2
    hand.tap(page, "Record the reaction")
    expect(page.get_by_text("The reaction is recorded.")).to_be_visible()


@contextmanager
def counted() -> Iterator[CaptureQueriesContext]:
    with CaptureQueriesContext(connection) as queries:
        yield queries


@pytest.mark.django_db
def test_queries_do_not_grow_with_the_patients_history(client: Client, nurse: User, patient: Patient) -> None:
    client.force_login(nurse)
    seen: dict[str, list[int]] = {}
    made = 0
    for history in (0, 10, 1_000):
        while made < history:
            made += 1
            earlier = make_infusion(patient, ended_at=timezone.now() - timedelta(days=made, hours=5))
            if made % 10 == 0:
                make_reaction(earlier)
        running = make_infusion(patient, started_at=timezone.now() - timedelta(hours=1, minutes=history), ended_at=None)
        running.rate_steps.create(at=running.started_at, rate_ml_per_h=42, reason="start", created_by=nurse)
        for name, pk in (
            ("reactions:running", running.pk),
            ("reactions:infusion", running.pk),
            ("reactions:start_infusion", patient.pk),
            ("reactions:record_infusion", patient.pk),
            ("reactions:patient", patient.pk),
        ):
            with counted() as queries:
                assert client.get(reverse(name, args=[pk])).status_code == 200
            seen.setdefault(name, []).append(len(queries))
        running.voided_at, running.voided_by, running.void_reason = timezone.now(), nurse, "Test"
        running.save()
    for name, numbers in seen.items():
        note(f"{name}: {numbers} queries with 0, 10 and 1,000 earlier infusions")
        assert numbers[2] <= numbers[1], name
