"""One question a screen: what is kept, what is told at once, and what is sent."""

import re
from datetime import timedelta

import pytest
from django.db import OperationalError
from django.test import Client
from django.utils import timezone

from patients.models import User
from reactions.checkins.plan import plan_checkins
from reactions.models import Alert, Answer, AnswerDraft, CheckIn, Infusion, OutboxMessage
from reactions.views import checkins
from reactions.vocabulary import AlertLevel, CheckInKind, CheckInState
from tests.support.answering import answer, fill, form_of


@pytest.fixture
def checkin(infusion: Infusion) -> CheckIn:
    """Sent, open for another two days."""
    plan_checkins(infusion, now=timezone.now())
    CheckIn.objects.filter(kind=CheckInKind.HOURS_24).update(state=CheckInState.SENT, sent_at=timezone.now())
    return infusion.checkins.get(kind=CheckInKind.HOURS_24)


@pytest.fixture
def first(checkin: CheckIn) -> str:
    return checkin.link_path()


def test_each_screen_leads_to_the_next_and_the_last_one_sends(client: Client, first: str, checkin: CheckIn) -> None:
    assert client.post(first, {"has_problem": "yes"}).headers["Location"] == f"{first}problems/"
    steps = [
        ("problems", {"symptoms": ["rash", "headache"]}, "problem-headache"),
        ("problem-headache", {"severity": "severe", "still_there": "no"}, "problem-rash"),
        ("problem-rash", {"severity": "mild", "still_there": "yes"}, "care"),
        ("care", {"care_sought": "called"}, "day"),
        ("day", {"effects": ["could_not_work"]}, "more"),
        ("more", {"comment": "It woke me up."}, "check"),
    ]
    for step, said, then in steps:
        assert client.get(f"{first}{step}/").status_code == 200
        assert client.post(f"{first}{step}/", said).headers["Location"] == f"{first}{then}/"
        assert not Answer.objects.exists()
    page = client.get(f"{first}check/").content.decode()
    for words in ("It is not sent yet", "Headache", "Rash or hives", "Severe", "Called the clinic", "It woke me up."):
        assert words in page
    assert client.post(f"{first}check/").headers["Location"] == f"{first}thanks/"
    sent = checkin.latest_answer()
    said = {row.symptom: (row.severity, row.still_there) for row in sent.symptoms.all()}
    assert said == {"headache": ("severe", False), "rash": ("mild", True)}
    assert (sent.could_not_work, sent.could_not_do_daily, sent.got_care) == (True, False, False)
    assert (sent.care_sought, sent.comment, sent.question_set) == ("called", "It woke me up.", "first_days-1")
    assert not AnswerDraft.objects.exists()


def test_send_tapped_twice_is_one_answer_and_both_taps_are_thanked(
    client: Client, first: str, checkin: CheckIn
) -> None:
    fill(client, first, {"rash": "severe"})
    for _ in range(2):
        assert client.post(f"{first}check/").headers["Location"] == f"{first}thanks/"
    assert (checkin.answers.count(), Alert.objects.count()) == (1, 1)


def test_a_half_filled_form_is_there_again_on_another_phone(client: Client, first: str) -> None:
    fill(client, first, {"rash": "moderate"}, comment="kept words", began_at="2020-01-01T10:00")
    other = Client()
    assert "kept words" in other.get(f"{first}more/").content.decode()
    assert 'value="moderate" required' not in other.get(f"{first}problem-rash/").content.decode()
    page = other.get(f"{first}problem-rash/").content.decode()
    assert 'value="2020-01-01T10:00"' in page
    assert other.get(f"{first}check/").headers["Location"] == f"{first}problem-rash/"


