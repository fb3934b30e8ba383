"""What the page tells beside n/N: units side by side, answers and silence, small groups, and the infusions behind."""

import csv
import io
import json
import re
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest
from django.core.management import CommandError, call_command
from django.test import Client
from django.utils import timezone
from pypdf import PdfReader

from patients.iga import Status
from patients.models import Clinic, IgaResult, Patient, User
from reactions.models import CheckIn, Product, ReviewDecision
from reactions.rates.answer import answer, answers_by_unit, as_csv, percent
from reactions.rates.dashboard import dashboard
from reactions.rates.premedication_words import ComparisonInWords
from reactions.rates.question import Question, UnanswerableQuestion
from tests.support.counting import count
from tests.support.factories import make_checkins, make_infusion, make_patient, make_reaction
from tests.support.logs import reaction_rates

pytestmark = pytest.mark.django_db
PAGE, FILE, JSON, PDF = "/admin/rates/", "/admin/rates.csv", "/admin/rates.json", "/admin/rates.pdf"
BEHIND = "/admin/rates/infusions/"
START = datetime(2026, 5, 4, 14, tzinfo=UTC)
HOUR = timedelta(hours=1)


@pytest.fixture
def page(client: Client, administrator: User) -> Client:
    client.force_login(administrator)
    return client


def all_of(clinic: Clinic, **question: Any) -> tuple[int, int]:
    counted = count(Question(**question), [clinic]).everything
    return counted.events, counted.total


def by(clinic: Clinic, key: str) -> dict[object, tuple[int, int]]:
    strata = count(Question(by=(key,)), [clinic]).strata
    return {stratum[0]: (counts.events, counts.total) for stratum, counts in strata.items()}


@pytest.mark.parametrize(("after_start", "is_event"), [(timedelta(0), 1), (4 * HOUR, 1), (4.01 * HOUR, 0)])
def test_during_is_from_start_to_end(clinic: Clinic, patient: Patient, after_start: timedelta, is_event: int) -> None:
    make_reaction(make_infusion(patient, started_at=START), onset_at=START + after_start)
    assert all_of(clinic, window="during") == (is_event, 1)


def test_the_period_of_what_is_counted_is_told_by_the_clinics_clock(
    clinic: Clinic, other_clinic: Clinic, patient: Patient
) -> None:
    """21:00 on 30 April in New York is 1 May in UTC, by which several clocks are told."""

    def period(*clinics: Clinic, **question: Any) -> list[str]:
        return [note for note in answer(Question(**question), clinics).notes if "The first of" in note]

    assert period(clinic) == []
    make_infusion(patient, started_at=datetime(2026, 5, 1, 1, tzinfo=UTC))
    make_infusion(patient, started_at=START)
    assert period(clinic) == ["The first of these infusions was on 2026-04-30, the last on 2026-05-04."]
    assert period(clinic, first_day=date(2026, 5, 1), unit="patient") == [
        "The first of these infusions was on 2026-05-04, the last on 2026-05-04."
    ]
    Clinic.objects.filter(pk=other_clinic.pk).update(time_zone="Asia/Tokyo")
    other_clinic.refresh_from_db()
    assert period(clinic, other_clinic) == ["The first of these infusions was on 2026-05-01, the last on 2026-05-04."]
    clinic.least_patients = 2
    assert period(clinic) == []


def test_page_and_list_say_what_makes_an_event(page: Client, clinic: Clinic, patient: Patient) -> None:
    make_reaction(
        make_infusion(patient, started_at=START), {"chills": 3}, is_serious=True, serious_criteria=["hospital"]
    )
    asked = "reaction=chills&min_grade=2&serious=yes&window=any&source=clinician&product=Privigen&first_day=2026-05-04"
    words = "serious (21 CFR 600.80) reaction with chills of grade 2 or worse"
    shown = " ".join(page.get(f"{PAGE}?{asked}").content.decode().split())
    assert f"<strong>1 of 1</strong> with a {words}:" in shown
    assert f"Unit: infusions with at least one {words} that began at any time." in shown
    listed = " ".join(page.get(f"{BEHIND}?{asked}&unit=patient").content.decode().split())
    assert f"1/1 patient with a {words}," in listed
    assert f"An event is a {words} that began at any time; reactions recorded by clinicians." in listed
    assert "A patient counts once for all of its infusions below." in listed
    assert "Chosen: from: 2026-05-04; product: Privigen." in listed


