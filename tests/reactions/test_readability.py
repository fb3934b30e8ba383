"""The patient's pages are in words of the 6th grade or lower, and in short sentences, in English and in Spanish."""

import re
from pathlib import Path

import polib
import pytest
from django.conf import settings

from reactions.clinical.questions import GROUPS
from reactions.models.checkin import CARE_SOUGHT
from reactions.vocabulary import LABELS, PatientSeverity, PatientSymptom
from tests.support import translatable
from tests.support.readability import counted, in_english, in_spanish

ROOT = Path(settings.BASE_DIR)
PAGES = [*sorted((ROOT / "templates" / "checkins").glob("*.html")), ROOT / "templates" / "base_patient.html"]
SPANISH = polib.pofile(str(ROOT / "ivigtrack" / "locale" / "es" / "LC_MESSAGES" / "django.po"))
# English: the reading level that is advised for patients. Spanish: “easy” begins at 70 for whole pages of prose; labels
# of symptoms are all nouns. Both limits are this project's own.
GRADE_AT_MOST, WORDS_AT_MOST, EASE_AT_LEAST, SHORT = 6, 15, 65, 15
FILLED_IN = {"day": "May 3", "number": "911", "phone": "1", "dial": "1", "grace_hours": "2"}


def plain(text: str) -> str:
    """As a reader meets it: with the values, without tags."""
    return re.sub(r"<[^>]+>", "", re.sub(r"%\((\w+)\)s", lambda found: FILLED_IN[found[1]], text))


def texts() -> dict[str, set[str]]:
    """{where: what is read there}."""
    found = {path.name: translatable.of_template(path.read_text()) for path in PAGES}
    found["forms"] = translatable.of_module((ROOT / "reactions" / "forms" / "checkin.py").read_text())
    found["symptoms"] = {LABELS[PatientSymptom][word] for word in PatientSymptom}
    found["groups"] = {group.heading for group in GROUPS}
    found["how bad"] = {LABELS[PatientSeverity][word] for word in PatientSeverity}
    found["care"] = {label for _value, label in CARE_SOUGHT}
    # A measure of words and sentences says nothing of two buttons: what is short is measured together.
    short = {where for where, said in found.items() if len(" ".join(said).split()) < SHORT}
    together = {text for where in short for text in found[where]}
    return {where: said for where, said in found.items() if where not in short} | {"short texts": together}


@pytest.mark.parametrize("where", sorted(texts()))
def test_english_is_of_the_sixth_grade_at_most(where: str) -> None:
    read = counted(map(plain, texts()[where]), "en")
    assert read.grade <= GRADE_AT_MOST, f"grade {read.grade:.1f}"
    assert read.words_a_sentence <= WORDS_AT_MOST


@pytest.mark.parametrize("where", sorted(texts()))
def test_spanish_is_easy(where: str) -> None:
    translated = {entry.msgid: entry.msgstr for entry in SPANISH}
    read = counted((plain(translated[text]) for text in texts()[where] if text in translated), "es")
    assert read.ease >= EASE_AT_LEAST, f"ease {read.ease:.0f}"
    assert read.words_a_sentence <= WORDS_AT_MOST


def test_no_sentence_is_long() -> None:
    for said in texts().values():
        for text in said:
            for sentence in re.split(r"(?<=[.!?:])\s", plain(text)):
                assert len(sentence.split()) <= 20, sentence


@pytest.mark.parametrize(
    ("word", "syllables"),
    [
        *[("make", 1), ("marked", 1), ("headache", 2), ("clinic", 2), ("emergency", 4), ("little", 2), ("need", 1)],
        *[("started", 2), ("changes", 2), ("breathing", 2), ("infusion", 3), ("things", 1), ("symptoms", 2)],
    ],
)
def test_syllables_of_english_words(word: str, syllables: int) -> None:
    assert in_english(word) == syllables


@pytest.mark.parametrize(
    ("word", "syllables"),
    [
        *[("día", 2), ("clínica", 3), ("cuando", 2), ("infusión", 3), ("peor", 2), ("ciudad", 2), ("que", 1)],
        *[("respuesta", 3), ("oído", 3), ("hoy", 1), ("enfermera", 4), ("pingüino", 3), ("aire", 2), ("guía", 2)],
    ],
)
def test_syllables_of_spanish_words(word: str, syllables: int) -> None:
    assert in_spanish(word) == syllables


def test_known_grades() -> None:
    """Worked by hand from the formulas."""
    read = counted(["The cat sat on the mat."], "en")
    assert (read.sentences, read.words, read.syllables) == (1, 6, 6)
    assert read.grade == pytest.approx(0.39 * 6 + 11.8 - 15.59)
    hard = counted(
        ["Notwithstanding pharmacological considerations, hypersensitivity necessitates discontinuation."], "en"
    )
    assert hard.grade > 20
    assert counted(["El gato come."], "es").ease == pytest.approx(206.84 - 60 * 5 / 3 - 1.02 * 3)
    with pytest.raises(ValueError, match="nothing to read"):
        counted(["911"], "en")