def test_back_keeps_what_was_filled_in_be_it_unfinished(client: Client, first: str) -> None:
    client.post(first, {"has_problem": "yes"})
    client.post(f"{first}problems/", {"symptoms": ["rash"]})
    went = client.post(f"{first}problem-rash/", {"still_there": "yes", "began_at": "yesterday", "back": "1"})
    assert went.headers["Location"] == f"{first}problems/"
    page = client.get(f"{first}problem-rash/").content.decode()
    assert "yesterday" in page
    assert (
        client.post(f"{first}problems/", {"symptoms": ["rash", "itch"], "back": "1"}).headers["Location"]
        == f"{first}?again"
    )
    assert AnswerDraft.objects.get().steps["problems"] == {"symptoms": ["rash", "itch"]}


def test_another_language_keeps_what_is_marked_and_sends_nothing(client: Client, first: str, checkin: CheckIn) -> None:
    assert client.post(first, {"has_problem": "no", "lang": "es"}).headers["Location"] == f"{first}?again"
    assert not Answer.objects.exists()
    client.post(first, {"has_problem": "yes"})
    went = client.post(f"{first}problems/", {"symptoms": ["rash", "headache"], "lang": "en"})
    assert went.headers["Location"] == f"{first}problems/"
    page = client.get(went.headers["Location"]).content.decode()
    assert "Headache" in page
    assert re.findall(r'value="(\w+)"[^>]* checked', page) == ["headache", "rash"]
    went = client.post(f"{first}problem-rash/", {"severity": "mild", "lang": "es"})
    assert went.headers["Location"] == f"{first}problem-rash/"
    assert "Leve" in client.get(went.headers["Location"]).content.decode()


def test_who_comes_back_reads_the_words_for_what_was_told_and_goes_on(
    client: Client, first: str, checkin: CheckIn
) -> None:
    client.post(first, {"has_problem": "yes"})
    client.post(f"{first}problems/", {"symptoms": ["chest_pain", "itch"]})
    page = client.get(first).content.decode()
    assert "You have not sent all of it yet" in page
    assert 'Call <a href="tel:911">911</a> now' in page
    assert f'href="{first}problem-chest_pain/"' in page
    answer(client, first, {"leg_swelling": "severe"})
    page = client.get(first).content.decode()
    assert "You have answered already" in page
    assert "Call your clinic today" in page
    assert "You have not sent" not in page


def test_two_windows_lose_nothing_of_each_other(client: Client, first: str) -> None:
    fill(client, first, {"rash": "mild"}, comment="first window")
    Client().post(f"{first}care/", {"care_sought": "visited"})
    client.post(f"{first}day/", {"effects": ["got_care"]})
    steps = AnswerDraft.objects.get().steps
    assert steps["care"] == {"care_sought": ["visited"]}
    assert steps["day"] == {"effects": ["got_care"]}
    assert steps["more"] == {"comment": ["first window"]}


def test_every_screen_has_a_title_of_its_own(client: Client, first: str) -> None:
    fill(client, first, {"headache": "mild", "rash": "mild"})
    pages = ["?again", "problems/", "problem-headache/", "problem-rash/", "care/", "day/", "more/", "check/"]
    titles = [
        re.search(r"<title>\s*(.*?)\s*</title>", client.get(first + page).content.decode(), re.DOTALL).group(1)
        for page in pages
    ]
    assert len(set(titles)) == len(pages)
    assert titles[2:4] == ["Headache", "Rash or hives"]


def test_the_summary_counts_what_is_to_be_checked(client: Client, first: str) -> None:
    client.post(first, {"has_problem": "yes"})
    client.post(f"{first}problems/", {"symptoms": ["headache"]})
    address = f"{first}problem-headache/"
    one = client.post(address, {"severity": "mild", "still_there": "yes", "began_at": "2020-01-01T10:00"})
    assert "Please check this" in one.content.decode()
    two = client.post(address, {"began_at": "2020-01-01T10:00"}).content.decode()
    assert re.search(r"Please check these [2-9] things", two)