def test_a_void_reaction_is_none_in_the_list(page: Client, patient: Patient) -> None:
    infusion = make_infusion(patient, started_at=START, reaction_record="not_recorded")
    reaction = make_reaction(infusion)
    infusion.reactions.update(voided_at=START, void_reason="Twice", voided_by=reaction.created_by)
    assert "<td>Not recorded</td>" in page.get(BEHIND).content.decode()


def test_a_comparison_without_reactions_on_a_side_says_that_it_tells_nothing(clinic: Clinic) -> None:
    for number in range(20):
        infusion = make_infusion(make_patient(clinic), started_at=START, premedication_record="given")
        infusion.premedications.create(drug="acetaminophen")
        other = make_infusion(make_patient(clinic), started_at=START, premedication_record="none")
        if number < 2:
            make_reaction(other)
    said = dashboard(Question(by=("iga", "premedication")), "premedication", "product", [clinic]).comparison_in_words
    assert "too few reactions" in said.in_short
    assert said.lines[0].ratio == "too few reactions"


def test_files_say_which_strata_are_hidden(page: Client, clinic: Clinic) -> None:
    for _ in range(2):
        make_infusion(make_patient(clinic), started_at=START)
    assert {line["hidden"] for line in page.get(JSON).json()["strata"]} == {False}
    Clinic.objects.filter(pk=clinic.pk).update(least_patients=3)
    assert {line["hidden"] for line in page.get(JSON).json()["strata"]} == {True}
    first = next(csv.DictReader(io.StringIO(page.get(FILE).content.decode())))
    assert (first["events"], first["hidden"]) == ("", "True")
    assert "no figure leads to its infusions" in page.get(PAGE).content.decode()


def test_serious_reactions_alone(clinic: Clinic, patient: Patient) -> None:
    make_reaction(make_infusion(patient, started_at=START), is_serious=True, serious_criteria=["hospital"])
    make_reaction(make_infusion(patient, started_at=START + 24 * HOUR), is_serious=False)
    make_reaction(make_infusion(patient, started_at=START + 48 * HOUR))
    assert all_of(clinic, serious=True) == (1, 3)


def confirm(infusion: Any) -> None:
    """What a patient told of first, accepted by a clinician."""
    make_checkins(infusion)
    checkin = infusion.checkins.earliest("due_at")
    told = checkin.answers.create(version=1, submitted_at=timezone.now(), has_problem=True)
    ReviewDecision.objects.create(
        checkin=checkin, answer=told, version=1, verdict="accepted", reaction=make_reaction(infusion),
        decided_at=timezone.now(), decided_by=infusion.created_by, submission_id=uuid4(),
    )  # fmt: skip


def test_each_source_alone_and_both(clinic: Clinic) -> None:
    confirm(make_infusion(make_patient(clinic), started_at=START))
    make_reaction(make_infusion(make_patient(clinic), started_at=START))
    make_infusion(make_patient(clinic), started_at=START)
    assert all_of(clinic, source="patient") == (1, 3)
    assert all_of(clinic, source="clinician") == (1, 3)
    assert all_of(clinic, source="both") == (2, 3)


@pytest.mark.parametrize(
    ("rates", "weight", "band"),
    [
        ([30, 105], 70, "to_1.5"),
        ([105.1], 70, "to_2.4"),
        ([168, 30], 70, "to_2.4"),
        ([336], 70, "to_4.8"),
        ([337], 70, "above_4.8"),
        ([], 70, "not_recorded"),
        ([30], None, "not_recorded"),
    ],
)
def test_bands_of_the_highest_rate(
    clinic: Clinic, patient: Patient, rates: list[float], weight: int | None, band: str
) -> None:
    infusion = make_infusion(patient, started_at=START, weight_kg=weight)
    for number, rate in enumerate(rates):
        infusion.rate_steps.create(
            at=START + number * HOUR, rate_ml_per_h=Decimal(str(rate)), reason="start" if number == 0 else "step_up",
            created_by=infusion.created_by,
        )  # fmt: skip
    assert by(clinic, "max_rate") == {band: (0, 1)}


