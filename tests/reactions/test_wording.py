"""The texts of mails that are rendered once and filled many times say what rendering says."""

from typing import Any

import pytest
from django.template import engines

from patients.models import Clinic
from reactions import wording

LINK = "https://ivigtrack.example/c/abc/?a=1&b=2"
CALLS_A_TEXT = 3


@pytest.fixture(autouse=True)
def nothing_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wording, "_kept", {})


def use(monkeypatch: pytest.MonkeyPatch, source: str) -> list[str]:
    """Let every template say this; HTML escapes. Returns the names of the templates that were rendered."""
    rendered: list[str] = []

    def render(name: str, context: dict[str, Any]) -> str:
        rendered.append(name)
        escaped = source if name.endswith(".html") else f"{{% autoescape off %}}{source}{{% endautoescape %}}"
        return engines["django"].from_string(escaped).render(context)

    monkeypatch.setattr(wording, "render_to_string", render)
    return rendered


def test_it_is_rendered_once_and_filled_with_each_link_and_day(monkeypatch: pytest.MonkeyPatch) -> None:
    rendered = use(monkeypatch, "{{ link }} until {{ closes_at }}")
    for number in range(5):
        link = f"{LINK}{number}"
        texts = wording.texts_of("a", "en", {}, {"link": link, "closes_at": f"June {number}, 10:00"})
        assert texts.subject == texts.plain == f"{link} until June {number}, 10:00"
        assert texts.html == f"{link.replace('&', '&amp;')} until June {number}, 10:00"
    assert len(rendered) == 2 * CALLS_A_TEXT


def test_a_template_that_does_more_than_print_a_gap_is_rendered_every_time(monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, "{{ link|slice:':9' }} {{ closes_at|upper }}")
    for day in ("Monday", "Tuesday"):
        assert wording.texts_of("a", "en", {}, {"link": LINK, "closes_at": day}).plain == f"https://i {day.upper()}"


def test_an_empty_text_is_not_a_gap(monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, "{% if report_link %}Report at {{ report_link }}{% else %}Call us{% endif %}")
    said = [wording.texts_of("a", "en", {}, {"report_link": link}).plain for link in ("", LINK, "", LINK)]
    assert said == ["Call us", f"Report at {LINK}", "Call us", f"Report at {LINK}"]


def test_an_edit_of_the_clinic_reaches_the_next_mail(monkeypatch: pytest.MonkeyPatch, clinic: Clinic) -> None:
    use(monkeypatch, "{{ clinic.phone }} {{ link }}")
    for phone in ("+1 555 0100", "+1 555 0199"):
        clinic.phone = phone
        assert wording.texts_of("a", "en", {"clinic": clinic}, {"link": "x"}).plain == f"{phone} x"


def test_each_language_has_its_own_text(monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, "{% load i18n %}{% get_current_language as code %}{{ code }} {{ link }}")
    for code in ("en", "es", "en"):
        assert wording.texts_of("a", code, {}, {"link": "x"}).plain == f"{code} x"
