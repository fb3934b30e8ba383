"""Whatever is wrong with a link or a form below /c/, the patient reads a kind page with a number to call."""

import re
from datetime import timedelta
from typing import Any

import pytest
from django.db import DatabaseError
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from patients.models import MAIL_CAME_BACK
from reactions.checkins.plan import plan_checkins
from reactions.models import Answer, CheckIn, Infusion
from reactions.models.checkin import MAIL_REFUSED, SENT_TOO_LATE
from reactions.views import checkins
from reactions.vocabulary import CheckInKind, CheckInState
from tests.support.answering import fill

PHONE = "+1 555 0100"


@pytest.fixture
def checkin(infusion: Infusion) -> CheckIn:
    """Sent, open for another two days."""
    plan_checkins(infusion, now=timezone.now())
    CheckIn.objects.filter(kind=CheckInKind.HOURS_24).update(state=CheckInState.SENT, sent_at=timezone.now())
    return infusion.checkins.get(kind=CheckInKind.HOURS_24)


@pytest.fixture
def token(checkin: CheckIn) -> str:
    return checkin.link_path().split("/")[2]


def kind_words(answer: Any, status: int) -> str:
    """The text of a patient's page; fails for a page of the staff."""
    assert answer.status_code == status
    text = answer.content.decode()
    assert "If you think it is an emergency" in text
    assert "IVIGTrack" not in text
    assert "Sign out" not in text
    assert answer.headers["X-Robots-Tag"] == "noindex, nofollow"
    assert "no-store" in answer.headers["Cache-Control"]
    return text


@pytest.mark.parametrize("ending", ["/)", "/x", ").", "/more", "/thanks/x", "/more/)", "/%22", ">", "/x/y", ",/"])
@pytest.mark.parametrize("method", ["get", "post"])
def test_what_hangs_on_to_a_link_is_forgiven(client: Client, token: str, ending: str, method: str) -> None:
    text = kind_words(getattr(client, method)(f"/c/{token}{ending}"), 404)
    assert "This link does not work" in text
    assert PHONE in text
    assert f'href="/c/{token}/"' in text
    assert not Answer.objects.exists()


@pytest.mark.parametrize("address", ["/c/", "/c//", "/c/x", "/c/x/y", "/c/%00/", "/c/…/more/", "/c/" + "x" * 5_000])
@pytest.mark.parametrize("method", ["get", "post"])
@pytest.mark.usefixtures("checkin")
def test_without_a_known_token_the_words_are_general(client: Client, address: str, method: str) -> None:
    text = kind_words(getattr(client, method)(address), 404)
    assert PHONE not in text
    assert "The number is in the mail" in text


def test_a_slash_that_is_missing_is_added(client: Client, token: str) -> None:
    assert client.get(f"/c/{token}").headers["Location"] == f"/c/{token}/"


def test_a_form_without_its_cookie_is_answered_in_the_patients_words(token: str) -> None:
    text = kind_words(Client(enforce_csrf_checks=True).post(f"/c/{token}/", {"has_problem": "no"}), 403)
    assert PHONE in text
    assert "what you typed is still there" in text
    kind_words(Client(enforce_csrf_checks=True).post("/c/nobody/", {}), 403)


def test_a_form_that_is_too_large_is_answered_in_the_patients_words(
    client: Client, token: str, settings: Settings
) -> None:
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 1_000
    text = kind_words(client.post(f"/c/{token}/more/", {"comment": "x" * 2_000}), 413)
    assert PHONE in text
    assert "write less" in text


def test_a_request_that_cannot_be_read_is_answered_in_the_patients_words(client: Client, token: str) -> None:
    answer = client.post(f"/c/{token}/more/", b"--x", content_type="multipart/form-data; boundary=" + "x" * 500)
    assert PHONE in kind_words(answer, 400)


def test_a_way_of_asking_that_is_not_meant_is_answered_in_the_patients_words(client: Client, token: str) -> None:
    assert PHONE in kind_words(client.post(f"/c/{token}/thanks/"), 405)