def test_a_reaction_before_is_one_to_an_earlier_infusion_that_counts(clinic: Clinic, patient: Patient) -> None:
    first = make_infusion(patient, started_at=START)
    make_infusion(patient, started_at=START + 24 * HOUR)
    reaction = make_reaction(first)
    assert by(clinic, "prior_reaction") == {False: (1, 1), True: (0, 1)}
    reaction.voided_at, reaction.voided_by, reaction.void_reason = START, first.created_by, "A slip"
    reaction.save()
    assert by(clinic, "prior_reaction") == {False: (0, 2)}


def test_a_reaction_that_began_later_was_not_known_before(clinic: Clinic, patient: Patient) -> None:
    """Of a course of three days the first leads to a headache on the last: the second was given without knowing it."""
    days = [make_infusion(patient, started_at=START + 24 * day * HOUR) for day in range(3)]
    make_reaction(days[0], onset_at=START + 36 * HOUR)
    assert by(clinic, "prior_reaction") == {False: (1, 2), True: (0, 1)}


def test_low_rates_look_worse_than_they_are(clinic: Clinic, patient: Patient) -> None:
    make_infusion(patient, started_at=START)
    assert "may never have reached the rate it was planned for" in notes_of(clinic, by=("max_rate",))
    assert "planned for" not in notes_of(clinic, by=("product",))


def test_what_nobody_graded_or_judged_may_be_one(clinic: Clinic) -> None:
    """Of ten, one is serious; of two nobody said: one to three of ten."""
    several(clinic, {"none": 6}, reacts=0)
    for serious, grade in ((True, 3), (False, 2), (None, None), (None, 4)):
        infusion = make_infusion(make_patient(clinic), started_at=START)
        criteria = ["hospital"] if serious else []
        make_reaction(infusion, {"chills": grade}, is_serious=serious, serious_criteria=criteria)
    found = answer(Question(serious=True, window="immediate"), [clinic]).all
    assert (found.events, found.total, found.silent) == (1, 10, 2)
    assert found.worst == pytest.approx(0.3)
    assert "For 2 infusions nobody said whether a reaction was serious that may be one" in notes_of(
        clinic, serious=True
    )
    graded = answer(Question(min_grade=3, window="immediate"), [clinic]).all
    assert (graded.events, graded.silent) == (2, 1)
    assert "For 1 infusion nobody graded a reaction that may be one" in notes_of(clinic, min_grade=3)
    both = answer(Question(min_grade=4, serious=True, window="immediate"), [clinic]).all
    assert (both.events, both.silent) == (0, 2)
    assert "that may be one" not in notes_of(clinic)


def test_files_have_a_cluster_interval_only_where_patients_spread(clinic: Clinic, patient: Patient) -> None:
    for day in range(10):
        infusion = make_infusion(patient, started_at=START + 240 * day * HOUR)
        if day < 3:
            make_reaction(infusion)
    told = reaction_rates()["all"]
    assert (told["events"], told["total"], told["method"]) == (3, 10, "wilson")
    assert (told["cluster_low"], told["cluster_high"], told["design_effect"]) == (None, None, None)
    assert reaction_rates("--interval=cluster")["all"]["method"] == "wilson, no spread between patients"
    [line] = csv.DictReader(io.StringIO(as_csv(answer(Question(), [clinic]))))
    assert (line["method"], line["cluster_low"], line["cluster_high"]) == ("wilson", "", "")
    make_reaction(make_infusion(make_patient(clinic), started_at=START))
    assert reaction_rates()["all"]["cluster_low"] > 0


def test_which_interval_to_trust(page: Client, clinic: Clinic) -> None:
    """Two patients are too few to tell how they spread; twelve who differ are not; twelve alike seem too certain."""
    for events in (3, 1):
        patient = make_patient(clinic)
        for week in range(5):
            infusion = make_infusion(patient, started_at=START + 168 * week * HOUR)
            if week < events:
                make_reaction(infusion)
    assert "Fewer than 10 patients are too few for it" in page.get(PAGE).content.decode()
    for number in range(12):
        patient = make_patient(clinic)
        for week in range(4):
            infusion = make_infusion(patient, started_at=START + 168 * week * HOUR)
            if number < 3:
                make_reaction(infusion)
    assert "Where the two differ, trust this one." in page.get(PAGE).content.decode()


