"""Signatures under a reaction, and its versions side by side."""

import re
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from pytest_django.fixtures import DjangoAssertNumQueries

from patients.models import Patient, User
from reactions import recording
from reactions.models import Reaction, Signature
from tests.support import PASSWORD
from tests.support.factories import make_infusion, make_reaction, make_staff
from tests.support.forms import evidence_form, reaction_form

pytestmark = pytest.mark.django_db

START = datetime(2026, 5, 4, 13, tzinfo=UTC)


@pytest.fixture
def reaction(page: Client, patient: Patient) -> Reaction:
    infusion = make_infusion(patient, started_at=START)
    page.post(reverse("reactions:record_reaction", args=[infusion.pk]), reaction_form())
    return Reaction.objects.get()


@pytest.fixture
def sign(reaction: Reaction) -> str:
    return reverse("reactions:sign", args=[reaction.pk])


def signed(**changes: str) -> dict[str, str]:
    return {"seen_version": "1", "meaning": "review", "password": PASSWORD} | changes


def words_of(answer: Any) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", answer.content.decode()))


def correct(page: Client, reaction: Reaction, seen: int, reason: str, **changes: Any) -> None:
    address = reverse("reactions:correct_reaction", args=[reaction.pk])
    answer = page.post(address, reaction_form(seen_version=str(seen), reason=reason, **changes))
    assert answer.status_code == 302


def test_what_is_signed_is_shown(page: Client, sign: str) -> None:
    shown = words_of(page.get(sign))
    for words in ("Sign version 1", "Chills", "Grade 2", "Diphenhydramine 25 mg", "Recovered", "You sign as Nora Test"):
        assert words in shown, words


def test_a_signature_stands_with_name_time_meaning_and_version(
    page: Client, sign: str, reaction: Reaction, nurse: User
) -> None:
    shown = words_of(page.post(sign, signed(), follow=True))
    signature = Signature.objects.get()
    assert (signature.by, signature.printed_name, signature.version) == (nurse, "Nora Test", 1)
    assert signature.content["symptoms"][0]["term"] == "chills"
    assert signature.content["treatments"][0]["dose"] == "25 mg"
    assert "Nora Test: reviewed Version 1" in shown
    assert timezone.localtime(signature.signed_at, reaction.patient.clinic.zone).strftime("%Y-%m-%d %H:%M E") in shown


def test_signing_twice_is_one_signature(page: Client, sign: str) -> None:
    page.post(sign, signed())
    page.post(sign, signed())
    assert Signature.objects.count() == 1
    page.post(sign, signed(meaning="approval"))
    assert Signature.objects.count() == 2


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"password": "wrong-Passphrase-1"}, "This is not your password."),
        ({"password": ""}, "Write your password."),
        ({"meaning": ""}, "Choose what your signature says."),
        ({"meaning": "made_up"}, "Select a valid choice"),
    ],
)
def test_a_signature_needs_its_password_and_meaning(page: Client, sign: str, change: dict, said: str) -> None:
    answer = page.post(sign, signed(**change))
    assert said in answer.content.decode()
    assert "wrong-Passphrase-1" not in answer.content.decode()
    assert PASSWORD not in answer.content.decode()
    assert not Signature.objects.exists()


def test_the_password_of_a_colleague_signs_nothing(page: Client, sign: str, patient: Patient) -> None:
    colleague = make_staff(patient.clinic, "colleague")
    colleague.set_password("another-Passphrase-1")
    colleague.save()
    assert "not your password" in words_of(page.post(sign, signed(password="another-Passphrase-1")))


def test_what_changed_meanwhile_is_shown_and_not_signed(page: Client, sign: str, reaction: Reaction) -> None:
    correct(page, reaction, 1, "Later found", **{"symptoms-0-grade": "3"})
    stale = page.post(sign, signed())
    assert stale.status_code == 409
    assert "Nothing was signed" in words_of(stale)
    assert "Grade 3" in words_of(stale)
    assert not Signature.objects.exists()
    assert page.post(sign, signed(seen_version=str(stale.context["form"]["seen_version"].value()))).status_code == 302
    assert Signature.objects.get().version == 2


def test_a_signature_under_an_earlier_version_says_so(page: Client, sign: str, reaction: Reaction) -> None:
    page.post(sign, signed())
    correct(page, reaction, 1, "Later found", narrative="More")
    shown = words_of(page.get(reverse("reactions:reaction", args=[reaction.pk])))
    assert "Version 1, changed since" in shown


