"""A patient at home: on a phone without scripts, at 400 % zoom, with the keyboard alone, in English and in Spanish."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta

import pytest
from django.utils import timezone
from playwright.sync_api import Browser, Page, expect
from pytest_django.live_server_helper import LiveServer

from patients.models import Patient
from reactions.forms.checkin import PARENT
from reactions.models import AnswerDraft, CheckIn, Infusion, ReportLink
from reactions.recording import begin_report
from reactions.vocabulary import CheckInKind
from tests.journeys.eyes import look_at
from tests.support.factories import make_checkins

pytestmark = pytest.mark.django_db(transaction=True)


@dataclass(frozen=True)
class Words:
    """What one reader sees and taps."""

    language: str
    yes: str
    no: str
    then: str
    back: str
    send: str
    headache: str
    chest_pain: str
    severe: str
    still: str
    began: str
    called: str
    no_work: str
    anything: str
    thanks: str
    call_now: str
    go_on: str
    change: str
    report: str
    begin: str
    show_all: str
    dark_urine: str
    skin: str


ENGLISH = Words(
    *("en", "Yes", "No, nothing new or worse", "Next", "Back", "Send", "Headache", "Chest pain", "Severe"),
    *("Yes", "When did it begin?", "Called the clinic or a doctor", "Could not work", "Anything else we should know?"),
    *("Thank you. Your clinic has your answer.", "Call 911 now", "Go on with the questions", "Change my answer"),
    *("Report something now", "Begin", "My problem is not here: show all", "Dark urine, like cola", "Skin and mouth"),
)
SPANISH = Words(
    *("es", "Sí", "No, nada nuevo ni peor", "Siguiente", "Atrás", "Enviar", "Dolor de cabeza", "Dolor en el pecho"),
    *(
        "Fuerte",
        "Sí",
        "¿Cuándo empezó?",
        "Llamar a la clínica",
        "No poder ir al trabajo",
        "¿Algo más que debamos saber?",
    ),
    *("Gracias. Su clínica tiene su respuesta.", "Llame al 911 ahora", "Seguir con las preguntas"),
    *("Cambiar mi respuesta", "Contar algo ahora", "Empezar", "Mi problema no está: ver todos"),
    *("Orina oscura, como refresco de cola", "Piel y boca"),
)


@pytest.fixture(params=[390, 320], ids=["phone", "zoom-400"])
def phone(request: pytest.FixtureRequest, browser: Browser, live_server: LiveServer) -> Iterator[Page]:
    """A browser without scripts; 320 px wide is what a window of 1280 px has left at 400 % zoom."""
    size = {"width": request.param, "height": 844 if request.param == 390 else 256}
    context = browser.new_context(
        base_url=live_server.url, java_script_enabled=False, viewport=size, timezone_id="America/New_York"
    )
    yield context.new_page()
    context.close()


@pytest.fixture
def checkin(infusion: Infusion, no_broker: None) -> CheckIn:
    make_checkins(infusion)
    return infusion.checkins.get(kind=CheckInKind.HOURS_24)


def fits(page: Page) -> None:
    """Nothing is to be scrolled sideways; a browser without scripts still measures its own boxes."""
    size = page.viewport_size
    assert size
    for element in page.locator("body *:visible").all():
        box = element.bounding_box()
        if box and box["width"] > 1:
            assert box["x"] >= -0.5, element.inner_text()
            assert box["x"] + box["width"] <= size["width"] + 0.5, element.inner_text()


@pytest.mark.parametrize("words", [ENGLISH, SPANISH], ids=["english", "spanish"])
def test_a_patient_answers_on_a_phone_without_scripts(
    phone: Page, checkin: CheckIn, patient: Patient, words: Words
) -> None:
    Patient.objects.filter(pk=patient.pk).update(language=words.language)
    phone.goto(checkin.link_path())
    assert phone.locator("html").get_attribute("lang") == words.language
    fits(phone)
    phone.get_by_label(words.yes, exact=True).check()
    tap(phone, words.then)
    phone.get_by_label(words.headache, exact=True).check()
    phone.get_by_label(words.chest_pain).check()
    tap(phone, words.then)
    expect(phone.get_by_role("heading", name=words.call_now)).to_be_visible()
    fits(phone)
    phone.get_by_role("link", name=words.go_on).click()
    tap(phone, words.then)
    expect(phone.get_by_role("heading", name=words.headache)).to_be_visible()
    phone.get_by_label(re.compile(words.severe)).check()
    tap(phone, words.back)
    tap(phone, words.then)
    expect(phone.get_by_role("heading", name=words.headache)).not_to_be_visible()
    phone.get_by_label(re.compile(words.called)).check()
    tap(phone, words.then)
    phone.get_by_label(re.compile(words.no_work)).check()
    tap(phone, words.then)
    phone.get_by_label(words.anything).fill("It woke me up.")
    tap(phone, words.then)
    expect(phone.get_by_text("It woke me up.")).to_be_visible()
    fits(phone)
    tap(phone, words.send)
    expect(phone.get_by_role("heading", name=words.thanks)).to_be_visible()
    sent = checkin.latest_answer()
    assert dict(sent.symptoms.values_list("symptom", "severity")) == {"headache": "severe", "chest_pain": "not_said"}
    assert (sent.language, sent.could_not_work, sent.care_sought) == (words.language, True, "called")
    phone.get_by_role("link", name=words.report).click()
    phone.get_by_role("button", name=words.begin).click()
    fits(phone)
    phone.get_by_label(words.headache, exact=True).check()
    tap(phone, words.then)
    assert CheckIn.objects.filter(kind=CheckInKind.REPORT).count() == 1


@pytest.mark.parametrize("words", [ENGLISH, SPANISH], ids=["english", "spanish"])
def test_a_patient_whose_problem_is_not_listed_sees_all_and_loses_no_tick(
    phone: Page, checkin: CheckIn, patient: Patient, words: Words
) -> None:
    Patient.objects.filter(pk=patient.pk).update(language=words.language)
    CheckIn.objects.filter(pk=checkin.pk).update(question_set="month")
    phone.goto(checkin.link_path())
    phone.get_by_label(words.yes, exact=True).check()
    tap(phone, words.then)
    skin = phone.get_by_role("group", name=words.skin)
    expect(skin.get_by_role("checkbox")).to_have_count(6)
    skin.get_by_role("checkbox").nth(2).check()
    expect(phone.get_by_label(words.dark_urine)).to_have_count(0)
    tap(phone, words.show_all)
    expect(phone).to_have_url(re.compile("/problems/#listed$"))
    expect(phone.get_by_role("button", name=words.show_all)).to_have_count(0)
    expect(skin.get_by_role("checkbox").nth(2)).to_be_checked()
    phone.get_by_label(words.dark_urine).check()
    for _ in range(2):
        tap(phone, words.then)
        phone.locator("[name=severity]").first.check()
    for _ in range(4):
        tap(phone, words.then)
    tap(phone, words.send)
    expect(phone.get_by_role("heading", name=words.thanks)).to_be_visible()
    sent = checkin.latest_answer()
    assert set(sent.symptoms.values_list("symptom", flat=True)) == {"itch", "dark_urine"}
    assert (sent.question_set, sent.full_list) == ("month-1", True)


def tap(page: Page, name: str) -> None:
    fits(page)
    page.get_by_role("button", name=name, exact=True).click()


def test_a_patient_answers_with_the_keyboard_alone(phone: Page, checkin: CheckIn) -> None:
    phone.goto(checkin.link_path())
    reach(phone, "id_has_problem_0")
    phone.keyboard.press("Space")
    phone.keyboard.press("Enter")
    expect(phone.get_by_role("heading", name=ENGLISH.thanks)).to_be_visible()
    phone.goto(f"{checkin.link_path()}?again")
    reach(phone, "id_has_problem_0")
    phone.keyboard.press("ArrowDown")
    phone.keyboard.press("Enter")
    expect(phone).to_have_url(re.compile("/problems/$"))
    reach(phone, phone.get_by_label("Itching").get_attribute("id"))
    phone.keyboard.press("Space")
    phone.keyboard.press("Enter")
    expect(phone).to_have_url(re.compile("/problem-"))
    reach(phone, "id_severity_0")
    phone.keyboard.press("Space")
    for then in ("care", "day", "more"):
        phone.keyboard.press("Enter")
        expect(phone).to_have_url(re.compile(f"/{then}/$"))
        reach(phone, None)
    phone.keyboard.type("By keyboard")
    reach(phone, None, button=True)
    phone.keyboard.press("Enter")
    expect(phone.get_by_text("By keyboard")).to_be_visible()
    reach(phone, None, button=True)
    phone.keyboard.press("Enter")
    expect(phone.get_by_role("heading", name=ENGLISH.thanks)).to_be_visible()
    assert checkin.latest_answer().comment == "By keyboard"


def reach(page: Page, field: str | None, *, button: bool = False) -> None:
    """Press Tab until the focus is on the field; without one, on the first field or button of the page."""
    wanted = f"#{field}" if field else ("main button" if button else "main input:not([type=hidden]), main textarea")
    for _ in range(60):
        if page.locator(f":is({wanted}):focus").count():
            return
        page.keyboard.press("Tab")
    raise AssertionError(f"the keyboard does not reach {wanted}")


@pytest.mark.parametrize("language", ["en", "es"])
def test_every_page_is_fit_to_be_seen(
    browser: Browser, live_server: LiveServer, checkin: CheckIn, language: str
) -> None:
    """Pictures of every page at three widths, light and dark, and the rules of WCAG, for which a script looks."""
    patient = checkin.patient
    Patient.objects.filter(pk=patient.pk).update(language=language)
    type(patient.clinic).objects.update(asks_who_answers=True)
    context = browser.new_context(base_url=live_server.url, timezone_id="America/New_York", reduced_motion="reduce")
    page = context.new_page()
    page.set_viewport_size({"width": 390, "height": 844})
    first = checkin.link_path()
    report = begin_report(patient, now=timezone.now())
    assert report

    def press() -> None:
        page.locator("main form button").first.click()

    def see(name: str) -> None:
        look_at(page, f"patient-{language}-{name}")

    page.goto(first)
    press()
    see("who-error")
    page.locator("#id_answered_by_1").check()
    press()
    see("first")
    press()
    see("first-error")
    page.locator("#id_has_problem_1").check()
    press()
    see("problems")
    page.locator("[name=show_all]").click()
    see("problems-all")
    CheckIn.objects.filter(pk=checkin.pk).update(question_set="evening")
    AnswerDraft.objects.update(steps={"who": {"answered_by": [PARENT]}, "first": {"has_problem": ["yes"]}})
    page.reload()
    see("problems-evening")
    CheckIn.objects.filter(pk=checkin.pk).update(question_set="first_days")
    page.reload()
    page.locator("[name=symptoms]").first.check()
    page.locator("[name=symptoms][value=headache]").check()
    press()
    see("emergency")
    page.locator("main a.button").click()
    see("problem-emergency")
    press()
    page.locator("#id_began_at").fill("2020-01-01T10:00")
    press()
    see("problem-error")
    page.locator("#id_began_at").fill("")
    page.locator("[name=severity]").nth(2).check()
    for name in ("care", "day", "more", "check"):
        press()
        see(name)
    press()
    see("thanks")
    page.goto(first)
    see("answered")
    page.goto(ReportLink.of(patient).link_path())
    see("report")
    type(patient.clinic).objects.update(asks_birth_year=True)
    page.goto(report.link_path())
    see("birth-year")
    for _ in range(6):
        page.locator("#id_birth_year").fill("1901")
        press()
        if page.locator("#id_birth_year").count() == 0:
            break
        if page.locator(".error").count() and _ == 0:
            see("birth-year-error")
    see("too-many-years")
    type(patient.clinic).objects.update(asks_birth_year=False)
    over = timezone.now() - timedelta(days=1)
    CheckIn.objects.filter(pk=checkin.pk).update(due_at=over - timedelta(days=2), closes_at=over)
    page.goto(first)
    see("closed")
    context.close()