def test_patients_who_happen_to_be_alike_make_nobody_surer(page: Client, clinic: Clinic) -> None:
    for number in range(20):
        patient = make_patient(clinic)
        for week in range(5):
            infusion = make_infusion(patient, started_at=START + 168 * week * HOUR)
            if week == 0 or (number, week) == (0, 1):
                make_reaction(infusion)
    assert "trust the wider one" in page.get(PAGE).content.decode()


@pytest.mark.parametrize(
    ("fraction", "words"),
    [(0, "0"), (1, "100"), (0.9996, "> 99.9"), (0.9994, "99.9"), (5.42e-10, "< 0.001"), (0.00001, "0.00100")],
)
def test_nothing_reads_as_none_or_as_all_that_is_not(fraction: float, words: str) -> None:
    assert percent(fraction) == words


def test_a_drug_beside_the_comparison_tells_of_nobody(clinic: Clinic) -> None:
    """All given less those given the drug would be one patient with another drug."""
    clinic.least_patients = 5

    def asked() -> str:
        by = ("iga", "drug:diphenhydramine")
        return dashboard(Question(by=by), by[1], "product", [clinic]).comparison_in_words.why_not

    for drug, patients in (("diphenhydramine", 20), ("acetaminophen", 1), ("", 15)):
        for _ in range(patients):
            record = "given" if drug else "none"
            infusion = make_infusion(make_patient(clinic), started_at=START, premedication_record=record)
            if drug:
                infusion.premedications.create(drug=drug)
    assert "too small to be shown" in asked()
    for _ in range(4):
        infusion = make_infusion(make_patient(clinic), started_at=START, premedication_record="given")
        infusion.premedications.create(drug="acetaminophen")
    assert asked() == ""
    # One whose premedication nobody recorded is hidden in the table of the drug, with another group.
    make_infusion(make_patient(clinic), started_at=START, premedication_record="not_recorded")
    assert "too small to be shown" in asked()


def test_units_stand_side_by_side(clinic: Clinic, patient: Patient) -> None:
    first = make_infusion(patient, started_at=START)
    make_infusion(patient, started_at=START + 24 * HOUR, course=first.course, day=2)
    make_infusion(patient, started_at=START + 700 * HOUR)
    make_reaction(first)
    found = answers_by_unit(Question(interval="cluster"), [("iga",)], [clinic])
    assert {unit: (table.all.events, table.all.total) for unit, [table] in found.items()} == {
        "infusion": (1, 3),
        "course": (1, 2),
        "patient": (1, 1),
    }


def test_answers_and_silence(clinic: Clinic) -> None:
    """Four infusions: one with a reaction, one answered, one asked in vain, one never asked."""
    reacted, answered, silent, _ = (make_infusion(make_patient(clinic), started_at=START) for _ in range(4))
    make_reaction(reacted)
    for infusion in (answered, silent):
        make_checkins(infusion)
        CheckIn.objects.filter(pk=infusion.checkins.earliest("due_at").pk).update(
            state="sent", sent_at=START + 30 * HOUR
        )
    answered.checkins.earliest("due_at").answers.create(version=1, submitted_at=timezone.now(), has_problem=False)
    rate = answer(Question(), [clinic]).all
    assert (rate.asked, rate.answered, rate.silent) == (2, 1, 2)
    assert (rate.rate, rate.response, rate.worst) == (0.25, 0.5, 0.75)
    # While it runs somebody of the clinic is there, and answers do not count.
    assert answer(Question(window="during"), [clinic]).all.silent == 0


def test_who_answered_once_is_silent_about_the_rest(clinic: Clinic, patient: Patient) -> None:
    """Of a patient with two courses, one answered: as a patient silent, as courses one of two."""
    first, second = (make_infusion(patient, started_at=START + timedelta(days=28 * n)) for n in range(2))
    for infusion in (first, second):
        make_checkins(infusion)
    first.checkins.earliest("due_at").answers.create(version=1, submitted_at=timezone.now(), has_problem=False)
    by_unit = answers_by_unit(Question(), [()], [clinic])
    assert {unit: found[0].all.silent for unit, found in by_unit.items()} == {"infusion": 1, "course": 1, "patient": 1}


