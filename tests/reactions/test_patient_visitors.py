"""Who answers, in which language, by which link, and how the clinic can ask for a birth year first."""

from datetime import date, timedelta

import pytest
from django.test import Client
from django.utils import timezone

from patients.models import Clinic, Patient, User
from reactions.checkins.due import close_what_is_over, queue_what_is_due
from reactions.checkins.plan import plan_checkins
from reactions.models import Alert, AnswerDraft, CheckIn, Infusion, OutboxMessage, ReportLink, WrongBirthYear
from reactions.vocabulary import AlertLevel, CheckInKind, CheckInState
from tests.support.answering import answer

PHONE = "+1 555 0100"


@pytest.fixture
def checkin(infusion: Infusion) -> CheckIn:
    """Sent, open for another two days."""
    plan_checkins(infusion, now=timezone.now())
    CheckIn.objects.filter(kind=CheckInKind.HOURS_24).update(state=CheckInState.SENT, sent_at=timezone.now())
    return infusion.checkins.get(kind=CheckInKind.HOURS_24)


@pytest.fixture
def first(checkin: CheckIn) -> str:
    return checkin.link_path()


def born_on(day: date | None) -> None:
    for patient in Patient.objects.all():
        patient.birth_date = day
        patient.save()


@pytest.fixture
def report(infusion: Infusion) -> str:
    return ReportLink.of(infusion.patient).link_path()


def test_the_pages_are_in_the_patients_language(client: Client, first: str, checkin: CheckIn) -> None:
    Patient.objects.update(language="es")
    text = client.get(first).content.decode()
    assert '<html lang="es">' in text
    assert "¿ha tenido algún problema de salud nuevo o peor?" in text
    page = answer(client, first, {"headache": "mild"})
    assert "Gracias. Su clínica tiene su respuesta." in page.content.decode()
    assert checkin.latest_answer().language == "es"


def test_another_language_is_kept_for_the_visit_and_for_this_link_alone(
    client: Client, first: str, checkin: CheckIn
) -> None:
    assert '<html lang="en">' in client.get(first).content.decode()
    assert 'name="lang" value="es" lang="es">Español</button>' in client.get(first).content.decode()
    client.get(f"{first}?lang=es")
    assert 'lang="en">English</button>' in client.get(f"{first}?again").content.decode()
    client.post(first, {"has_problem": "yes"})
    assert "Dolor de cabeza" in client.get(f"{first}problems/").content.decode()
    assert client.cookies["patient-language"]["path"] == first
    assert "Dolor" not in Client().get(f"{first}problems/").content.decode()
    assert '<html lang="es">' in client.get(f"{first}?lang=xx").content.decode()
    client.post(first, {"has_problem": "no"})
    assert checkin.latest_answer().language == "es"


def test_a_link_that_is_wrong_is_answered_in_the_browsers_language(client: Client, first: str) -> None:
    page = client.get("/c/nobody/", headers={"accept-language": "es-MX,es;q=0.9"})
    assert "Este enlace no funciona" in page.content.decode()
    assert "This link does not work" in client.get("/c/nobody/", headers={"accept-language": "fr"}).content.decode()
    Patient.objects.update(language="es")
    assert "Este enlace no funciona" in client.get(f"{first})").content.decode()


@pytest.mark.parametrize(
    ("born", "always", "asked"),
    [
        (timezone.localdate() - timedelta(days=17 * 365), False, True),
        (date(1970, 1, 1), False, False),
        (None, False, False),
        (None, True, True),
    ],
)
def test_who_answers_is_asked_where_it_makes_sense(
    client: Client, first: str, checkin: CheckIn, born: date | None, always: bool, asked: bool
) -> None:
    born_on(born)
    Clinic.objects.update(asks_who_answers=always)
    page = client.get(first)
    assert (page.headers.get("Location") == f"{first}who/") is asked
    if asked:
        assert "Who is answering?" in client.get(f"{first}who/").content.decode()
        client.post(f"{first}who/", {"answered_by": "parent"})
        assert "has the person you answer for had" in client.get(first).content.decode()
        client.post(first, {"has_problem": "no"})
        client.post(f"{first}check/")
    else:
        client.post(first, {"has_problem": "no"})
    assert checkin.latest_answer().answered_by == ("parent" if asked else "patient")


def test_the_birth_year_opens_the_pages_of_a_clinic_that_asks_for_it(client: Client, first: str) -> None:
    Clinic.objects.update(asks_birth_year=True)
    for page in ("", "problems/", "check/", "thanks/"):
        text = client.get(f"{first}{page}").content.decode()
        assert "In what year was the patient born?" in text
        assert PHONE in text
    assert "That is not the year we have" in client.post(first, {"birth_year": "1971"}).content.decode()
    assert "four digits" in client.post(first, {"birth_year": "seventy"}).content.decode()
    assert WrongBirthYear.objects.count() == 1
    assert "any new or worse" in client.post(first, {"birth_year": "1970"}, follow=True).content.decode()
    assert "any new or worse" in client.get(first).content.decode()
    assert "In what year" in Client().get(first).content.decode()