def test_red_words_reach_the_clinic_with_their_own_screen(
    client: Client, first: str, nurse: User, checkin: CheckIn
) -> None:
    client.post(first, {"has_problem": "yes"})
    sent = form_of(client, f"{first}problems/") | {"symptoms": ["chest_pain", "rash"]}
    for _ in range(2):
        page = client.post(f"{first}problems/", sent)
        text = page.content.decode()
        assert page.status_code == 200
        assert "Do not drive yourself" in text
        assert "Maybe nobody has read it yet. Do not wait" in text
        assert "has been told" not in text
    assert (Answer.objects.count(), Alert.objects.count(), OutboxMessage.objects.count()) == (1, 1, 1)
    assert Alert.objects.get().level == AlertLevel.RED
    told = checkin.latest_answer()
    assert dict(told.symptoms.values_list("symptom", "severity")) == {"chest_pain": "not_said", "rash": "not_said"}
    client.post(f"{first}problem-chest_pain/", {"severity": "mild"})
    assert Answer.objects.count() == 1
    assert "Call <a" in client.get(f"{first}problem-rash/").content.decode()
    fill(client, first, {"chest_pain": "mild", "rash": "mild"})
    client.post(f"{first}check/")
    assert [one.symptoms.count() for one in checkin.answers.all()] == [2, 2]
    assert OutboxMessage.objects.count() == 1


def test_red_words_added_later_are_told_at_once_too(client: Client, first: str, nurse: User) -> None:
    fill(client, first, {"rash": "mild"})
    assert not Answer.objects.exists()
    page = client.post(f"{first}problems/", {"symptoms": ["rash", "dizzy"]})
    assert "Do not drive yourself" in page.content.decode()
    assert Alert.objects.get().level == AlertLevel.RED


def test_an_earlier_answers_red_words_marked_again_are_told_again(client: Client, first: str, nurse: User) -> None:
    answer(client, first, {"chest_pain": "mild"})
    before = Answer.objects.count()
    client.post(first, {"has_problem": "yes"})
    assert Answer.objects.count() == before
    client.post(f"{first}problems/", {"symptoms": ["chest_pain"]})
    assert Answer.objects.count() == before + 1


def test_red_words_of_one_window_count_though_another_said_no(client: Client, first: str, nurse: User) -> None:
    client.post(first, {"has_problem": "yes"})
    client.post(first, {"has_problem": "no"})
    page = client.post(f"{first}problems/", {"symptoms": ["chest_pain"]}, follow=True).content.decode()
    assert "Do not drive" in page
    assert Alert.objects.filter(level=AlertLevel.RED).exists()


def test_red_words_after_no_and_after_the_end_get_the_emergency_words(client: Client, first: str) -> None:
    client.post(first, {"has_problem": "no"})
    now = timezone.now()
    CheckIn.objects.update(due_at=now - timedelta(days=9), closes_at=now - timedelta(hours=3))
    assert "Do not drive" in client.post(f"{first}problems/", {"symptoms": ["chest_pain"]}).content.decode()


