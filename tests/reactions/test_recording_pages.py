"""Recording, correcting and voiding infusions and reactions through their pages."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from django.utils.html import strip_tags
from pytest_django.fixtures import DjangoAssertNumQueries

from patients.models import AuditEvent, Patient, User
from reactions.models import CheckIn, Course, Infusion, Reaction
from reactions.vocabulary import CheckInState
from tests.support.factories import make_infusion, make_patient, make_reaction
from tests.support.forms import infusion_form, reaction_form

pytestmark = pytest.mark.django_db


@pytest.fixture
def record(patient: Patient) -> str:
    return reverse("reactions:record_infusion", args=[patient.pk])


@pytest.fixture
def recorded(page: Client, record: str) -> Infusion:
    page.post(record, infusion_form())
    return Infusion.objects.get()


def test_an_infusion_is_recorded_with_all_that_belongs_to_it(page: Client, record: str, nurse: User) -> None:
    answer = page.post(record, infusion_form())
    infusion = Infusion.objects.get()
    assert answer.url == reverse("reactions:infusion", args=[infusion.pk])
    assert infusion.started_at == datetime(2026, 5, 4, 13, tzinfo=UTC)
    assert [(vial.lot, vial.grams) for vial in infusion.vials.all()] == [("SYN-1", 35)]
    assert [(drug.drug, drug.minutes_before) for drug in infusion.premedications.all()] == [("acetaminophen", 30)]
    assert (infusion.course.label, infusion.created_by, infusion.reaction_record) == ("1", nurse, "observed")
    assert infusion.checkins.count() == 4
    assert AuditEvent.objects.get(act="infusion.recorded").changes["vials"][1][0]["lot"] == "SYN-1"


def test_a_correction_shows_numbers_as_a_person_writes_them(page: Client, record: str) -> None:
    numbers = {"dose_g": "35,5", "weight_kg": "70", "planned_rate_ml_per_h": "120", "vials-0-grams": "1000"}
    page.post(record, infusion_form(**numbers))
    text = page.get(reverse("reactions:correct_infusion", args=[Infusion.objects.get().pk])).content.decode()
    for name, written in (numbers | {"dose_g": "35.5"}).items():
        assert f'name="{name}" value="{written}"' in text


def test_a_form_sent_twice_makes_one_infusion(page: Client, record: str) -> None:
    data = infusion_form()
    first, second = page.post(record, data), page.post(record, data)
    assert first.url == second.url
    assert (Infusion.objects.count(), Course.objects.count(), CheckIn.objects.count()) == (1, 1, 4)


def test_a_form_sent_again_with_other_words_says_that_it_was_saved_before(page: Client, record: str) -> None:
    data = infusion_form()
    page.post(record, data)
    for change in ({"dose_g": "40"}, {"vials-0-lot": "SYN-2"}, {"premedications-0-dose": "500 mg"}):
        answer = page.post(record, data | change)
        assert "This form was saved already" in answer.content.decode()
    infusion = Infusion.objects.get()
    assert (infusion.dose_g, infusion.vials.get().lot) == (35, "SYN-1")


def test_seeing_a_reaction_leads_to_its_form_and_is_not_taken_for_none(page: Client, record: str) -> None:
    answer = page.post(record, infusion_form(reaction_seen="reaction"))
    infusion = Infusion.objects.get()
    assert answer.url == reverse("reactions:record_reaction", args=[infusion.pk])
    assert infusion.reaction_record == "seen"
    shown = page.get(reverse("reactions:infusion", args=[infusion.pk])).content.decode()
    assert "A reaction was seen and is not written down yet" in shown


def test_a_start_cannot_move_behind_a_reaction(page: Client, recorded: Infusion) -> None:
    make_reaction(recorded, minutes=40)
    address = reverse("reactions:correct_infusion", args=[recorded.pk])
    refused = page.post(address, infusion_form(seen_version="1", started_at="2026-05-04T10:30", reason="Clock"))
    assert "A reaction to this infusion began at 2026-05-04 09:40" in refused.content.decode()
    recorded.refresh_from_db()
    assert recorded.started_at == datetime(2026, 5, 4, 13, tzinfo=UTC)


def test_seconds_of_an_imported_time_survive_a_correction(page: Client, recorded: Infusion) -> None:
    Infusion.objects.filter(pk=recorded.pk).update(started_at=datetime(2026, 5, 4, 13, 0, 30, tzinfo=UTC))
    address = reverse("reactions:correct_infusion", args=[recorded.pk])
    form = page.get(address).context["entry"].form
    shown = form["started_at"].value()
    page.post(
        address, infusion_form(seen_version="1", started_at=form.fields["started_at"].prepare_value(shown), reason="x")
    )
    recorded.refresh_from_db()
    assert recorded.started_at.second == 30


def test_an_infusion_that_nobody_ended_stands_on_the_first_page(page: Client, patient: Patient) -> None:
    make_infusion(patient, started_at=timezone.now() - timedelta(hours=25), ended_at=None)
    text = page.get(reverse("patients:list")).content.decode()
    assert "Running now" in text
    assert "record its end" in text


IMPOSSIBLE: list[tuple[dict[str, Any], str]] = [
    ({"started_at": ""}, "Write the start"),
    ({"ended_at": "2026-05-04T09:00"}, "The end must be after the start"),
    ({"started_at": "2150-05-04T09:00", "ended_at": "", "still_running": "on"}, "lies in the future"),
    ({"ended_at": "2150-05-04T09:00"}, "lies in the future"),
    ({"started_at": "2026-03-08T02:30"}, "did not exist on 2026-03-08"),
    ({"started_at": "2025-11-02T01:30"}, "happened twice"),
    ({"started_at": "tomorrow"}, "is not a date and time"),
    ({"started_at": "0001-01-01T00:00"}, "outside the years"),
    ({"started_at": "0001-01-01T00:00+00:00"}, "outside the years"),
    ({"started_at": "2026-05-04"}, "is not a date and time"),
    ({"started_at": "1969-05-04T09:00"}, "before the patient was born"),
    ({"ended_at": ""}, "Write the end, or tick that it is still running"),
    ({"still_running": "on"}, "Empty the end, or untick"),
    ({"dose_g": "0"}, "more than 0 g"),
    ({"dose_g": "1,000"}, "without a comma"),
    ({"planned_days": "1.5"}, "Write a whole number"),
    ({"planned_rate_ml_per_h": "0"}, "Write at least 0.1"),
    ({"dose_g": "-5"}, "more than 0 g"),
    ({"dose_g": "1e999"}, "no more than"),
    ({"dose_g": "NaN"}, "Write a number"),
    ({"dose_g": "5000"}, "not possible"),
    ({"weight_kg": "0"}, "not possible"),
    ({"weight_kg": "99999999"}, "no more than"),
    ({"day": "2"}, "Day 2 of a course of 1 day cannot be"),
    ({"day": "6", "planned_days": "6"}, "Write at most 5"),
    ({"product": ""}, "Choose the product"),
    ({"product": "999999"}, "Select a valid choice"),
    ({"course": "999999"}, "Select a valid choice"),
    ({"premedication_record": ""}, "Choose whether drugs were given before the start"),
    ({"premedication_record": "none"}, "Drugs are listed below"),
    ({"premedications-0-drug": ""}, "Choose the drug, or empty this row"),
    (
        {"premedications-1-drug": "acetaminophen", "premedications-1-minutes_before": "30"},
        "This drug stands above already",
    ),
    ({"safety-reason": ""}, "Read the card and write why the infusion goes on"),
    ({"safety-shown": ""}, "The card says more now"),
    ({"premedications-0-drug": "other"}, "Write the drug&#x27;s name"),
    ({"premedications-0-minutes_before": "-5"}, "Write at least 0"),
    ({"vials-0-lot": ""}, "Write the lot, or empty this row"),
    ({"vials-0-lot": "=1+1"}, "is not a lot"),
    ({"vials-0-lot": "A;B"}, "is not a lot"),
    ({"premedications-0-dose": "650"}, "number with its unit"),
    ({"premedications-0-drug": "other", "premedications-0-other_drug": "Tea (herbal)"}, "without brackets"),
    ({"vials-0-lot": "x" * 21}, "at most 20 characters"),
    ({"vials-0-grams": "0"}, "must be more than 0"),
    ({"vials-0-expires_on": "2026-05-03"}, "Expired on 2026-05-03, before the infusion"),
    ({"notes": "n" * 10_001}, "at most 10000 characters"),
    ({"vials-TOTAL_FORMS": "99999"}, "at most 40"),
]


@pytest.mark.parametrize(("change", "said"), IMPOSSIBLE)
def test_what_is_impossible_is_refused_beside_its_field_and_what_was_typed_stays(
    page: Client, record: str, change: dict[str, Any], said: str
) -> None:
    answer = page.post(record, infusion_form(**({"notes": "kept words"} | change)))
    text = answer.content.decode()
    assert answer.status_code == 200
    assert said in text
    assert "notes" in change or "kept words" in text
    assert not Infusion.objects.exists()


def test_given_without_a_drug_is_refused(page: Client, record: str) -> None:
    data = {key: value for key, value in infusion_form().items() if not key.startswith("premedications-0")}
    assert "Write at least one drug below" in page.post(record, data).content.decode()


def test_an_expired_vial_is_taken_when_confirmed(page: Client, record: str) -> None:
    page.post(record, infusion_form(**{"vials-0-expires_on": "2026-05-03", "vials-0-expiry_confirmed": "on"}))
    assert Infusion.objects.get().vials.get().expiry_confirmed


def test_what_is_unlikely_is_saved_and_shown(page: Client, record: str) -> None:
    data = infusion_form(dose_g="200", **{"vials-0-grams": "200"})
    data["safety-shown"] = page.post(record, data).context["entry"].card_codes
    shown = page.post(record, data, follow=True).content.decode()
    assert "2.86 g/kg in this course is above 2.4 g/kg." in shown
    assert "2.86 g/kg in one day" in shown


def test_a_row_more_keeps_what_was_typed_and_judges_nothing(page: Client, record: str) -> None:
    shown = page.post(record, infusion_form(add_row="vials", dose_g="0", started_at="")).content.decode()
    assert 'name="vials-3-lot"' in shown
    assert 'value="SYN-1"' in shown
    assert "more than 0 g" not in shown
    assert "invalid-feedback" not in shown
    assert not Infusion.objects.exists()


def test_the_hour_that_happened_twice_can_be_told_apart(page: Client, record: str) -> None:
    page.post(record, infusion_form(started_at="2025-11-02T01:50-04:00", ended_at="2025-11-02T01:10-05:00"))
    assert Infusion.objects.get().duration.total_seconds() == 20 * 60


def test_a_course_of_another_patient_cannot_be_chosen(page: Client, record: str, patient: Patient) -> None:
    foreign = make_infusion(make_patient(patient.clinic)).course
    assert "Select a valid choice" in page.post(record, infusion_form(course=str(foreign.pk))).content.decode()


def test_the_second_day_offers_its_course(page: Client, record: str) -> None:
    page.post(record, infusion_form(planned_days="2"))
    offered = page.get(record).context["entry"].form
    course = Course.objects.get()
    assert (offered.initial["course"], offered.initial["day"]) == (course, 2)
    page.post(
        record,
        infusion_form(course=str(course.pk), day="2", started_at="2026-05-05T09:00", ended_at="2026-05-05T12:00"),
    )
    assert course.infusions.count() == 2


def test_the_same_start_twice_is_refused(page: Client, record: str, recorded: Infusion) -> None:
    assert "already recorded" in page.post(record, infusion_form()).content.decode()
    assert Infusion.objects.count() == 1


def test_a_correction_needs_a_reason_and_keeps_what_stood(page: Client, recorded: Infusion) -> None:
    address = reverse("reactions:correct_infusion", args=[recorded.pk])
    data = infusion_form(seen_version="1", dose_g="30", **{"vials-0-lot": "SYN-2"})
    assert "Write the reason for the correction" in page.post(address, data).content.decode()
    page.post(address, data | {"reason": "Misread"})
    recorded.refresh_from_db()
    assert (recorded.dose_g, recorded.version, recorded.vials.get().lot) == (30, 2, "SYN-2")
    event = AuditEvent.objects.get(act="infusion.corrected")
    assert event.reason == "Misread"
    assert event.changes["dose_g"] == ["35.00", "30"] or event.changes["dose_g"] == ["35", "30"]
    assert "Misread" in page.get(reverse("reactions:infusion", args=[recorded.pk])).content.decode()


def test_a_stale_correction_shows_both_versions(page: Client, recorded: Infusion) -> None:
    address = reverse("reactions:correct_infusion", args=[recorded.pk])
    page.post(address, infusion_form(seen_version="1", dose_g="30", reason="One"))
    refused = page.post(address, infusion_form(seen_version="1", dose_g="20", reason="Two"))
    text = refused.content.decode()
    assert refused.status_code == 409
    assert '<th scope="row">Dose (g)</th><td>30</td><td>20</td>' in text
    assert 'value="20"' in text
    recorded.refresh_from_db()
    assert recorded.dose_g == 30


def test_both_versions_show_notes_and_rows_too(page: Client, recorded: Infusion) -> None:
    address = reverse("reactions:correct_infusion", args=[recorded.pk])
    page.post(address, infusion_form(seen_version="1", notes="Theirs", reason="One", **{"vials-0-lot": "THEIRS"}))
    text = page.post(address, infusion_form(seen_version="1", notes="Mine", reason="Two")).content.decode()
    assert '<th scope="row">Notes</th><td>Theirs</td><td>Mine</td>' in text
    assert "<td>THEIRS 2027-01-31 35</td><td>SYN-1 2027-01-31 35</td>" in text


def test_voiding_needs_a_reason_keeps_the_record_and_cancels_checkins(page: Client, recorded: Infusion) -> None:
    recorded.checkins.update(
        state=CheckInState.PLANNED,
        due_at=timezone.now() + timedelta(days=1),
        closes_at=timezone.now() + timedelta(days=2),
        state_reason="",
    )
    address = reverse("reactions:void_infusion", args=[recorded.pk])
    assert "Why is this record void" in page.post(address, {"seen_version": "1"}).content.decode()
    page.post(address, {"seen_version": "1", "reason": "Wrong patient"})
    recorded.refresh_from_db()
    assert recorded.is_void
    shown = page.get(reverse("reactions:infusion", args=[recorded.pk])).content.decode()
    assert "Wrong patient" in shown
    assert page.get(reverse("reactions:correct_infusion", args=[recorded.pk])).status_code == 404
    assert set(recorded.checkins.values_list("state", flat=True)) == {CheckInState.CANCELLED}


@pytest.fixture
def react(recorded: Infusion) -> str:
    return reverse("reactions:record_reaction", args=[recorded.pk])


def test_a_reaction_has_its_symptoms_grades_and_earliest_onset(page: Client, react: str) -> None:
    page.post(react, reaction_form())
    reaction = Reaction.objects.get()
    assert reaction.onset_at == datetime(2026, 5, 4, 13, 40, tzinfo=UTC)
    assert [(s.term, s.grade, s.ctcae_version) for s in reaction.symptoms.all()] == [
        ("chills", 2, "5.0"),
        ("urticaria", 1, "5.0"),
    ]
    assert (reaction.is_serious, reaction.max_grade) == (False, 2)
    shown = page.get(reverse("reactions:reaction", args=[reaction.pk])).content.decode()
    assert "40 min after the start: immediate, within 6 h" in shown


def test_a_reaction_sent_twice_is_one(page: Client, react: str) -> None:
    data = reaction_form()
    page.post(react, data)
    page.post(react, data)
    assert Reaction.objects.count() == 1


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"symptoms-1-grade": "4"}, "Urticaria has no grade 4 in CTCAE v5.0: choose 1 to 3"),
        ({"symptoms-0-grade": ""}, "Choose the grade"),
        ({"symptoms-0-term": ""}, "Choose the symptom, or empty this row"),
        ({"symptoms-0-onset_at": ""}, "Write when it began"),
        (
            {"symptoms-0-onset_at": "2026-05-04T08:59"},
            "cannot begin before the infusion, which started 2026-05-04 09:00",
        ),
        ({"symptoms-0-onset_at": "2150-05-04T08:59"}, "lies in the future"),
        ({"symptoms-1-term": "chills"}, "This symptom stands above already"),
        ({"symptoms-0-term": "other"}, "Write the symptom in your words"),
        ({"symptoms-0-other_text": "words"}, "Choose “Other, specify”"),
        ({"symptoms-0-term": "made_up"}, "Select a valid choice"),
        ({"resolved_at": "2026-05-04T09:39"}, "cannot resolve before it began"),
        ({"action": ""}, "Choose what was done"),
        ({"narrative": "n" * 10_001}, "at most 10000 characters"),
    ],
)
def test_an_impossible_reaction_is_refused_beside_its_field(page: Client, react: str, change: dict, said: str) -> None:
    answer = page.post(react, reaction_form(**change))
    assert answer.status_code == 200
    assert said in answer.content.decode()
    assert not Reaction.objects.exists()


def test_a_reaction_without_symptoms_is_refused(page: Client, react: str) -> None:
    data = {key: value for key, value in reaction_form().items() if not key.startswith(("symptoms-0", "symptoms-1"))}
    assert "Choose at least one symptom" in page.post(react, data).content.decode()


def test_a_reaction_is_corrected_and_voided(page: Client, react: str) -> None:
    page.post(react, reaction_form())
    reaction = Reaction.objects.get()
    data = reaction_form(seen_version="1", reason="Later found", **{"symptoms-0-grade": "3"})
    page.post(reverse("reactions:correct_reaction", args=[reaction.pk]), data)
    assert {s.term: s.grade for s in reaction.symptoms.all()} == {"chills": 3, "urticaria": 1}
    stale = page.post(reverse("reactions:correct_reaction", args=[reaction.pk]), data)
    assert stale.status_code == 409
    page.post(reverse("reactions:void_reaction", args=[reaction.pk]), {"seen_version": "2", "reason": "Not one"})
    reaction.refresh_from_db()
    assert reaction.void_reason == "Not one"
    assert "Voided" in page.get(reverse("reactions:reaction", args=[reaction.pk])).content.decode()


@pytest.mark.parametrize("name", ["<script>alert(1)</script>", "{{ 7|add:7 }}", "x" * 150])
def test_what_was_typed_is_shown_as_text(page: Client, patient: Patient, name: str) -> None:
    patient.family_name = name
    patient.save()
    make_reaction(make_infusion(patient, notes=name), narrative=name)
    text = page.get(reverse("reactions:patient", args=[patient.pk])).content.decode()
    assert "<script>alert" not in text
    assert "14</" not in text


def test_the_patients_page_asks_the_same_queries_whatever_the_history(
    page: Client, patient: Patient, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    def add(count: int) -> None:
        for _ in range(count):
            day = timedelta(days=Infusion.objects.count())
            make_reaction(make_infusion(patient, started_at=datetime(2025, 1, 1, tzinfo=UTC) + day))

    address = reverse("reactions:patient", args=[patient.pk])
    add(1)
    with django_assert_max_num_queries(38) as one:
        page.get(address)
    add(30)
    with django_assert_max_num_queries(len(one)):
        page.get(address)


def test_the_broker_being_away_keeps_nobody_from_recording(
    page: Client,
    record: str,
    no_broker: None,
    django_capture_on_commit_callbacks: Any,
    caplog: pytest.LogCaptureFixture,
) -> None:
    with django_capture_on_commit_callbacks(execute=True):
        assert page.post(record, infusion_form()).status_code == 302
    assert "the broker did not take the wake-up" in caplog.text
    assert Infusion.objects.exists()


def test_the_whole_record_says_what_it_was_given_for_how_fast_at_most_and_which_containers(
    page: Client, recorded: Infusion
) -> None:
    Infusion.objects.filter(pk=recorded.pk).update(indication="dermatomyositis", planned_rate_ml_per_h="168.0")
    recorded.vials.create(lot="SYN-SCANNED", gtin="00614141123452", serial="ABC123")
    seen = page.get(reverse("reactions:infusion", args=[recorded.pk])).content.decode()
    assert "<dt>Given for</dt><dd>Dermatomyositis</dd>" in seen
    assert "<dt>Highest rate planned</dt><dd>168 mL/h</dd>" in seen
    assert "GTIN 00614141123452, serial number ABC123" in strip_tags(seen)


@pytest.mark.parametrize(
    ("refused", "not_said"),
    [
        ({"dose_g": "x"}, "No dose is planned"),
        ({"weight_kg": "x"}, "No weight is recorded"),
        ({"day": "9", "planned_days": "4"}, "in this course"),
    ],
)
def test_the_card_says_nothing_of_what_is_refused(page: Client, record: str, refused: dict, not_said: str) -> None:
    usual = {"dose_g": "35", "weight_kg": "10"}
    card = page.post(record, infusion_form(**usual | refused)).content.decode()
    card = card[card.index('id="safety-card"') : card.index("</section>", card.index('id="safety-card"'))]
    assert not_said not in card
    typed = {"dose_g": "35", "weight_kg": "10", "day": "1", "planned_days": "4"}
    assert "in this course" in page.post(record, infusion_form(**typed)).content.decode()
