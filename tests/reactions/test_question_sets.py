"""A check-in lists what fits its time; all problems are one button away, and staff read what was not offered."""

import re

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from patients.models import User
from reactions.checkins.plan import plan_checkins
from reactions.clinical.questions import SETS
from reactions.models import Alert, Answer, AnswerDraft, CheckIn, Infusion, ReportLink
from reactions.vocabulary import AlertLevel, CheckInKind, CheckInState, PatientSymptom
from tests.support.answering import answer

SHOW_ALL = {"show_all": "1"}


@pytest.fixture
def checkin(infusion: Infusion) -> CheckIn:
    """Of day 28, sent."""
    plan_checkins(infusion, now=timezone.now())
    CheckIn.objects.filter(kind=CheckInKind.DAYS_28).update(
        state=CheckInState.SENT, sent_at=timezone.now(), due_at=timezone.now()
    )
    return infusion.checkins.get(kind=CheckInKind.DAYS_28)


@pytest.fixture
def first(checkin: CheckIn) -> str:
    return checkin.link_path()


def boxes(page: str) -> set[str]:
    return set(re.findall(r'name="symptoms" value="(\w+)"', page))


def ticked(page: str) -> set[str]:
    tags = re.findall(r'<input type="checkbox" name="symptoms"[^>]*>', page)
    return {re.search(r'value="(\w+)"', tag).group(1) for tag in tags if " checked" in tag}


def open_problems(client: Client, first: str) -> str:
    client.post(first, {"has_problem": "yes"})
    return client.get(f"{first}problems/").content.decode()


@pytest.mark.parametrize("name", SETS)
def test_a_check_in_lists_what_its_questions_say(client: Client, first: str, checkin: CheckIn, name: str) -> None:
    CheckIn.objects.filter(pk=checkin.pk).update(question_set=name)
    page = open_problems(client, first)
    assert boxes(page) == set(SETS[name].problems)
    assert ("show all" in page) == (name != "everything")


def test_all_problems_are_one_button_away_and_nothing_ticked_is_lost(
    client: Client, first: str, checkin: CheckIn
) -> None:
    assert "dark_urine" not in boxes(open_problems(client, first))
    went = client.post(f"{first}problems/", {"symptoms": ["itch"]} | SHOW_ALL)
    assert went.headers["Location"] == f"{first}problems/#listed"
    page = client.get(f"{first}problems/").content.decode()
    assert (boxes(page), ticked(page)) == (set(PatientSymptom), {"itch"})
    assert "show all" not in page
    assert 'id="listed"' in page
    assert not Answer.objects.exists()
    listed = re.search(r'name="listed" value="(\w+)"', page).group(1)
    refused = client.post(f"{first}problems/", {"listed": listed}).content.decode()
    assert "Please mark at least one problem" in refused
    assert boxes(refused) == set(PatientSymptom)
    answer(client, first, {"itch": "mild", "dark_urine": "mild"})
    assert Alert.objects.get().level == AlertLevel.AMBER


def test_a_patient_who_marked_nothing_is_shown_all_without_a_word_of_error(client: Client, first: str) -> None:
    open_problems(client, first)
    page = client.post(f"{first}problems/", SHOW_ALL, follow=True).content.decode()
    assert boxes(page) == set(PatientSymptom)
    assert "Please mark" not in page


def test_the_emergency_comes_before_the_full_list(client: Client, first: str, nurse: User) -> None:
    open_problems(client, first)
    page = client.post(f"{first}problems/", {"symptoms": ["chest_pain"]} | SHOW_ALL).content.decode()
    assert "Do not drive yourself" in page
    assert Alert.objects.get().level == AlertLevel.RED
    assert f'href="{first}problems/#listed"' in page
    page = client.get(f"{first}problems/").content.decode()
    assert (boxes(page), ticked(page)) == (set(PatientSymptom), {"chest_pain"})


def finish(client: Client, first: str, symptoms: list[str], **more: str) -> None:
    client.post(f"{first}problems/", {"symptoms": symptoms} | more)
    for symptom in symptoms:
        client.post(f"{first}problem-{symptom}/", {"severity": "mild"})
    for step in ("care", "day", "more"):
        client.post(f"{first}{step}/", {})
    assert client.post(f"{first}check/").headers["Location"] == f"{first}thanks/"


