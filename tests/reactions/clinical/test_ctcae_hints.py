"""What a grade means, in a line."""

import csv
import re
from itertools import product

import pytest

from reactions.clinical.ctcae import (
    OTHER,
    TABLE,
    TERMS,
    V5,
    V6,
    VERSIONS,
    UndefinedGrade,
    grades,
    hint,
    hints,
    note,
    remarks,
)

EVERY_TERM = list(product(TERMS, VERSIONS))
INSTRUMENTAL = "shopping, meals, phone or money"
SELF_CARE = "washing, dressing, eating or toilet"


@pytest.mark.parametrize(("term", "version"), EVERY_TERM)
def test_every_grade_that_exists_has_a_hint_and_no_other(term: str, version: str) -> None:
    assert tuple(hints(term, version)) == grades(term, version)
    for grade in range(7):
        if grade in grades(term, version):
            text = hint(term, grade, version)
            assert text == text.strip()
            assert 5 <= len(text) <= 110
            assert not text.endswith((".", ";"))
        else:
            with pytest.raises(UndefinedGrade):
                hint(term, grade, version)


@pytest.mark.parametrize(("term", "version"), EVERY_TERM)
def test_the_grades_of_a_term_are_told_apart(term: str, version: str) -> None:
    texts = list(hints(term, version).values())
    assert len(set(texts)) == len(texts)


@pytest.mark.parametrize(("term", "version"), EVERY_TERM)
def test_activities_limit_in_the_same_words_and_at_the_same_grades(term: str, version: str) -> None:
    for grade, text in hints(term, version).items():
        if re.search(r"\blimits? (?!of normal)", text, re.IGNORECASE):
            assert {2: INSTRUMENTAL, 3: SELF_CARE}[grade] in text
        else:
            assert not re.search("shopping|toilet", text)