def test_a_problem_that_nobody_has_decided_about_is_no_none(clinic: Clinic, patient: Patient, nurse: User) -> None:
    infusion = make_infusion(patient, started_at=START)
    make_checkins(infusion)
    checkin = infusion.checkins.earliest("due_at")
    told = checkin.answers.create(version=1, submitted_at=timezone.now(), has_problem=True)
    found = answer(Question(), [clinic]).all
    assert (found.answered, found.silent) == (1, 1)
    decided = {"verdict": "rejected", "reject_reason": "not_related", "words": "A cold", "submission_id": uuid4()}
    ReviewDecision.objects.create(
        checkin=checkin, answer=told, version=1, decided_at=timezone.now(), decided_by=nurse, **decided
    )
    assert answer(Question(), [clinic]).all.silent == 0


def test_without_any_clinic_there_is_an_answer(client: Client, db: None) -> None:
    client.force_login(User.objects.create_superuser("chief", password="x"))
    for path in (PAGE, FILE, JSON, PDF):
        assert client.get(path).status_code == 200, path
    assert reaction_rates("--by=iga")["all"]["total"] == 0


def several(clinic: Clinic, counts: dict[str, int], *, reacts: int = 1) -> None:
    """That many patients of each premedication record, each with one infusion; the first `reacts` of each react."""
    for record, patients in counts.items():
        for number in range(patients):
            infusion = make_infusion(make_patient(clinic), started_at=START, premedication_record=record)
            if record == "given":
                infusion.premedications.create(drug="acetaminophen")
            if number < reacts:
                make_reaction(infusion)


def test_small_groups_are_nowhere_in_the_answers(page: Client, clinic: Clinic) -> None:
    Clinic.objects.filter(pk=clinic.pk).update(least_patients=5)
    several(clinic, {"none": 12, "given": 8, "not_recorded": 2})
    command = reaction_rates("--by=premedication")
    shown = {s["premedication"]: (s["events"], s["total"]) for s in command["strata"]}
    assert shown["not_recorded"] == (None, None)
    assert shown["antipyretic_antihistamine"] == (None, None), "the total less the others would tell"
    assert shown["none"] == (1, 12)
    html = page.get(PAGE).content.decode()
    assert "small group" in html
    for told in (">1/2<", ">1/8<", "rates/infusions"):
        assert told not in html
    assert page.get(f"{BEHIND}?key=premedication&value=not_recorded").status_code == 403
    assert page.get(f"{BEHIND}?key=premedication&value=none").status_code == 403
    by_iga = json.loads(page.get(JSON).content)["strata"]
    assert {(s["premedication"], s["total"]) for s in by_iga if s["total"]} == {("none", 12)}


def test_with_too_few_patients_altogether_nothing_is_shown(page: Client, clinic: Clinic) -> None:
    Clinic.objects.filter(pk=clinic.pk).update(least_patients=5)
    several(clinic, {"none": 3})
    assert reaction_rates("--by=iga")["all"]["total"] is None
    html = page.get(PAGE).content.decode()
    assert "fewer than 5 patients" in html
    assert "1/3" not in html
    assert "1 of 3" not in html
    printed = page.get(PDF)
    assert printed.status_code == 200
    text = " ".join(one.extract_text() for one in PdfReader(io.BytesIO(printed.content)).pages)
    assert "fewer than 5 patients" in text
    assert "Lots against each other" not in text


def hide_fewer_than_five(clinic: Clinic) -> None:
    Clinic.objects.filter(pk=clinic.pk).update(least_patients=5)
    clinic.refresh_from_db()


def test_the_hidden_together_are_of_enough_patients(clinic: Clinic) -> None:
    """Two sexes hide with the third: all less it would be 36 infusions of 3 patients."""
    hide_fewer_than_five(clinic)
    for sex, patients, visits in (("female", 2, 12), ("male", 1, 12), ("other", 9, 1), ("unknown", 10, 1)):
        for _ in range(patients):
            patient = make_patient(clinic, sex=sex)
            for visit in range(visits):
                make_infusion(patient, started_at=START + 700 * visit * HOUR)
    for unit, [table] in answers_by_unit(Question(by=("sex",)), [("sex",)], [clinic]).items():
        shown = {rate.stratum[0]: rate.total for rate in table.strata if not rate.is_hidden}
        assert shown == {"unknown": 10}, unit