def test_the_answer_keeps_what_was_asked_and_whether_all_was_shown(
    client: Client, first: str, checkin: CheckIn
) -> None:
    client.post(first, {"has_problem": "no"})
    said = checkin.latest_answer()
    assert (said.question_set, said.full_list, said.language) == ("month-1", False, "en")
    open_problems(client, first)
    finish(client, first, ["itch"])
    said = checkin.latest_answer()
    assert (said.question_set, said.full_list) == ("month-1", False)
    client.post(f"{first}problems/", {"symptoms": ["itch"]} | SHOW_ALL)
    finish(client, first, ["itch", "pale"], listed="all")
    said = checkin.latest_answer()
    assert (said.question_set, said.full_list) == ("month-1", True)
    page = client.get(f"{first}problems/").content.decode()
    assert (boxes(page), ticked(page)) == (set(PatientSymptom), {"itch", "pale"})


def test_the_last_screen_says_what_was_marked_and_nothing_of_the_list(client: Client, first: str) -> None:
    open_problems(client, first)
    client.post(f"{first}problems/", {"symptoms": ["itch"]} | SHOW_ALL)
    client.post(f"{first}problems/", {"symptoms": ["itch"], "listed": "all"})
    client.post(f"{first}problem-itch/", {"severity": "mild"})
    for step in ("care", "day", "more"):
        client.post(f"{first}{step}/", {})
    page = client.get(f"{first}check/").content.decode()
    assert "Itching" in page
    assert "<dd>all</dd>" not in page


def test_what_was_marked_stays_in_sight_though_it_is_not_listed(client: Client, first: str, checkin: CheckIn) -> None:
    answer(client, first, {"headache": "mild"})
    page = client.get(f"{first}problems/").content.decode()
    assert "headache" not in SETS["month"].problems
    assert ticked(page) == {"headache"}


def test_an_evening_asks_one_question_and_little_more_on_yes(client: Client, first: str, checkin: CheckIn) -> None:
    CheckIn.objects.filter(pk=checkin.pk).update(question_set="evening")
    page = open_problems(client, first)
    assert checkin.patient.clinic.phone in page.partition("<main>")[2]
    client.post(f"{first}problems/", {"symptoms": ["other"]})
    client.post(f"{first}problem-other/", {"severity": "moderate"})
    assert client.post(f"{first}care/", {"care_sought": "hospital"}).headers["Location"] == f"{first}more/"
    client.post(f"{first}more/", {"comment": "A made-up trouble."})
    client.post(f"{first}check/")
    said = checkin.latest_answer()
    assert (said.question_set, said.care_sought, said.got_care) == ("evening-1", "hospital", None)
    assert Alert.objects.get().level == AlertLevel.AMBER
    client.post(f"{first}problem-other/", {"severity": "severe"})
    assert client.get(f"{first}check/").status_code == 200
    client.post(f"{first}check/")
    said = checkin.latest_answer()
    assert (said.version, said.care_sought, said.comment) == (2, "hospital", "A made-up trouble.")


def test_a_report_between_check_ins_lists_everything(client: Client, infusion: Infusion) -> None:
    begun = client.post(ReportLink.of(infusion.patient).link_path()).headers["Location"].partition("?")[0]
    assert boxes(client.get(f"{begun}problems/").content.decode()) == set(PatientSymptom)
    assert AnswerDraft.objects.count() == 0


def facts(client: Client, checkin: CheckIn) -> str:
    return client.get(reverse("reactions:checkin", args=[checkin.pk])).content.decode()


def test_staff_read_what_was_asked_and_what_was_not_offered(
    client: Client, first: str, nurse: User, checkin: CheckIn
) -> None:
    answer(client, first, {"itch": "mild"})
    client.force_login(nurse)
    page = facts(client, checkin)
    assert "Asked: Month, version 1." in page
    lacking = re.search(r"Not offered, so not known: ([^<]+)\.", page).group(1)
    assert "dark urine, like cola" in lacking
    assert "chest pain" not in lacking
    Answer.objects.update(full_list=True)
    page = facts(client, checkin)
    assert "Asked: Month, version 1, and opened the full list." in page
    assert "Not offered" not in page
    Answer.objects.update(full_list=False, question_set="2")
    page = facts(client, checkin)
    assert "Asked: Everything, one question a screen." in page
    assert "Not offered" not in page
    Answer.objects.update(question_set="month-1")
    Answer.objects.get().symptoms.create(symptom="pale", severity="mild")
    assert "paler than usual" not in facts(client, checkin)
