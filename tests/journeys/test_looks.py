"""Pages that a journey seldom meets: long names, full lists, records with a past, and links that are over."""

import re
from datetime import timedelta

import pytest
from django.core.management import call_command
from django.utils import timezone
from playwright.sync_api import expect

from patients.models import Clinic, User
from patients.words import StaffRoleName
from reactions import recording
from reactions.models import CheckIn, Infusion, Reaction
from reactions.vocabulary import CheckInKind, CheckInState
from tests.journeys.conftest import NewPage, sign_in
from tests.journeys.eyes import look_at
from tests.support.factories import make_checkins, make_infusion, make_patient, make_reaction, make_staff

LONG = "Wilhelmina-Konstantina Maria-Magdalena"
LONGER = "von Synthetic-Hohenzollern-Schlüsselfelderinnenstein"

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def past(clinic: Clinic, nurse: User) -> Infusion:
    """A patient with a long name and a long past; gives the latest infusion."""
    patient = make_patient(
        clinic,
        given_name=LONG,
        family_name=LONGER,
        mrn="SYN-" + "9" * 30,
        diagnosis="Immune-mediated necrotizing myopathy with anti-HMGCR antibodies " * 2,
        email=f"{'a' * 60}@{'b' * 60}.example",
    )
    for month in range(12):
        infusion = make_infusion(patient, ended_at=timezone.now() - timedelta(days=28 * month, hours=25))
        infusion.vials.create(lot="SYN-LOT-0123456789", grams=30)
        make_reaction(infusion, {"chills": 2, "headache": 3, "urticaria": 1}, narrative="Synthetic words. " * 60)
    latest = patient.infusions.first()
    make_checkins(latest)
    return latest


def test_long_names_and_full_lists(
    new_person: NewPage, no_broker: None, past: Infusion, clinic: Clinic, nurse: User
) -> None:
    for _ in range(30):
        make_patient(clinic)
    checkin = past.checkins.get(kind=CheckInKind.HOURS_24)
    recording.submit_answer(
        checkin,
        has_problem=True,
        details={"comment": "Synthetic complaint. " * 60},
        symptoms={"chest_pain": "severe", "headache": "severe", "rash": "mild"},
        now=timezone.now(),
    )
    page = new_person()
    sign_in(page, nurse)
    look_at(page, "full-patients")
    page.goto("/patients/")
    page.get_by_role("searchbox").fill("nobody-of-this-name")
    page.get_by_role("button", name="Search").click()
    look_at(page, "full-search-nothing")
    for name, address in {
        "patient": f"/patients/{past.patient_id}/",
        "infusion": f"/infusions/{past.pk}/",
        "infusion-correct": f"/infusions/{past.pk}/correct/",
        "reaction": f"/reactions/{past.reactions.get().pk}/",
        "checkin": f"/checkins/{checkin.pk}/",
        "alerts": "/alerts/",
        "void": f"/infusions/{past.pk}/void/",
        "not-found": "/patients/999999/",
    }.items():
        page.goto(address)
        look_at(page, f"full-{name}")


def test_what_is_held_on_a_patient_is_given_and_forgotten(
    new_person: NewPage, no_broker: None, past: Infusion, clinic: Clinic, administrator: User
) -> None:
    Clinic.objects.filter(pk=clinic.pk).update(keep_years=1)
    old = make_patient(clinic, given_name="Olga", family_name="Synthetic")
    make_infusion(old, started_at=timezone.now() - timedelta(days=800))
    page = new_person()
    sign_in(page, administrator)
    for name, address in {
        "register": "/patients/new/",
        "privacy": "/privacy/",
        "copy": f"/patients/{past.patient_id}/copy/",
        "erase": f"/patients/{past.patient_id}/erase/",
        "emergency": "/patients/emergency/",
        "invite": "/account/invite/",
        "password": "/account/password/",
    }.items():
        page.goto(address)
        look_at(page, f"privacy-{name}")
    page.goto("/privacy/")
    page.get_by_role("link", name="Erase what names Olga Synthetic").click()
    page.get_by_label("The patient's record number").fill("wrong")
    page.get_by_label("Why it is erased").fill("Past its time.")
    page.get_by_role("button", name="Erase for good").click()
    expect(page.get_by_text("This is not the number of the record that is open.").first).to_be_visible()
    look_at(page, "privacy-erase-wrong")
    page.get_by_label("The patient's record number").fill(old.mrn)
    page.get_by_role("button", name="Erase for good").click()
    expect(page.get_by_role("heading", name=f"Erased patient {old.pk}")).to_be_visible()
    look_at(page, "privacy-erased")