def test_a_breakdown_is_answered_in_the_patients_words(
    client: Client, token: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError

    client.raise_request_exception = False
    monkeypatch.setattr(checkins, "_about", broken)
    assert PHONE in kind_words(client.get(f"/c/{token}/"), 500)


def test_even_without_a_database_the_patient_reads_whom_to_call(
    client: Client, token: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: object) -> None:
        raise DatabaseError

    client.raise_request_exception = False
    monkeypatch.setattr(type(CheckIn.objects.all()), "of_token", away)
    for answer in (client.get(f"/c/{token}/"), client.post(f"/c/{token}/more/")):
        assert PHONE not in kind_words(answer, 500)


def test_staff_keep_their_own_pages(client: Client) -> None:
    assert "Staff" not in client.get("/nowhere/").content.decode()
    assert "IVIGTrack" in client.get("/nowhere/").content.decode()
    assert "IVIGTrack" in Client(enforce_csrf_checks=True).post("/sign-in/").content.decode()


@pytest.mark.parametrize(
    ("state", "reason", "said"),
    [
        (CheckInState.CANCELLED, f"{MAIL_REFUSED} 550 No such mailbox", "Our mail to you came back"),
        (CheckInState.MISSED, SENT_TOO_LATE, "We did not send it in time"),
        (CheckInState.CANCELLED, "The infusion was voided.", "does not need this answer"),
        (CheckInState.EXPIRED, "", "It could be answered until"),
        (CheckInState.CANCELLED, MAIL_CAME_BACK, "Our mail to you came back"),
    ],
)
def test_a_closed_check_in_says_honestly_why(client: Client, token: str, state: str, reason: str, said: str) -> None:
    over = timezone.now() - timedelta(minutes=1)
    CheckIn.objects.filter(kind=CheckInKind.HOURS_24).update(
        state=state, state_reason=reason, due_at=over - timedelta(days=2), closes_at=over
    )
    answer = client.get(f"/c/{token}/")
    assert answer.status_code == 410
    assert said in answer.content.decode()
    assert "mailbox" not in answer.content.decode()


def ids_that_are_described(text: str) -> set[str]:
    return {one for ids in re.findall(r'aria-describedby="([^"]*)"', text) for one in ids.split()}


@pytest.mark.parametrize(
    ("page", "sent", "wrong"),
    [
        ("", {}, "id_has_problem"),
        ("problems/", {"symptoms": ["magic"]}, "id_symptoms"),
        ("problem-headache/", {"severity": "mild", "began_at": "yesterday"}, "id_began_at"),
        ("care/", {"care_sought": "magic"}, "id_care_sought"),
        ("more/", {"comment": "x" * 10_001}, "id_comment"),
    ],
)
@pytest.mark.parametrize("opened", [True, False])
def test_whatever_describes_a_field_is_on_the_page(
    client: Client, token: str, page: str, sent: dict[str, Any], wrong: str, opened: bool
) -> None:
    fill(client, f"/c/{token}/", {"headache": "mild"})
    address = f"/c/{token}/{page}"
    text = (client.get(address) if opened else client.post(address, sent)).content.decode()
    ids = re.findall(r'\bid="([^"]*)"', text)
    assert ids_that_are_described(text) <= set(ids)
    assert len(ids) == len(set(ids))
    targets = set(re.findall(r'href="#([^"]+)"', text))
    assert targets <= set(ids)
    if not opened:
        assert f"{wrong}_error" in ids_that_are_described(text)
        assert targets & {wrong, f"{wrong}_0"}


@pytest.mark.parametrize(("page", "title"), [("", "Any new or worse health problem"), ("problems/", "Problems")])
def test_a_refused_form_says_so_in_the_title_and_takes_the_focus(
    client: Client, token: str, page: str, title: str
) -> None:
    address = f"/c/{token}/{page}"
    client.post(f"/c/{token}/", {"has_problem": "yes"})
    assert re.search(rf"<title>\s*{title}\s*</title>", client.get(f"{address}?again").content.decode())
    text = client.post(address, {}).content.decode()
    assert re.search(rf"<title>Error:\s*{title}\s*</title>", text)
    assert "Please check this" in text
    assert re.search(r'<section class="box summary" role="alert" tabindex="-1" autofocus>', text)
    assert text.count("autofocus") == 1


def test_the_number_to_call_stays_when_the_form_comes_back(client: Client, token: str) -> None:
    text = client.post(f"/c/{token}/problems/", {}).content.decode()
    assert "Any of these now? Call" in text