def test_without_a_birth_date_no_year_is_asked(client: Client, first: str) -> None:
    Clinic.objects.update(asks_birth_year=True)
    born_on(None)
    assert "any new or worse" in client.get(first).content.decode()


def test_wrong_years_are_limited_for_a_while_and_for_nobody_else(client: Client, first: str, checkin: CheckIn) -> None:
    Clinic.objects.update(asks_birth_year=True)
    for _ in range(5):
        assert client.post(first, {"birth_year": "1971"}).status_code == 200
    limited = client.post(first, {"birth_year": "1970"})
    assert limited.status_code == 429
    assert PHONE in limited.content.decode()
    assert "try again in 15 minutes" in limited.content.decode()
    WrongBirthYear.objects.update(at=timezone.now() - timedelta(minutes=16))
    assert client.post(first, {"birth_year": "1970"}).status_code == 302


def test_one_address_cannot_try_the_years_of_many(client: Client, first: str, checkin: CheckIn) -> None:
    Clinic.objects.update(asks_birth_year=True)
    client.post(first, {"birth_year": "1971"})
    one = WrongBirthYear.objects.get()
    other = Patient.objects.create(clinic=checkin.patient.clinic, mrn="X", created_by=checkin.patient.created_by)
    WrongBirthYear.objects.bulk_create(
        WrongBirthYear(patient=other, address_hash=one.address_hash, at=one.at) for _ in range(29)
    )
    assert client.post(first, {"birth_year": "1970"}).status_code == 429
    assert client.post(first, {"birth_year": "1970"}, REMOTE_ADDR="203.0.113.9").status_code == 302


def test_what_was_sent_when_the_proof_had_run_out_is_carried_along(client: Client, first: str) -> None:
    client.post(first, {"has_problem": "yes"})
    Clinic.objects.update(asks_birth_year=True)
    asked = client.post(f"{first}more/", {"comment": "kept words"}).content.decode()
    assert '<input type="hidden" name="comment" value="kept words">' in asked
    passed = client.post(f"{first}more/", {"comment": "kept words", "birth_year": "1970"}).content.decode()
    assert '<input type="hidden" name="comment" value="kept words">' in passed
    client.post(f"{first}more/", {"comment": "kept words"})
    assert AnswerDraft.objects.get().steps["more"] == {"comment": ["kept words"]}


def test_the_standing_link_is_shown_after_an_answer_and_on_closed_pages(client: Client, first: str) -> None:
    page = client.post(first, {"has_problem": "no"}, follow=True).content.decode()
    link = ReportLink.objects.get().link_path()
    assert f'href="{link}"' in page
    assert f'href="{link}"' in client.get(first).content.decode()
    CheckIn.objects.update(due_at=timezone.now() - timedelta(days=4), closes_at=timezone.now() - timedelta(days=1))
    assert f'href="{link}"' in client.get(first).content.decode()


def test_something_is_reported_between_check_ins(client: Client, report: str, nurse: User, infusion: Infusion) -> None:
    for method in (client.get, client.head):
        assert method(report).status_code == 200
    assert not CheckIn.objects.exists()
    problems = client.post(report, follow=True)
    assert "Which problems" in problems.content.decode()
    client.post(report)
    made = CheckIn.objects.get()
    assert (made.kind, made.infusion, made.state) == (CheckInKind.REPORT, infusion, CheckInState.OPEN)
    link = made.link_path()
    text = client.post(f"{link}problems/", {"symptoms": ["chest_pain"]}).content.decode()
    assert "Do not drive yourself" in text
    assert Alert.objects.get().level == AlertLevel.RED
    for step in ("problem-chest_pain", "care", "day", "more"):
        client.post(f"{link}{step}/", {})
    assert "Your clinic has your answer" in client.post(f"{link}check/", follow=True).content.decode()
    made.refresh_from_db()
    assert made.state == CheckInState.ANSWERED
    client.post(report)
    assert CheckIn.objects.filter(kind=CheckInKind.REPORT).count() == 2


def test_a_report_is_never_mailed_and_expires(client: Client, report: str) -> None:
    client.post(report)
    now = timezone.now() + timedelta(hours=23)
    assert queue_what_is_due(now) == 0
    assert close_what_is_over(now + timedelta(hours=2)) == 1
    assert CheckIn.objects.get().state == CheckInState.EXPIRED
    assert not OutboxMessage.objects.exists()


def test_a_standing_link_opens_its_own_page_alone(client: Client, report: str) -> None:
    assert client.get(report).status_code == 200
    assert client.get(f"{report}problems/").status_code == 404


@pytest.mark.parametrize("change", [{"died_on": date(2026, 5, 1)}, {}])
def test_a_report_that_can_be_about_nothing_leads_to_the_phone(
    client: Client, report: str, infusion: Infusion, change: dict[str, date]
) -> None:
    if change:
        Patient.objects.update(**change)
    else:
        Infusion.objects.update(started_at=timezone.now() + timedelta(days=1), ended_at=None)
    page = client.post(report)
    assert page.status_code == 410
    assert PHONE in page.content.decode()
    assert not CheckIn.objects.exists()
