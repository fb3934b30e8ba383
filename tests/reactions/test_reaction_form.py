"""The form of a reaction: ends of symptoms, what grades mean, treatments with times, and seriousness."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from patients.models import AuditEvent, Clinic, Patient, RecordVoided, User
from reactions import recording
from reactions.clinical.anaphylaxis import Evidence
from reactions.models import Infusion, Reaction, Treatment
from reactions.vocabulary import SignatureMeaning
from tests.support import PASSWORD
from tests.support.factories import make_infusion, make_reaction
from tests.support.forms import reaction_form

pytestmark = pytest.mark.django_db

START = datetime(2026, 5, 4, 13, tzinfo=UTC)


@pytest.fixture
def given(patient: Patient) -> Infusion:
    """An infusion at the time for which reaction_form() is filled in."""
    return make_infusion(patient, started_at=START)


@pytest.fixture
def new(given: Infusion) -> str:
    return reverse("reactions:record_reaction", args=[given.pk])


def text_of(answer: Any) -> str:
    return answer.content.decode()


def correct(reaction: Reaction) -> str:
    return reverse("reactions:correct_reaction", args=[reaction.pk])


def test_everything_of_a_reaction_is_kept_and_shown(page: Client, new: str) -> None:
    shown = text_of(page.post(new, reaction_form(**{"symptoms-0-ended_at": "2026-05-04T10:10"}), follow=True))
    reaction = Reaction.objects.get()
    assert reaction.symptoms.first().ended_at == datetime(2026, 5, 4, 14, 10, tzinfo=UTC)
    assert (reaction.dechallenge, reaction.rechallenge, reaction.treatment) == ("improved", "not_done", "Warm blanket")
    assert [(row.drug, row.dose, row.route, row.at) for row in reaction.treatments.all()] == [
        ("diphenhydramine", "25 mg", "IV", datetime(2026, 5, 4, 13, 50, tzinfo=UTC))
    ]
    for words in ("ended 2026-05-04 10:10", "It improved", "Diphenhydramine 25 mg", "Warm blanket", "None of its"):
        assert words.lower() in shown.lower(), words
    assert "immediate, within 6 h" in shown
    assert "during the infusion" in shown
    assert "within the label window (up to 72 h after the end)" in shown


def test_rate_and_volume_at_onset_are_counted_from_the_rate_steps(page: Client, new: str, given: Infusion) -> None:
    for minutes, rate, reason in ((0, 30, "start"), (30, 60, "step_up")):
        at = START + timedelta(minutes=minutes)
        given.rate_steps.create(at=at, rate_ml_per_h=rate, reason=reason, created_by=given.created_by)
    shown = text_of(page.post(new, reaction_form(), follow=True))
    # 30 min at 30 mL/h and 10 min at 60 mL/h.
    assert "It ran at 60 mL/h then, and 25 mL had been given." in shown


@pytest.mark.parametrize(
    ("minutes", "said"),
    [(60, "immediate, within 6 h"), (7 * 60, "delayed, within 1 week"), (8 * 24 * 60, "late, after 1 week")],
)
def test_the_onset_class_is_counted(page: Client, given: Infusion, minutes: int, said: str) -> None:
    reaction = make_reaction(given, minutes=minutes)
    shown = text_of(page.get(reverse("reactions:reaction", args=[reaction.pk])))
    assert said in shown
    assert ("after its end" in shown) is (minutes > 240)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"symptoms-0-ended_at": "2026-05-04T09:39"}, "It cannot end before it began"),
        ({"symptoms-0-ended_at": "2150-05-04T09:39"}, "Leave it empty while it goes on"),
        ({"treatments-0-drug": ""}, "Choose the drug, or empty this row"),
        ({"treatments-0-at": ""}, "Write when it was given"),
        ({"treatments-0-at": "2026-05-04T08:59"}, "what is given before belongs to the infusion"),
        ({"treatments-0-at": "2150-05-04T08:59"}, "lies in the future"),
        ({"treatments-0-drug": "other"}, "Write the drug&#x27;s name"),
        ({"treatments-0-other_drug": "Tea"}, "Choose “Another drug”, or empty this name"),
        ({"treatments-0-dose": "25"}, "number with its unit"),
        (
            {"treatments-1-drug": "diphenhydramine", "treatments-1-at": "2026-05-04T09:50"},
            "This drug at this minute stands above already",
        ),
        ({"criteria": ["death"]}, "“None of these” cannot stand beside: death. Untick one or the other"),
        ({"criteria": ["made_up"]}, "Select a valid choice"),
        ({"dechallenge": "made_up"}, "Select a valid choice"),
    ],
)
def test_what_cannot_be_is_refused_beside_its_field_and_kept(page: Client, new: str, change: dict, said: str) -> None:
    shown = text_of(page.post(new, reaction_form(narrative="kept words", **change)))
    assert said in shown
    assert "kept words" in shown
    assert not Reaction.objects.exists()


def test_asking_what_grades_mean_judges_nothing_and_keeps_what_was_typed(page: Client, new: str) -> None:
    shown = text_of(page.post(new, reaction_form(show="grades", action="", **{"symptoms-1-grade": "4"})))
    assert "What the grades mean: Chills" in shown
    assert "What the grades mean: Urticaria" in shown
    assert "<dt>Grade 4</dt>" not in shown
    assert "CTCAE v5.0." in shown
    assert "invalid-feedback" not in shown
    assert 'value="2026-05-04T09:40"' in shown
    assert not Reaction.objects.exists()


def test_hints_follow_the_version_of_the_clinic(page: Client, new: str, clinic: Clinic) -> None:
    Clinic.objects.filter(pk=clinic.pk).update(ctcae_version="6.0")
    shown = text_of(page.post(new, reaction_form(show="grades")))
    assert "CTCAE v6.0. " in shown
    assert "Children: where grade 2 or 3" in shown


def test_a_correction_keeps_the_version_in_which_a_symptom_was_graded(page: Client, new: str, clinic: Clinic) -> None:
    page.post(new, reaction_form())
    Clinic.objects.filter(pk=clinic.pk).update(ctcae_version="6.0")
    reaction = Reaction.objects.get()
    data = reaction_form(seen_version="1", reason="x", **{"symptoms-2-term": "headache", "symptoms-2-grade": "1"})
    page.post(correct(reaction), data | {"symptoms-2-onset_at": "2026-05-04T10:00"})
    assert {s.term: s.ctcae_version for s in reaction.symptoms.all()} == {
        "chills": "5.0",
        "urticaria": "5.0",
        "headache": "6.0",
    }


def test_a_row_more_of_treatments_keeps_what_was_typed(page: Client, new: str) -> None:
    shown = text_of(page.post(new, reaction_form(add_row="treatments")))
    assert 'name="treatments-2-drug"' in shown
    assert 'value="25 mg"' in shown


def test_a_treatment_alone_that_is_refused_is_named_at_the_head_of_the_page(page: Client, new: str) -> None:
    shown = text_of(page.post(new, reaction_form(**{"treatments-0-drug": ""})))
    head = shown[: shown.index("<form class=")]
    assert "Nothing was saved yet" in head
    assert 'href="#id_treatments-0-drug"' in head


@pytest.fixture
def at_chairside(given: Infusion, nurse: User) -> Treatment:
    """A drug recorded on the running page before anybody wrote down a reaction."""
    return recording.give_treatment(
        given,
        by=nurse,
        at=START + timedelta(minutes=45),
        details={"drug": "oxygen", "other_drug": "", "dose": "4 L/min", "route": ""},
        submission_id=uuid4(),
        now=timezone.now(),
    )


def test_a_drug_of_the_chairside_goes_to_the_reaction_for_which_it_was_given(
    page: Client, new: str, at_chairside: Treatment
) -> None:
    shown = text_of(page.get(new))
    assert "09:45 Oxygen 4 L/min" in shown
    assert re.search(rf'name="given_for_it" value="{at_chairside.pk}"[^>]* checked', shown)
    page.post(new, reaction_form())
    first = Reaction.objects.get()
    assert [row.drug for row in first.treatments.all()] == ["diphenhydramine"]
    assert not re.search(r'name="given_for_it"[^>]* checked', text_of(page.get(correct(first))))
    page.post(correct(first), reaction_form(seen_version="1", reason="For it", given_for_it=[at_chairside.pk]))
    assert [row.drug for row in first.treatments.all()] == ["oxygen", "diphenhydramine"]
    assert AuditEvent.objects.get(act="reaction.corrected").changes["treatments"]


def test_a_form_with_a_drug_of_the_chairside_sent_twice_is_one_reaction(
    page: Client, new: str, at_chairside: Treatment
) -> None:
    data = reaction_form(given_for_it=[at_chairside.pk])
    assert {page.post(new, data).status_code for _ in range(2)} == {302}
    assert [row.drug for row in Reaction.objects.get().treatments.all()] == ["oxygen", "diphenhydramine"]


def test_a_form_sent_again_does_not_mind_drugs_that_are_not_its_own(
    page: Client, new: str, given: Infusion, nurse: User
) -> None:
    page.post(new, reaction_form())
    recording.void_reaction(Reaction.objects.get(), by=nurse, reason="Wrong", seen_version=1, now=timezone.now())
    freed = Treatment.objects.get()
    nothing_typed = {f"treatments-0-{name}": "" for name in ("drug", "dose", "route", "at")}
    data = reaction_form(**nothing_typed, given_for_it=[freed.pk], resolved_at="", outcome="unknown")
    page.post(new, data)
    recording.give_treatment(
        given,
        by=nurse,
        at=START + timedelta(minutes=55),
        details={"drug": "oxygen", "other_drug": "", "dose": "", "route": ""},
        submission_id=uuid4(),
        now=timezone.now(),
    )
    assert page.post(new, data).status_code == 302
    assert Reaction.objects.current().get().treatments.count() == 2


def test_a_drug_given_while_a_reaction_goes_on_is_given_for_it(
    page: Client, new: str, given: Infusion, nurse: User
) -> None:
    page.post(new, reaction_form(resolved_at="", outcome="unknown"))
    reaction = Reaction.objects.get()

    def give(minutes: int) -> Treatment:
        return recording.give_treatment(
            given,
            by=nurse,
            at=START + timedelta(minutes=minutes),
            details={"drug": "oxygen", "other_drug": "", "dose": "", "route": ""},
            submission_id=uuid4(),
            now=timezone.now(),
        )

    # It began 40 minutes after the start.
    assert [give(39).reaction, give(41).reaction] == [None, reaction]
    reaction.refresh_from_db()
    assert reaction.version == 2
    Reaction.objects.update(resolved_at=START + timedelta(minutes=60))
    assert give(62).reaction is None


def test_for_which_reaction_a_drug_was_given_can_be_corrected(
    page: Client, new: str, given: Infusion, at_chairside: Treatment
) -> None:
    page.post(new, reaction_form(given_for_it=[at_chairside.pk]))
    first, second = Reaction.objects.get(), make_reaction(given, {"fever": 1}, minutes=60)
    at = reverse("reactions:correct_treatment", args=[at_chairside.pk])
    form = page.get(at).context["form"]
    data = {name: form[name].value() or "" for name in form.fields} | {
        "reason": "For the other",
        "at": "2026-05-04T09:45",
    }
    assert data["reaction"] == first.pk
    assert page.post(at, data | {"reaction": second.pk}).status_code == 302
    assert ([row.drug for row in second.treatments.all()], first.treatments.count()) == (["oxygen"], 1)
    for reaction in (first, second):
        reaction.refresh_from_db()
        assert reaction.version == 2
    assert page.post(at, data | {"reaction": "999999"}).status_code == 200


def test_a_drug_that_is_recorded_already_is_said_beside_its_row(
    page: Client, new: str, at_chairside: Treatment
) -> None:
    row = {"treatments-0-drug": "oxygen", "treatments-0-dose": "6 L/min", "treatments-0-at": "2026-05-04T09:45"}
    shown = text_of(page.post(new, reaction_form(**row, **{"treatments-0-route": ""})))
    assert "Oxygen 4 L/min at 09:45 is recorded already by Nora Test. Empty this row." in shown
    assert not Reaction.objects.exists()


def test_a_correction_starts_from_the_treatments_and_voids_what_has_no_row(
    page: Client, new: str, given: Infusion, nurse: User
) -> None:
    page.post(new, reaction_form(resolved_at="", outcome="unknown"))
    reaction = Reaction.objects.get()
    recorded = reaction.treatments.get()
    later = recording.give_treatment(
        given,
        by=nurse,
        at=START + timedelta(minutes=55),
        details={"drug": "oxygen", "other_drug": "", "dose": "", "route": ""},
        submission_id=uuid4(),
        now=timezone.now(),
    )
    shown = text_of(page.get(correct(reaction)))
    assert 'value="2026-05-04T09:50"' in shown
    assert 'value="2026-05-04T09:55"' in shown
    only_later = {"treatments-0-drug": "oxygen", "treatments-0-dose": "", "treatments-0-route": ""}
    data = reaction_form(seen_version="2", reason="Other drug", **only_later, **{"treatments-0-at": "2026-05-04T09:55"})
    assert page.post(correct(reaction), data).status_code == 302
    recorded.refresh_from_db()
    later.refresh_from_db()
    assert recorded.is_void
    assert (later.reaction, later.is_void) == (reaction, False)


def test_an_unchanged_treatment_stays_the_row_it_was(page: Client, new: str) -> None:
    page.post(new, reaction_form())
    reaction = Reaction.objects.get()
    row = reaction.treatments.get()
    page.post(correct(reaction), reaction_form(seen_version="1", reason="Typing error", narrative="New"))
    assert [(one.pk, one.is_void) for one in reaction.treatments.all()] == [(row.pk, False)]


def test_correcting_a_treatment_at_the_chairside_counts_its_reaction_up(page: Client, new: str, nurse: User) -> None:
    page.post(new, reaction_form())
    reaction = Reaction.objects.get()
    recording.correct_treatment(
        reaction.treatments.get(),
        by=nurse,
        details={"drug": "diphenhydramine", "other_drug": "", "dose": "50 mg", "route": "IV", "at": START},
        reason="Misread",
        seen_version=1,
        now=timezone.now(),
    )
    stale = page.post(correct(reaction), reaction_form(seen_version="1", reason="Late"))
    assert stale.status_code == 409
    assert "Diphenhydramine 50 mg" in text_of(stale)
    assert AuditEvent.objects.filter(act="reaction.treatment_corrected", entity_id=reaction.pk).exists()


def test_what_a_void_reaction_had_can_go_to_the_one_recorded_anew(page: Client, new: str, nurse: User) -> None:
    page.post(new, reaction_form())
    first = Reaction.objects.get()
    recording.void_reaction(first, by=nurse, reason="Other symptoms", seen_version=1, now=timezone.now())
    given = Treatment.objects.get()
    assert (given.reaction, given.version) == (None, 2)
    freed = AuditEvent.objects.get(act="treatment.assigned")
    assert (freed.changes, freed.reason) == ({"reaction_id": [first.pk, None]}, "Other symptoms")
    assert f'name="given_for_it" value="{given.pk}"' in text_of(page.get(new))
    nothing_typed = {f"treatments-0-{name}": "" for name in ("drug", "dose", "route", "at")}
    page.post(new, reaction_form(**nothing_typed, treatment="", given_for_it=[given.pk]))
    second = Reaction.objects.current().get()
    assert second.treatments_given == [given]
    assert "Diphenhydramine" in text_of(page.get(reverse("reactions:report", args=[second.pk])))


def test_a_treatment_taken_back_with_its_reactions_row_says_so_itself(page: Client, new: str) -> None:
    page.post(new, reaction_form())
    reaction = Reaction.objects.get()
    given = reaction.treatments.get()
    page.post(correct(reaction), reaction_form(seen_version="1", reason="Dose", **{"treatments-0-dose": "50 mg"}))
    given.refresh_from_db()
    assert (given.is_void, given.version) == (True, 2)
    assert AuditEvent.objects.get(act="treatment.voided").entity_id == given.pk


def test_a_record_of_anaphylaxis_outdates_the_signature(page: Client, new: str, nurse: User) -> None:
    page.post(new, reaction_form())
    reaction = Reaction.objects.get()
    recording.sign_reaction(
        reaction,
        by=nurse,
        password=PASSWORD,
        meaning=SignatureMeaning.REVIEW,
        seen_version=1,
        now=timezone.now(),
    )
    recording.open_anaphylaxis(reaction, by=nurse, now=timezone.now())
    reaction.refresh_from_db()
    assert reaction.version == 2
    recording.open_anaphylaxis(reaction, by=nurse, now=timezone.now())
    reaction.refresh_from_db()
    assert reaction.version == 2


def test_nothing_is_written_beside_a_void_reaction(page: Client, new: str, nurse: User) -> None:
    page.post(new, reaction_form())
    reaction = Reaction.objects.get()
    record = recording.open_anaphylaxis(reaction, by=nurse, now=timezone.now())
    recording.void_reaction(
        reaction, by=nurse, reason="Other patient", seen_version=reaction.version, now=timezone.now()
    )
    with pytest.raises(RecordVoided):
        recording.stamp(record, "ems_called_at", by=nurse, at=timezone.now(), now=timezone.now())
    with pytest.raises(RecordVoided):
        recording.open_anaphylaxis(reaction, by=nurse, now=timezone.now())
    with pytest.raises(RecordVoided):
        recording.record_evidence(
            record, by=nurse, evidence=Evidence(hives=True), moments={}, seen_version=1, now=timezone.now()
        )


def test_other_treatments_are_other_words(page: Client, new: str, at_chairside: Treatment) -> None:
    data = reaction_form()
    for _ in range(2):
        assert page.post(new, data).status_code == 302
    assert "This form was saved already" in text_of(page.post(new, data | {"treatments-0-dose": "50 mg"}))


def test_another_judgement_in_one_form_is_said(page: Client, given: Infusion, nurse: User) -> None:
    words: dict[str, Any] = {"by": nurse, "scale": "naranjo", "answers": {"1": "yes"}, "category": "", "score": None}
    words |= {"submission_id": uuid4(), "now": timezone.now()}
    reaction = make_reaction(given)
    first = recording.judge_causality(reaction, note="", **words)
    assert recording.judge_causality(reaction, note="", **words) == first
    with pytest.raises(recording.SentBefore):
        recording.judge_causality(reaction, note="Changed", **words)


SERIOUS: list[tuple[dict[str, Any], bool | None, list[str]]] = [
    ({}, False, []),
    ({"none_of_these": ""}, None, []),
    ({"none_of_these": "", "criteria": ["hospitalisation", "important_event"]}, True, ["hospitalisation"]),
]


@pytest.mark.parametrize(("change", "is_serious", "criteria"), SERIOUS)
def test_seriousness_is_ticked_apart_from_the_grade(
    page: Client, new: str, change: dict, is_serious: bool | None, criteria: list[str]
) -> None:
    page.post(new, reaction_form(**change))
    reaction = Reaction.objects.get()
    assert reaction.is_serious is is_serious
    assert reaction.serious_criteria[:1] == criteria
    again = text_of(page.get(correct(reaction)))
    assert (again.count("checked") > 0) is (is_serious is not None)


def test_grade_four_asks_to_look_at_seriousness_and_decides_nothing(page: Client, new: str) -> None:
    data = reaction_form(**{"symptoms-0-term": "anaphylaxis", "symptoms-0-grade": "4"})
    assert "look at “Life-threatening”" in text_of(page.post(new, data | {"show": "grades"}))
    shown = text_of(page.post(new, data, follow=True))
    assert "look at “Life-threatening”" in shown
    assert Reaction.objects.get().is_serious is False


def test_a_serious_reaction_without_its_criterion_is_shown_and_stays_serious(page: Client, given: Infusion) -> None:
    reaction = make_reaction(given, minutes=40, is_serious=True)
    assert "the criterion was not recorded" in text_of(page.get(reverse("reactions:reaction", args=[reaction.pk])))
    shown = text_of(page.get(correct(reaction)))
    assert "Serious, as recorded before" in shown
    data = reaction_form(seen_version="1", reason="x", none_of_these="", unexplained="on")
    page.post(correct(reaction), data)
    reaction.refresh_from_db()
    assert (reaction.is_serious, reaction.serious_criteria) == (True, [])
    both = page.post(correct(reaction), data | {"none_of_these": "on", "seen_version": "2"})
    assert "Untick “Serious, as recorded before”" in text_of(both)
    page.post(correct(reaction), data | {"criteria": ["hospitalisation"], "seen_version": "2"})
    reaction.refresh_from_db()
    assert (reaction.is_serious, reaction.serious_criteria) == (True, ["hospitalisation"])


def test_a_minute_shared_with_the_start_is_not_before_it(page: Client, patient: Patient) -> None:
    infusion = make_infusion(patient, started_at=START + timedelta(seconds=30))
    data = reaction_form(**{"symptoms-0-onset_at": "2026-05-04T09:00", "treatments-0-at": "2026-05-04T09:00"})
    page.post(reverse("reactions:record_reaction", args=[infusion.pk]), data)
    assert Reaction.objects.get().onset_at == infusion.started_at


def test_the_page_of_grades_shows_a_term_in_a_version(page: Client) -> None:
    address = reverse("reactions:grades")
    assert "<dt>Grade" not in text_of(page.get(address))
    shown = text_of(page.get(f"{address}?term=phlebitis"))
    assert shown.count("<dt>Grade") == 1
    assert "CTCAE v5.0" in shown
    assert "does not have this term" in text_of(page.get(f"{address}?term=aseptic_meningitis&version=5.0"))
    assert "<dt>Grade 3</dt>" in text_of(page.get(f"{address}?term=aseptic_meningitis&version=6.0"))
    assert page.get(f"{address}?term=nonsense&version=99").status_code == 200
