"""The texts of mails that are rendered once and filled many times say what rendering says."""

import pytest
from django.template import engines
from django.utils import translation

from patients.models import Clinic
from reactions import wording

LINK = "https://ivigtrack.example/c/abc/?a=1&b=2"


@pytest.fixture(autouse=True)
def nothing_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wording, "_kept", {})


def use(monkeypatch: pytest.MonkeyPatch, source: str) -> list[str]:
    """Let every template say this. Returns the links that it was rendered with."""
    rendered_with: list[str] = []

    def render(_: str, context: dict[str, object]) -> str:
        rendered_with.append(str(context["link"]))
        return engines["django"].from_string(source).render(context)

    monkeypatch.setattr(wording, "render_to_string", render)
    return rendered_with


def test_it_is_rendered_once_and_filled_with_each_link_and_day(monkeypatch: pytest.MonkeyPatch) -> None:
    rendered_with = use(monkeypatch, '<a href="{{ link }}">{{ link }}</a> until {{ closes_at }}')
    for number in range(5):
        link = f"{LINK}{number}"
        text = wording.text_of("a.html", {"link": link, "closes_at": f"June {number}, 10:00"})
        escaped = link.replace("&", "&amp;")
        assert text == f'<a href="{escaped}">{escaped}</a> until June {number}, 10:00'
    assert len(rendered_with) == 2


def test_a_template_that_does_more_than_print_a_gap_is_rendered_every_time(monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, "{{ link|slice:':9' }} {{ closes_at|upper }}")
    for day in ("Monday", "Tuesday"):
        assert wording.text_of("a.txt", {"link": LINK, "closes_at": day}) == f"https://i {day.upper()}"


def test_an_edit_of_the_clinic_reaches_the_next_mail(monkeypatch: pytest.MonkeyPatch, clinic: Clinic) -> None:
    use(monkeypatch, "{{ clinic.phone }} {{ link }}")
    for phone in ("+1 555 0100", "+1 555 0199"):
        clinic.phone = phone
        assert wording.text_of("a.txt", {"link": "x", "clinic": clinic}) == f"{phone} x"


def test_each_language_has_its_own_text(monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, "{% load i18n %}{% get_current_language as code %}{{ code }} {{ link }}")
    for code in ("en", "es", "en"):
        with translation.override(code):
            assert wording.text_of("a.txt", {"link": "x"}) == f"{code} x"