@pytest.mark.parametrize(
    ("term", "version", "grade", "facts"),
    [
        ("infusion_related_reaction", V5, 2, ["up to 24 h", "quick response"]),
        ("infusion_related_reaction", V6, 3, ["returns", "hospital"]),
        ("allergic_reaction", V5, 2, ["by mouth"]),
        ("allergic_reaction", V6, 3, ["Bronchospasm", "IV treatment", "hospital"]),
        ("anaphylaxis", V5, 3, ["Bronchospasm", "parenteral", "swelling", "hypotension"]),
        ("cytokine_release_syndrome", V5, 2, ["less than 40 % oxygen"]),
        ("cytokine_release_syndrome", V5, 3, ["one vasopressor", "40 % oxygen or more"]),
        ("cytokine_release_syndrome", V6, 2, ["low-flow nasal cannula"]),
        ("headache", V5, 2, [INSTRUMENTAL]),
        ("headache", V6, 3, [SELF_CARE]),
        ("chills", V5, 2, ["whole body", "opioid"]),
        ("fever", V5, 1, ["38.0 to 39.0 °C"]),
        ("fever", V5, 2, ["Above 39.0 to 40.0 °C"]),
        ("fever", V5, 3, ["Above 40.0 °C", "up to 24 h"]),
        ("fever", V6, 4, ["Above 40.0 °C", "more than 24 h"]),
        ("urticaria", V5, 1, ["less than 10 %", "topical"]),
        ("urticaria", V5, 2, ["10 to 30 %", "by mouth"]),
        ("urticaria", V5, 3, ["more than 30 %", "IV"]),
        ("pruritus", V6, 3, ["sleep", SELF_CARE, "steroid", "immunosuppressant"]),
        ("flushing", V5, 1, ["No symptoms"]),
        ("flushing", V6, 1, ["Mild symptoms"]),
        ("nausea", V6, 2, ["IV treatment"]),
        ("diarrhea", V5, 1, ["Fewer than 4"]),
        ("diarrhea", V5, 2, ["4 to 6", INSTRUMENTAL]),
        ("diarrhea", V5, 3, ["≥ 7", "hospital", SELF_CARE]),
        ("diarrhea", V6, 3, ["≥ 7", "IV treatment"]),
        ("hypotension", V5, 2, ["Non-urgent"]),
        ("hypotension", V6, 3, ["Medical treatment", "hospital"]),
        ("hypertension", V5, 1, ["120–139", "80–89"]),
        ("hypertension", V5, 2, ["140–159", "90–99", "≥ 24 h", "> 140/90", "> 20 diastolic", "1 drug"]),
        ("hypertension", V5, 3, ["≥ 160", "≥ 100", "more than one drug"]),
        ("hypertension", V6, 2, ["140–159", "90–99"]),
        ("hypertension", V6, 3, ["160–179", "100–109", "1 h", "> 140", "> 20 systolic", "> 15 mean"]),
        ("hypertension", V6, 4, ["≥ 180", "≥ 110", "1 h"]),
        ("dyspnea", V5, 2, ["minimal exertion"]),
        ("hypoxia", V5, 2, ["exertion", "below 88 %"]),
        ("hypoxia", V5, 3, ["at rest", "below 88 %", "55 mmHg or less"]),
        ("hypoxia", V6, 1, ["below the lower limit of normal"]),
        ("hypoxia", V6, 3, ["55 mmHg or less", "oxygen all the time"]),
        ("syncope", V5, 3, ["Fainted"]),
        ("phlebitis", V6, 2, ["the only grade"]),
        ("thromboembolic_event", V5, 3, ["Urgent", "pulmonary embolism"]),
        ("venous_thromboembolism", V6, 1, ["No medical treatment", "superficial"]),
        ("arterial_thromboembolism", V5, 4, ["limb lost"]),
        ("myocardial_infarction", V6, 3, ["99th percentile"]),
        ("hemolysis", V5, 2, ["2 g/dL or more"]),
        ("hemolysis", V6, 3, ["Transfusion"]),
        ("hemolytic_anemia", V6, 1, ["less than 10 %"]),
        ("hemolytic_anemia", V6, 2, ["Up to 2 units"]),
        ("hemolytic_anemia", V6, 3, ["More than 2 units"]),
        ("acute_kidney_injury", V5, 4, ["dialysis"]),
        ("aseptic_meningitis", V6, 3, ["Steroid", "seizure"]),
        ("rash_maculo_papular", V5, 1, ["Less than 10 %"]),
        ("rash_maculo_papular", V5, 2, ["10 to 30 %", "more than 30 % with no or mild symptoms"]),
        ("rash_maculo_papular", V6, 3, ["More than 50 %"]),
        ("neutrophil_count_decreased", V5, 1, ["lower limit of normal to 1500/mm³"]),
        ("neutrophil_count_decreased", V5, 3, ["Below 1000 to 500/mm³"]),
        ("neutrophil_count_decreased", V5, 4, ["Below 500/mm³", "0.5 × 10⁹/L"]),
        ("neutrophil_count_decreased", V6, 1, ["Below 1500 to 1000/mm³", "1.5 to 1.0"]),
        ("neutrophil_count_decreased", V6, 3, ["Below 500 to 100/mm³"]),
        ("neutrophil_count_decreased", V6, 4, ["Below 100/mm³", "0.1 × 10⁹/L"]),
        ("creatinine_increased", V5, 1, ["to 1.5 × ULN"]),
        ("creatinine_increased", V5, 2, ["1.5 to 3.0 × baseline", "1.5 to 3.0 × ULN"]),
        ("creatinine_increased", V6, 3, ["3.0 to 6.0 × ULN", "3.0 × a baseline below normal"]),
        ("creatinine_increased", V6, 4, ["Above 6.0 × ULN"]),
        ("anemia", V5, 1, ["to 10.0 g/dL", "100 g/L", "6.2 mmol/L"]),
        ("anemia", V5, 2, ["Hemoglobin below 10.0 to 8.0 g/dL", "4.9 mmol/L"]),
        ("anemia", V6, 3, ["below 8.0 g/dL", "transfusion"]),
        ("hyponatremia", V5, 3, ["125–129 mmol/L with symptoms", "120–124"]),
        ("hyponatremia", V6, 2, ["125 to below 130"]),
        ("proteinuria", V5, 2, ["1.0 to below 3.5 g", "0.5 to 1.9"]),
        ("blurred_vision", V5, 3, ["worse than 20/40", "20/200"]),
        (OTHER, V5, 2, ["minimal, local or noninvasive", INSTRUMENTAL]),
        (OTHER, V6, 3, ["hospital", "disabling", SELF_CARE]),
    ],
)
def test_thresholds_are_those_of_ctcae(term: str, version: str, grade: int, facts: list[str]) -> None:
    text = hint(term, grade, version)
    assert [fact for fact in facts if fact not in text] == []