def test_the_header_takes_one_line_whatever_the_name(
    new_person: NewPage, no_broker: None, past: Infusion, clinic: Clinic
) -> None:
    checkin = past.checkins.get(kind=CheckInKind.HOURS_24)
    symptoms = {"chest_pain": "severe"}
    recording.submit_answer(checkin, has_problem=True, details={}, symptoms=symptoms, now=timezone.now())
    chief = make_staff(clinic, "chief", StaffRoleName.ADMINISTRATOR, first_name=LONG, last_name=LONGER)
    page = new_person()
    sign_in(page, chief)
    for width in (768, 820, 992, 1280):
        page.set_viewport_size({"width": width, "height": 800})
        assert page.locator(".topbar").bounding_box()["height"] < 70, width
        links, account = page.locator(".topbar nav").bounding_box(), page.locator(".account").bounding_box()
        assert links["x"] + links["width"] <= account["x"], width
        expect(page.locator(".account summary").get_by_text("WV", exact=True)).to_be_visible()
    expect(page.get_by_role("link", name="Reaction rates")).to_be_visible()
    page.set_viewport_size({"width": 390, "height": 844})
    expect(page.get_by_role("link", name="Reaction rates")).to_be_hidden()
    page.locator(".account summary").click()
    expect(page.get_by_role("link", name="Reaction rates")).to_be_visible()
    expect(page.get_by_text(f"{LONG} {LONGER}").last).to_be_in_viewport()
    look_at(page, "header-open")


def test_a_phone_has_the_way_to_every_list_in_one_line(
    new_person: NewPage, no_broker: None, past: Infusion, clinic: Clinic, nurse: User
) -> None:
    for reaction in Reaction.objects.all():
        reaction.work.create(clinic=clinic, kind="serious_reaction", opened_at=timezone.now())
    for _ in range(10):
        infusion = make_infusion(make_patient(clinic))
        make_checkins(infusion)
        checkin = infusion.checkins.earliest("due_at")
        symptoms = {"headache": "severe"}
        recording.submit_answer(checkin, has_problem=True, details={}, symptoms=symptoms, now=timezone.now())
    page = new_person()
    sign_in(page, nurse)
    page.set_viewport_size({"width": 390, "height": 844})
    links = page.get_by_role("navigation", name="Main").get_by_role("link")
    assert [text.split() for text in links.all_inner_texts()] == [
        ["Patients"],
        ["Alerts", "10", "open"],
        ["Worklist", "22", "open"],
        ["Lots"],
    ]
    boxes = [link.bounding_box() for link in links.all()]
    assert len({box["y"] for box in boxes}) == 1
    assert min(box["height"] for box in boxes) >= 48
    assert boxes[-1]["x"] + boxes[-1]["width"] <= 390


def test_vital_signs_are_whole_on_a_phone_with_the_way_to_correct_them(
    new_person: NewPage, no_broker: None, past: Infusion, nurse: User
) -> None:
    past.vitals.create(
        at=past.started_at,
        temperature_c="36.7",
        heart_rate_per_min=72,
        systolic_mmhg=124,
        diastolic_mmhg=78,
        respiratory_rate_per_min=14,
        spo2_percent=98,
        created_by=nurse,
    )
    page = new_person()
    page.set_viewport_size({"width": 390, "height": 844})
    sign_in(page, nurse, f"/infusions/{past.pk}/")
    expect(page.get_by_role("link", name="Void this infusion")).to_be_visible()
    last = page.get_by_role("region", name="Vital signs recorded").locator("tbody tr").last
    for seen in (last.get_by_text("98"), last.get_by_role("link", name=re.compile("Correct"))):
        seen.scroll_into_view_if_needed()
        box = seen.bounding_box()
        assert box["x"] + box["width"] <= 390
    assert page.locator(".scroll").evaluate("(one) => one.scrollWidth <= one.clientWidth")
    page.goto(f"/infusions/{past.pk}/running/")
    page.get_by_role("region", name="Vital signs recorded").scroll_into_view_if_needed()
    assert page.locator("#id_step-at").bounding_box()["width"] > 250
    look_at(page, "running-with-vitals")


def test_a_response_typed_without_a_connection_is_saved_once(
    new_person: NewPage, no_broker: None, past: Infusion, nurse: User
) -> None:
    page = new_person()
    form = f"/patients/{past.patient_id}/response/new/"
    sign_in(page, nurse, form)
    page.get_by_label("Manual muscle test").fill("138")
    page.reload()
    expect(page.get_by_label("Manual muscle test")).to_have_value("138")
    page.context.set_offline(True)
    page.get_by_role("button", name="Record the response").click()
    expect(page.get_by_text("No connection. Nothing is lost")).to_be_visible()
    assert not past.patient.response_measures.exists()
    page.context.set_offline(False)
    expect(page.get_by_text("The response is recorded.")).to_be_visible(timeout=15_000)
    assert past.patient.response_measures.get().mmt8 == 138
    page.goto(form)
    expect(page.get_by_label("Manual muscle test")).to_have_value("")