def test_notes_tell_no_numbers_of_few(clinic: Clinic) -> None:
    several(clinic, {"none": 12}, reacts=0)
    make_reaction(make_infusion(make_patient(clinic), started_at=START), onset_at=None)
    make_infusion(make_patient(clinic), started_at=START, reaction_record="not_recorded")
    assert "For 1 of 14 infusions" in notes_of(clinic)
    assert "(1 infusion)" in notes_of(clinic)
    hide_fewer_than_five(clinic)
    told = notes_of(clinic)
    assert "For some infusions nobody recorded" in told
    assert "onset was not recorded are counted" in told
    assert "For some of the infusions without" in told
    assert not re.search(r"\d (of|infusion)|/\d", told)


def compared(clinic: Clinic, key: str = "premedication") -> ComparisonInWords:
    return dashboard(Question(by=("iga", key)), key, "product", [clinic]).comparison_in_words


def test_no_comparison_undoes_what_the_table_of_premedication_hides(page: Client, clinic: Clinic) -> None:
    """Antipyretics (3) have company of what is not recorded (6): the sum of those given would tell them."""
    hide_fewer_than_five(clinic)
    several(clinic, {"none": 20, "given": 3, "not_recorded": 6})
    for _ in range(9):
        infusion = make_infusion(make_patient(clinic), started_at=START, premedication_record="given")
        infusion.premedications.create(drug="methylprednisolone")
    for query in ("", "?premedication=drug:methylprednisolone"):
        html = page.get(f"{PAGE}{query}").content.decode()
        assert "The groups are too small to be shown at this clinic." in html
        assert "With any premedication" not in html


def test_a_remainder_of_few_withholds_the_comparison(clinic: Clinic) -> None:
    hide_fewer_than_five(clinic)
    several(clinic, {"none": 20, "given": 20, "not_recorded": 2})
    assert not compared(clinic, "drug:acetaminophen").groups


def test_empty_classes_do_not_withhold_the_comparison(clinic: Clinic) -> None:
    hide_fewer_than_five(clinic)
    several(clinic, {"none": 20, "given": 12})
    assert "1/12 infusions of 12 patients; without 1/20" in compared(clinic).groups


@pytest.mark.parametrize(("both", "shown"), [(2, False), (6, True)])
def test_pairs_of_few_patients_are_withheld(clinic: Clinic, both: int, shown: bool) -> None:
    hide_fewer_than_five(clinic)
    several(clinic, {"none": 20, "given": 12})
    for patient in Patient.objects.filter(infusions__premedication_record="given").order_by("pk")[:both]:
        make_infusion(patient, started_at=START + 700 * HOUR, premedication_record="none")
    told = {line.name: line for line in compared(clinic).lines}
    assert (f"{both} patients:" in told["Within patients"].rests_on) == shown
    assert ("too small" in told["Within patients"].rests_on) == (not shown)
    # The later infusions are of the same patients.
    assert ("1/12 against 1/20" in told["First infusions only"].rests_on) == shown


def test_a_few_first_infusions_are_withheld(clinic: Clinic) -> None:
    hide_fewer_than_five(clinic)
    several(clinic, {"none": 20, "given": 2})
    for patient in Patient.objects.filter(infusions__premedication_record="none").order_by("pk")[:12]:
        later = make_infusion(patient, started_at=START + 700 * HOUR, premedication_record="given")
        later.premedications.create(drug="acetaminophen")
    [first] = [line for line in compared(clinic).lines if line.name == "First infusions only"]
    assert (first.ratio, "/" in first.rests_on) == ("not shown", False)


def test_no_list_where_any_table_hides(page: Client, clinic: Clinic) -> None:
    """Every IgA status has two patients with every premedication; one product has few."""
    Clinic.objects.filter(pk=clinic.pk).update(least_patients=2)
    few, many = Product.objects.for_infusion()[:2]
    drugs = {"acetaminophen": "given", "prednisone": "given", "famotidine": "given", "": "none", " ": "not_recorded"}
    for status in [*Status] * 2:
        patient = make_patient(clinic)
        if status != Status.NOT_TESTED:
            patient.iga_results.create(value=120, measured_on=START.date(), created_by=patient.created_by)
            IgaResult.objects.filter(patient=patient).update(status=status)
        for week, (drug, record) in enumerate(drugs.items()):
            at = START + 168 * week * HOUR
            infusion = make_infusion(patient, started_at=at, premedication_record=record, product=many)
            if record == "given":
                infusion.premedications.create(drug=drug)
    queries = ("", "?key=iga&value=normal", "?also=setting")
    for query in queries:
        assert page.get(f"{BEHIND}{query}").status_code == 200
        assert "rates/infusions" in page.get(f"{PAGE}{query}").content.decode()
    make_infusion(make_patient(clinic), started_at=START, product=few, premedication_record="none")
    assert not answer(Question(by=("iga", "premedication")), [Clinic.objects.get(pk=clinic.pk)]).hides
    for query in queries:
        assert page.get(f"{BEHIND}{query}").status_code == 403
        assert "rates/infusions" not in page.get(f"{PAGE}{query}").content.decode()