def test_emergency_words_come_first_though_nothing_can_be_stored(
    client: Client, first: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OperationalError("disk full")

    client.post(first, {"has_problem": "yes"})
    monkeypatch.setattr(checkins, "submit_answer", fail)
    page = client.post(f"{first}problems/", {"symptoms": ["chest_pain"]})
    assert page.status_code == 503
    assert "Do not drive yourself" in page.content.decode()
    assert "We could not tell your clinic" in page.content.decode()
    assert "is stored for your clinic" not in page.content.decode()
    monkeypatch.setattr(checkins, "save_step", fail)
    page = client.post(f"{first}problems/", {"symptoms": ["chest_pain"]})
    text = page.content.decode()
    assert page.status_code == 503
    assert text.index("Do not drive yourself") < text.index("could not store your answer")
    assert re_checked("chest_pain", text)
    monkeypatch.undo()
    client.post(f"{first}problem-chest_pain/", {"severity": "mild"})
    assert Alert.objects.get().level == AlertLevel.RED


def re_checked(value: str, text: str) -> bool:
    return any("checked" in tag for tag in text.split("<input") if f'value="{value}"' in tag.partition(">")[0])


def test_no_after_problems_were_marked_asks_before_it_is_sent(client: Client, first: str, checkin: CheckIn) -> None:
    fill(client, first, {"rash": "mild"}, comment="kept words")
    assert client.post(first, {"has_problem": "no"}).headers["Location"] == f"{first}check/"
    assert not Answer.objects.exists()
    assert client.post(first, {"has_problem": "yes"}).headers["Location"] == f"{first}check/"
    assert "kept words" in client.get(f"{first}check/").content.decode()
    client.post(first, {"has_problem": "no"})
    client.post(f"{first}check/")
    assert (checkin.latest_answer().has_problem, checkin.latest_answer().comment) == (False, "")


def test_changing_an_answer_starts_from_it_and_keeps_both(client: Client, first: str, checkin: CheckIn) -> None:
    answer(client, first, {"rash": "moderate"}, comment="It itches", effects=["got_care"], care_sought="visited")
    client.post(f"{first}problem-rash/", {"severity": "severe"})
    client.post(f"{first}check/")
    versions = list(checkin.answers.order_by("version"))
    assert [one.symptoms.get().severity for one in versions] == ["moderate", "severe"]
    assert versions[1].comment == "It itches"
    assert (versions[1].care_sought, versions[1].got_care) == ("visited", True)


def test_changing_an_answer_keeps_when_an_ungraded_emergency_began(
    client: Client, first: str, checkin: CheckIn
) -> None:
    began = f"{timezone.now().astimezone(checkin.patient.zone) - timedelta(hours=3):%Y-%m-%dT%H:%M}"
    answer(client, first, {"chest_pain": ""}, began_at=began)
    client.post(f"{first}more/", {"comment": "It is over now"})
    client.post(f"{first}check/")
    before, changed = list(checkin.answers.order_by("version"))[-2:]
    assert changed.comment == "It is over now"
    assert before.symptoms.get().began_at
    assert changed.symptoms.get().began_at == before.symptoms.get().began_at


def close(checkin: CheckIn, ago: timedelta) -> None:
    CheckIn.objects.filter(pk=checkin.pk).update(
        due_at=timezone.now() - timedelta(days=9), closes_at=timezone.now() - ago, state=CheckInState.EXPIRED
    )


def test_who_had_the_page_open_before_the_deadline_may_still_send(client: Client, first: str, checkin: CheckIn) -> None:
    form = form_of(client, first) | {"has_problem": "no"}
    close(checkin, timedelta(seconds=-1))
    CheckIn.objects.filter(pk=checkin.pk).update(closes_at=timezone.now() + timedelta(milliseconds=1))
    assert client.post(first, form | {"opened": ""}).status_code == 410
    assert client.post(first, form | {"opened": "bent"}).status_code == 410
    assert client.post(first, form).status_code == 302
    assert Answer.objects.count() == 1


def test_who_had_begun_before_the_deadline_may_finish_within_two_hours(
    client: Client, first: str, checkin: CheckIn
) -> None:
    assert "you have 2 hours more to finish" in client.get(first).content.decode()
    fill(client, first, {"rash": "mild"})
    AnswerDraft.objects.update(began_at=timezone.now() - timedelta(hours=3))
    close(checkin, timedelta(hours=1, minutes=59))
    assert client.get(f"{first}check/").status_code == 200
    close(checkin, timedelta(hours=2, minutes=1))
    assert client.get(f"{first}check/").status_code == 410
    assert client.post(f"{first}more/", {"comment": "x"}).status_code == 410
    close(checkin, timedelta(hours=1, minutes=59))
    assert client.post(f"{first}check/").status_code == 302
    checkin.refresh_from_db()
    assert checkin.state == CheckInState.ANSWERED


def test_who_begins_after_the_deadline_cannot(client: Client, first: str, checkin: CheckIn) -> None:
    close(checkin, timedelta(minutes=1))
    form = {"has_problem": "yes", "opened": "x"}
    assert client.post(first, form).status_code == 410
    assert not AnswerDraft.objects.exists()
