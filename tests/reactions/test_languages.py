"""Each language of the patients is whole: no text of theirs is left in English, or half translated."""

import re
from pathlib import Path

import polib
import pytest
from django.conf import settings
from django.utils import translation

from ivigtrack.languages import compiled, sources
from reactions.clinical.questions import GROUPS
from reactions.models.checkin import CARE_SOUGHT
from reactions.vocabulary import LABELS, PatientSeverity, PatientSymptom
from tests.support import translatable

ROOT = Path(settings.BASE_DIR)
LOCALE = ROOT / "ivigtrack" / "locale"
OTHERS = sorted(sources(LOCALE))


def texts_of_patients() -> set[str]:
    """Every text that a patient can read, in English."""
    folder = ROOT / "templates"
    mails = [*(folder / "emails").glob("checkin_*"), *(folder / "emails").glob("to_patient*")]
    templates = [folder / "base_patient.html", *(folder / "checkins").glob("*.html"), *mails]
    modules = [ROOT / "reactions" / "forms" / "checkin.py", ROOT / "reactions" / "words.py"]
    texts = {text for path in templates for text in translatable.of_template(path.read_text())}
    texts |= {text for path in modules for text in translatable.of_module(path.read_text())}
    texts |= {LABELS[PatientSymptom][word] for word in PatientSymptom} | {group.heading for group in GROUPS}
    texts |= {LABELS[PatientSeverity][word] for word in PatientSeverity if word != PatientSeverity.NOT_SAID}
    return texts | {label for _value, label in CARE_SOUGHT}


def test_texts_are_found_in_templates_and_modules() -> None:
    source = """{% translate "One" as x %}{% blocktranslate with a=b|c:"d" %}Two {{ a }}, 5 %{% endblocktranslate %}"""
    assert translatable.of_template(source) == {"One", "Two %(a)s, 5 %%"}
    assert translatable.of_module("x = [_('Three'), gettext('Four'), other('Five'), _(six)]") == {"Three", "Four"}
    assert len(texts_of_patients()) > 100


@pytest.mark.parametrize("language", OTHERS)
def test_every_text_of_the_patients_is_translated(language: str) -> None:
    entries = {entry.msgid: entry for entry in polib.pofile(str(sources(LOCALE)[language]))}
    lacking = sorted(
        text
        for text in texts_of_patients()
        if text not in entries or not entries[text].msgstr or entries[text].fuzzy or entries[text].obsolete
    )
    assert not lacking, "\n".join(lacking)


@pytest.mark.parametrize("language", OTHERS)
def test_a_translation_keeps_the_numbers_and_links_of_its_text(language: str) -> None:
    inside = re.compile(r"%\(\w+\)s|</?\w+[^>]*>")
    for entry in polib.pofile(str(sources(LOCALE)[language])):
        if not entry.obsolete and entry.msgstr:
            assert sorted(inside.findall(entry.msgid)) == sorted(inside.findall(entry.msgstr)), entry.msgid


def test_a_further_language_is_a_file(tmp_path: Path) -> None:
    path = tmp_path / "locale" / "fr" / "LC_MESSAGES" / "django.po"
    path.parent.mkdir(parents=True)
    path.write_text('msgid ""\nmsgstr "Content-Type: text/plain; charset=UTF-8\\n"\n\nmsgid "Yes"\nmsgstr "Oui"\n')
    assert list(sources(tmp_path / "locale")) == ["fr"]
    folder = compiled(tmp_path / "locale", tmp_path / "var")
    made = folder / "fr" / "LC_MESSAGES" / "django.mo"
    assert [(entry.msgid, entry.msgstr) for entry in polib.mofile(str(made))] == [("Yes", "Oui")]
    assert compiled(tmp_path / "locale", tmp_path / "var") == folder
    path.write_text(path.read_text().replace("Oui", "Ouais"))
    changed = compiled(tmp_path / "locale", tmp_path / "var")
    assert changed != folder
    assert polib.mofile(str(changed / "fr" / "LC_MESSAGES" / "django.mo"))[0].msgstr == "Ouais"


def test_what_is_compiled_is_what_django_reads() -> None:
    with translation.override("es"):
        assert translation.gettext("Headache") == "Dolor de cabeza"