def test_the_lots_do_not_undo_the_table_of_products(page: Client, clinic: Clinic) -> None:
    """The product of 3 patients has company of 6 infusions in the table; by patients, 5 of another were its company."""
    hide_fewer_than_five(clinic)
    products = Product.objects.for_infusion()[:3]
    for product, lot, patients, visits in zip(products, ("FEW", "SIX", "FIVE"), (3, 6, 5), (1, 1, 3), strict=True):
        for _ in range(patients):
            patient = make_patient(clinic)
            for visit in range(visits):
                infusion = make_infusion(patient, started_at=START + 700 * visit * HOUR, product=product)
                infusion.vials.create(lot=lot, grams=30)
    html = page.get(f"{PAGE}?also=product").content.decode()
    assert "FIVE (" in html
    assert "SIX (" not in html
    assert "FEW (" not in html


def test_small_groups_are_not_divided_by_three_keys(clinic: Clinic) -> None:
    Clinic.objects.filter(pk=clinic.pk).update(least_patients=5)
    clinic.refresh_from_db()
    with pytest.raises(UnanswerableQuestion, match="two keys"):
        answer(Question(by=("iga", "premedication", "product")), [clinic])
    with pytest.raises(CommandError, match="two keys"):
        call_command("reaction_rates", "--by=iga", "--by=premedication", "--by=product", stdout=io.StringIO())


def test_json_and_the_command_are_the_same(page: Client, clinic: Clinic) -> None:
    several(clinic, {"none": 12, "given": 8, "not_recorded": 2})
    assert json.loads(page.get(JSON).content) == reaction_rates("--by=iga", "--by=premedication")


def test_the_printed_report_has_the_pages_digits(page: Client, clinic: Clinic) -> None:
    several(clinic, {"none": 12, "given": 8, "not_recorded": 2})
    answered = page.get(PDF)
    assert answered["Content-Type"] == "application/pdf"
    printed = "".join(one.extract_text() for one in PdfReader(io.BytesIO(answered.content)).pages)
    html = " ".join(page.get(PAGE).content.decode().split())
    printed = " ".join(printed.split())
    cells = re.findall(r">(\d+/\d+)</a></strong>\s*<span>([\d.]+) % \(([\d.]+ to [\d.]+) %\)", html)
    assert len(cells) >= 4
    for counts, _, interval in cells:
        assert counts in printed
        assert interval in printed
    assert clinic.name in printed


def test_from_a_figure_to_its_infusions_and_back(page: Client, clinic: Clinic) -> None:
    several(clinic, {"none": 12, "given": 8}, reacts=3)
    html = page.get(f"{PAGE}?min_grade=2").content.decode()
    link = re.search(r'href="([^"]*rates/infusions/\?[^"]*value=none)">3/12<', html)
    assert link
    behind = page.get(link[1].replace("&amp;", "&")).content.decode()
    assert "12 infusions" in behind
    assert "3/12" in behind
    only = page.get(link[1].replace("&amp;", "&") + "&only=events").content.decode()
    assert "3 infusions" in only
    assert only.count("<td>Yes</td>") == 3
    back = re.search(r'href="([^"]*)">Back to the rates', behind)
    assert back
    assert back[1] == f"{PAGE}?min_grade=2"