def test_urticaria_in_6_is_graded_by_treatment_alone() -> None:
    assert not any("%" in text for text in hints("urticaria", V6).values())


def test_what_both_versions_share_reads_the_same() -> None:
    assert hints("headache", V5) == hints("headache", V6)
    assert hints("fever", V5) == hints("fever", V6)
    assert hint("nausea", 3, V5) == hint("nausea", 3, V6)


def test_changing_what_was_handed_out_changes_no_hint() -> None:
    hints("headache", V5).clear()
    assert grades("headache", V5) == (1, 2, 3)


@pytest.mark.parametrize(
    ("term", "version", "said"),
    [
        ("infusion_related_reaction", V5, "Do not record “Allergic reaction” for the same event"),
        ("infusion_related_reaction", V6, "Never both"),
        ("allergic_reaction", V5, "use “Infusion related reaction” instead. Never both"),
        ("anaphylaxis", V6, "consider “Infusion related reaction” instead. Never both"),
        ("chills", V6, "Infusion related reaction"),
        ("cytokine_release_syndrome", V6, "“Headache”"),
        ("hypertension", V5, "95th percentile"),
        ("meningitis", V6, "Aseptic meningitis"),
        ("transient_ischemic_attacks", V5, "more than 24 h"),
        ("venous_thromboembolism", V6, "Vascular access complication"),
        ("hemoglobinuria", V5, "Above grade 1"),
    ],
)
def test_a_note_says_what_else_to_think_of(term: str, version: str, said: str) -> None:
    assert said in note(term, version)


def test_a_note_belongs_to_its_version() -> None:
    assert note("anaphylaxis", V5) == note("headache", V5) == note("wheezing", V6) == ""


def test_notes_are_short_sentences_that_name_terms_by_their_labels() -> None:
    labels = {term.label for term in TERMS.values()}
    for term, version in EVERY_TERM:
        text = note(term, version)
        assert len(text) <= 340
        assert not text or text.endswith(".")
        for piece in text.split("“")[1:]:
            assert piece.split("”")[0] in labels


def test_children_are_spoken_of_in_6_alone() -> None:
    assert remarks(V6)[:-1] == remarks(V5)
    assert "Children" in remarks(V6)[-1]


def test_an_unknown_version_has_no_hints_notes_or_remarks() -> None:
    for ask in (lambda: hints("chills", "4.03"), lambda: note("chills", "4.03"), lambda: remarks("4.03")):
        with pytest.raises(ValueError, match=r"4\.03"):
            ask()


def test_the_table_gives_each_term_and_version_once_and_repeats_nothing_in_full() -> None:
    with TABLE.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    given = [(row["code"], version) for row in rows for version in row["versions"].split()]
    assert len(set(given)) == len(given)
    assert {version for _, version in given} == set(VERSIONS)
    for row in rows:
        term = TERMS[row["code"]]
        assert (row["label"], row["system"]) == (term.label, term.system)
        if row["versions"] == V6:
            for grade in range(1, 6):
                assert not row[f"grade_{grade}"] or row[f"grade_{grade}"] != term.hints[V5].get(grade)