def test_a_time_or_a_cause_added_after_signing_makes_a_new_version(
    page: Client, sign: str, reaction: Reaction, nurse: User
) -> None:
    record = recording.open_anaphylaxis(reaction, by=nurse, now=timezone.now())
    page.post(reverse("reactions:stamp", args=[reaction.pk]), {"name": "ems_called_at"})
    reaction.refresh_from_db()
    assert reaction.version == 1
    page.post(sign, signed())
    assert Signature.objects.get().content["anaphylaxis"]["ems_called_at"]
    assert Signature.objects.get().content["anaphylaxis"]["stopped_at"]
    page.post(reverse("reactions:stamp", args=[reaction.pk]), {"name": "ems_arrived_at"})
    reaction.refresh_from_db()
    assert reaction.version == 2
    page.post(sign, signed(seen_version="2"))
    points = ["reasonable_time", "other_cause_possible"]
    data = {"submission_id": str(uuid4()), "points": points, "category": "possible", "note": ""}
    page.post(reverse("reactions:causality", args=[reaction.pk]), data)
    reaction.refresh_from_db()
    assert (reaction.version, record.reaction_id) == (3, reaction.pk)
    shown = words_of(page.get(reverse("reactions:versions", args=[reaction.pk])))
    assert "A time or the judgement of the cause was added after signing" in shown


@pytest.fixture
def versions(reaction: Reaction) -> str:
    return reverse("reactions:versions", args=[reaction.pk])


def table(answer: Any) -> dict[str, tuple[str, str, bool]]:
    rows = answer.context["rows"]
    return {row.label: ("; ".join(row.earlier), "; ".join(row.present), row.differs) for row in rows}


def test_one_version_is_said_as_such(page: Client, versions: str) -> None:
    shown = words_of(page.get(versions))
    assert "There is only one version" in shown
    assert "Version 1, present Recorded Nora Test" in shown


def test_versions_stand_side_by_side_with_who_when_and_why(page: Client, versions: str, reaction: Reaction) -> None:
    correct(page, reaction, 1, "Graded again", **{"symptoms-0-grade": "3"})
    page.force_login(make_staff(reaction.patient.clinic, "second", first_name="Sona", last_name="Test"))
    other = {"treatments-0-dose": "50 mg", "narrative": "Words"}
    correct(page, reaction, 2, "Dose misread", **({"symptoms-0-grade": "3"} | other))
    answer = page.get(versions)
    shown = words_of(answer)
    assert "Version 3, present Corrected: “Dose misread” Sona Test" in shown
    assert "Version 2 Corrected: “Graded again” Nora Test" in shown
    assert (answer.context["earlier"].number, answer.context["present"].number) == (2, 3)
    assert table(answer)["Narrative"] == ("", "Words", True)
    assert table(answer)["Symptoms"][2] is False
    assert table(answer)["Treatment"] == (
        "Diphenhydramine 25 mg, into a vein, at 2026-05-04 09:50",
        "Diphenhydramine 50 mg, into a vein, at 2026-05-04 09:50",
        True,
    )
    first = table(page.get(f"{versions}?earlier=1"))
    assert first["Symptoms"] == (
        "Chills, grade 2 (CTCAE v5.0), began 2026-05-04 09:40; Urticaria, grade 1 (CTCAE v5.0), began 2026-05-04 10:00",
        "Chills, grade 3 (CTCAE v5.0), began 2026-05-04 09:40; Urticaria, grade 1 (CTCAE v5.0), began 2026-05-04 10:00",
        True,
    )
    assert first["Serious"] == ("No", "No", False)
    assert page.get(f"{versions}?earlier=nonsense").context["earlier"].number == 2


def test_evidence_and_corrected_treatments_are_versions_too(
    page: Client, versions: str, reaction: Reaction, nurse: User
) -> None:
    record = recording.open_anaphylaxis(reaction, by=nurse, now=timezone.now())
    page.post(reverse("reactions:stamp", args=[reaction.pk]), {"name": "ems_called_at"})
    record.refresh_from_db()
    page.post(reverse("reactions:anaphylaxis", args=[reaction.pk]), evidence_form(record, "hives", "dyspnoea"))
    row = reaction.treatments.get()
    recording.void_treatment(row, by=nurse, reason="Not given", seen_version=1, now=timezone.now())
    found = page.get(versions).context["versions"]
    assert [one.number for one in found] == [3, 2, 1]
    assert [one.act for one in found][:2] == [
        "A treatment was taken back",
        "The evidence for anaphylaxis was recorded",
    ]
    second = table(page.get(f"{versions}?earlier=2"))
    assert second["Treatment"][1:] == ("", True)
    first = table(page.get(f"{versions}?earlier=1"))
    assert first["Criteria of anaphylaxis met"] == ("", "C1, W1", True)
    assert first["Evidence for anaphylaxis"][:2] == ("", "generalised hives; dyspnoea")


def test_a_reaction_that_came_from_a_log_has_a_first_version(page: Client, patient: Patient, nurse: User) -> None:
    reaction = make_reaction(make_infusion(patient, started_at=START), {"chills": 2}, 40)
    correct(page, reaction, 1, "First correction")
    answer = page.get(reverse("reactions:versions", args=[reaction.pk]))
    assert [one.number for one in answer.context["versions"]] == [2, 1]
    assert answer.context["earlier"].by == nurse
    assert table(answer)["Symptoms"][0] == "Chills, grade 2 (CTCAE v5.0), began 2026-05-04 09:40"