def test_a_form_shows_one_row_to_fill_in_and_the_next_when_asked(
    new_person: NewPage, no_broker: None, past: Infusion, nurse: User
) -> None:
    page = new_person()
    sign_in(page, nurse, f"/infusions/{past.pk}/reactions/new/")
    terms = page.get_by_label("Symptom")
    expect(terms.first).to_be_visible()
    expect(terms.filter(visible=True)).to_have_count(1)
    look_at(page, "reaction-new-rows")
    terms.first.select_option("chills")
    page.get_by_role("button", name="Add a symptom").click()
    expect(terms.nth(1)).to_be_focused()
    terms.nth(1).select_option("headache")
    page.get_by_role("button", name="Add a symptom").click()
    page.get_by_role("button", name="Add a symptom").click()
    expect(page).to_have_url(re.compile("symptoms-last"))
    expect(terms).to_have_count(4)
    expect(terms.nth(1)).to_have_value("headache")
    expect(terms.filter(visible=True)).to_have_count(3)
    terms.nth(2).select_option("fever")
    page.reload()
    expect(terms.nth(2)).to_have_value("fever")
    expect(terms.nth(2)).to_be_visible()


def test_a_patient_whose_words_mean_danger_reads_that_first(
    new_person: NewPage, no_broker: None, past: Infusion
) -> None:
    page = new_person()
    checkin = past.checkins.get(kind=CheckInKind.HOURS_24)
    page.goto(checkin.link_path())
    page.get_by_label("Yes", exact=True).check()
    page.get_by_role("button", name="Next").click()
    page.get_by_label("Chest pain").check()
    page.get_by_role("button", name="Next").click()
    expect(page.get_by_role("heading", name="Call 911 now")).to_be_in_viewport()
    expect(page.get_by_text("Maybe nobody has read it yet")).to_be_visible()
    look_at(page, "danger")
    page.get_by_role("link", name="Go on").click()
    page.get_by_label("When did it begin?").fill("2020-01-01T10:00")
    page.get_by_role("button", name="Next").click()
    expect(page.get_by_text("Call 911 now")).to_be_in_viewport()
    expect(page.get_by_text("This is before the infusion")).to_have_count(2)
    look_at(page, "danger-and-an-error")
    CheckIn.objects.filter(pk=checkin.pk).update(
        state=CheckInState.CANCELLED, state_reason="Synthetic", sent_at=None, answered_at=None
    )
    page.goto(checkin.link_path())
    look_at(page, "check-in-closed")
    page.goto("/c/this-is-no-link/")
    look_at(page, "check-in-unknown")
    page.goto(f"{checkin.link_path()})")
    look_at(page, "check-in-mangled")


def test_a_list_of_the_administration_has_the_width_of_a_tablet(
    new_person: NewPage, no_broker: None, past: Infusion, clinic: Clinic
) -> None:
    chief = make_staff(clinic, "chief", StaffRoleName.ADMINISTRATOR, first_name="Ada", last_name="Test")
    page = new_person()
    page.set_viewport_size({"width": 820, "height": 1180})
    sign_in(page, chief, "/admin/reactions/reaction/")
    table, filters = page.locator(".changelist-form-container"), page.locator("#changelist-filter")
    assert table.bounding_box()["width"] > 700
    assert filters.bounding_box()["y"] < table.bounding_box()["y"]
    look_at(page, "admin-reactions")


def test_rates_of_a_full_clinic(new_person: NewPage, no_broker: None, capsys: pytest.CaptureFixture) -> None:
    call_command("demo_data", patients=60, infusions=600)
    page = new_person()
    password = capsys.readouterr().out.split("password ")[1].split()[0]
    sign_in(page, User.objects.get(username="admin"), "/admin/rates/", password=password)
    expect(page.locator("svg.wide circle").first).to_be_visible()
    page.locator("summary", has_text="Every stratum in full").click()
    look_at(page, "full-rates")
    page.locator("td strong a").first.click()
    expect(page.get_by_role("link", name="Back to the rates")).to_be_visible()
    look_at(page, "full-rates-infusions")
    page.get_by_role("link", name="Back to the rates").click()
    page.get_by_label("Premedication", exact=True).select_option("drug:acetaminophen")
    page.get_by_label("Unit", exact=True).select_option("course")
    page.get_by_role("button", name="Show").click()
    expect(page.get_by_role("columnheader", name="Yes")).to_be_visible()
    look_at(page, "full-rates-drug")
    page.goto("/admin/rates/?first_day=2026-05-05&last_day=2026-05-04")
    look_at(page, "full-rates-error")