def test_every_figure_of_the_tables_leads_to_as_many_infusions(page: Client, clinic: Clinic) -> None:
    several(clinic, {"none": 4, "given": 3, "not_recorded": 2})
    html = page.get(PAGE).content.decode()
    links = set(re.findall(r'href="([^"]*rates/infusions/\?[^"]*)">\d+/(\d+)<', html))
    assert len(links) >= 5
    for address, total in links:
        assert f"{total} infusion" in page.get(address.replace("&amp;", "&")).content.decode()


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("key=iga&value=nonsense", 404),
        ("key=weather&value=1", 404),
        ("key=iga", 404),
        ("key=iga&key=premedication&value=normal&value=none", 200),
        ("first_day=yesterday", 400),
        ("", 200),
        ("page=99", 200),
    ],
)
def test_figures_that_are_not_there(page: Client, clinic: Clinic, query: str, status: int) -> None:
    several(clinic, {"none": 1})
    assert page.get(f"{BEHIND}?{query}").status_code == status


def test_another_clinics_infusions_are_not_behind_any_figure(
    page: Client, clinic: Clinic, other_clinic: Clinic
) -> None:
    several(clinic, {"none": 1})
    several(other_clinic, {"none": 2})
    assert "1 infusion<" in page.get(BEHIND).content.decode()
    assert page.get(f"{BEHIND}?clinic={other_clinic.slug}").status_code == 400


def test_more_infusions_behind_a_figure_ask_no_more_queries(
    page: Client, clinic: Clinic, django_assert_max_num_queries: Any
) -> None:
    several(clinic, {"none": 2})
    with django_assert_max_num_queries(30) as few:
        page.get(BEHIND)
    several(clinic, {"none": 9})
    with django_assert_max_num_queries(len(few)):
        page.get(BEHIND)


def test_names_on_the_page_are_text(page: Client, clinic: Clinic, patient: Patient) -> None:
    patient.diagnosis = "<script>alert(1)</script>"
    patient.save()
    make_infusion(patient, started_at=START)
    html = page.get(f"{PAGE}?also=diagnosis").content.decode()
    assert "&lt;script&gt;alert(1)" in html
    assert "<script>alert" not in html


def notes_of(clinic: Clinic, **question: Any) -> str:
    return " ".join(answer(Question(**question), [clinic]).notes)


def test_no_event_is_told_with_what_it_leaves_open(page: Client, clinic: Clinic) -> None:
    several(clinic, {"none": 3}, reacts=0)
    # 1 − 0.05^(1/3), Hanley & Lippman-Hand.
    assert "No event in 3 infusions: the rate lies below 63.2 %" in notes_of(clinic)
    html = " ".join(page.get(PAGE).content.decode().split())
    assert "0/3" in html
    assert "0 % (0 to 56.1 %)" in html


def test_no_event_of_few_patients_tells_little(clinic: Clinic, patient: Patient) -> None:
    for week in range(9):
        make_infusion(patient, started_at=START + 168 * week * HOUR)
    make_infusion(make_patient(clinic), started_at=START)
    told = notes_of(clinic)
    # 1 − 0.05^(1/10) and 1 − 0.05^(1/2).
    assert "if they were independent of each other, the rate would lie below 25.9 %" in told
    assert "of 2 patients, none of whom had one: that many alone only tell that fewer than 77.6 %" in told
    assert "One patient has 9 of the 10 infusions." in told


def test_events_of_one_patient_alone_are_told(clinic: Clinic, patient: Patient) -> None:
    several(clinic, {"none": 20}, reacts=0)
    for month in range(4):
        infusion = make_infusion(patient, started_at=START + 700 * month * HOUR)
        make_reaction(infusion)
    assert "All 4 events are of one patient" in notes_of(clinic)
    assert "One patient has" not in notes_of(clinic)
    Clinic.objects.filter(pk=clinic.pk).update(least_patients=5)
    clinic.refresh_from_db()
    assert "of one patient" not in notes_of(clinic)


def test_one_patient_with_much_of_all_is_told(clinic: Clinic, patient: Patient) -> None:
    several(clinic, {"none": 5}, reacts=2)
    for month in range(6):
        make_infusion(patient, started_at=START + 700 * month * HOUR)
    assert "One patient has 6 of the 11 infusions." in notes_of(clinic)
    assert "One patient has" not in notes_of(clinic, unit="patient")


def test_a_drug_that_was_never_recorded_has_an_empty_stratum(page: Client, clinic: Clinic) -> None:
    several(clinic, {"none": 3})
    html = page.get(f"{PAGE}?premedication=drug:naproxen").content.decode()
    assert "no infusions" in html
    assert "One of the two groups has no infusions." in html