def test_a_void_reaction_is_read_and_not_signed(page: Client, sign: str, versions: str, reaction: Reaction) -> None:
    page.post(reverse("reactions:void_reaction", args=[reaction.pk]), {"seen_version": "1", "reason": "Mistake"})
    assert page.get(sign).status_code == 404
    assert "Voided: “Mistake”" in words_of(page.get(versions))


def judge(page: Client, reaction: Reaction, category: str, *points: str, note: str = "") -> None:
    data = {"submission_id": str(uuid4()), "points": points, "category": category, "note": note}
    assert page.post(reverse("reactions:causality", args=[reaction.pk]), data).status_code == 302


def test_every_judgement_of_the_cause_stands_with_what_it_rests_on(
    page: Client, versions: str, reaction: Reaction
) -> None:
    judge(page, reaction, "possible", "reasonable_time", "other_cause_possible", note="A cold as well")
    correct(page, reaction, 1, "Graded again", **{"symptoms-0-grade": "3"})
    page.force_login(make_staff(reaction.patient.clinic, "second", first_name="Sona", last_name="Test"))
    naranjo = {"submission_id": str(uuid4()), "question_2": "yes", "note": ""}
    page.post(f"{reverse('reactions:causality', args=[reaction.pk])}?scale=naranjo", naranjo)
    answer = page.get(versions)
    shown = words_of(answer)
    later, earlier = answer.context["judgements"]
    assert (earlier.version, later.version) == (1, 2)
    for said in (
        "WHO-UMC: possible earlier The time between infusion and event is reasonable",
        "A cold as well Nora Test",
        "Naranjo: unfinished, score 2 so far, 1 of 10 questions answered counts 2. Did the event begin after",
        "given? Yes none Sona Test",
    ):
        assert said in shown, said
    before, now, differs = table(answer)["Cause, as judged last"]
    assert before.startswith("WHO-UMC: possible; “A cold as well”; Nora Test")
    assert now.startswith("Naranjo: unfinished, score 2 so far")
    assert differs


def test_a_version_is_shown_as_it_was_signed(
    page: Client, sign: str, versions: str, reaction: Reaction, nurse: User
) -> None:
    judge(page, reaction, "possible", "reasonable_time", "other_cause_possible")
    recording.open_anaphylaxis(reaction, by=nurse, now=timezone.now())
    page.post(reverse("reactions:stamp", args=[reaction.pk]), {"name": "ems_called_at"})
    page.post(sign, signed())
    signature = Signature.objects.get()
    at = timezone.localtime(signature.signed_at, reaction.patient.clinic.zone).strftime("%Y-%m-%d %H:%M")
    assert f"Version 1, present Recorded Nora Test, {at} Signed by Nora Test, reviewed, {at}" in words_of(
        page.get(versions)
    )
    judge(page, reaction, "unlikely", "improbable_time", "other_cause_plausible")
    answer = page.get(versions)
    shown = words_of(answer)
    assert f"Signed by Nora Test, reviewed, {at} outdated: changed since" in shown
    assert "Nobody has signed the present version." in shown
    before, now, differs = table(answer)["Cause, as judged last"]
    assert (before.split(";")[0], now.split(";")[0], differs) == ("WHO-UMC: possible", "WHO-UMC: unlikely", True)
    assert table(answer)["EMS called"][2] is False
    assert [judged.version for judged in answer.context["judgements"]] == [2, 1]
    page.post(sign, signed(seen_version="2", meaning="approval"))
    page.post(reverse("reactions:stamp", args=[reaction.pk]), {"name": "ems_arrived_at"})
    third = table(page.get(versions))["EMS arrived"]
    assert (third[0], bool(third[1])) == ("", True)


def test_what_was_tapped_last_stands_in_the_present_version(
    page: Client, versions: str, reaction: Reaction, nurse: User
) -> None:
    correct(page, reaction, 1, "Graded again", **{"symptoms-0-grade": "3"})
    recording.open_anaphylaxis(reaction, by=nurse, now=timezone.now())
    page.post(reverse("reactions:stamp", args=[reaction.pk]), {"name": "ems_called_at"})
    before, now, _ = table(page.get(versions))["EMS called"]
    assert (before, bool(now)) == ("", True)


def test_versions_ask_the_same_queries_however_much_was_judged_and_signed(
    page: Client,
    sign: str,
    versions: str,
    reaction: Reaction,
    django_assert_max_num_queries: DjangoAssertNumQueries,
) -> None:
    def judge_and_sign(seen: int) -> None:
        judge(page, reaction, "possible", "reasonable_time", "other_cause_possible")
        page.post(sign, signed(seen_version=str(seen)))

    judge_and_sign(1)
    with django_assert_max_num_queries(40) as one:
        page.get(versions)
        asked = len(one)
    for seen in range(2, 6):
        judge_and_sign(seen)
    with django_assert_max_num_queries(asked):
        answer = page.get(versions)
    assert (len(answer.context["judgements"]), len(answer.context["versions"])) == (5, 5)
