"""What the cells of an infusion log mean: numbers as the columns hold them, and words that leave nothing to guess."""

from decimal import Decimal
from pathlib import Path

import pytest
from django.db.models import Field

from patients.models import IgaResult
from reactions.clinical.ctcae import AMBIGUOUS, TERMS, V5, find_term
from reactions.exchange import log_cells, log_drugs
from reactions.exchange.log_cells import BadCell, DrugCell
from reactions.exchange.log_drugs import premedication_of
from reactions.models import Infusion, Premedication, Symptom, Vial
from reactions.vocabulary import DRUG_SYNONYMS, DRUGS


def step(field: Field) -> Decimal:
    return Decimal(1).scaleb(-field.decimal_places)


def below(field: Field) -> Decimal:
    return Decimal(10) ** (field.max_digits - field.decimal_places)


def test_the_limits_are_those_of_the_columns() -> None:
    grams, dose, weight = (
        model._meta.get_field(name) for model, name in [(Vial, "grams"), (Infusion, "dose_g"), (Infusion, "weight_kg")]
    )
    assert step(grams) == step(dose) == log_cells.GRAMS_STEP
    assert min(below(grams), below(dose)) > log_cells.POSSIBLE_DOSE_G
    assert step(weight) == log_cells.WEIGHT_STEP
    for name in ("value", "lab_low", "lab_high"):
        field = IgaResult._meta.get_field(name)
        assert (step(field), below(field)) == (log_cells.IGA_STEP, log_cells.IGA_BELOW)
    lengths = [(Vial, "lot"), (Premedication, "dose"), (Premedication, "other_drug"), (Symptom, "other_text")]
    assert [model._meta.get_field(name).max_length for model, name in lengths] == [
        log_cells.LONGEST_LOT,
        log_drugs.LONGEST_DOSE,
        log_drugs.LONGEST_DRUG,
        log_cells.LONGEST_SYMPTOM,
    ]


def test_numbers_are_rounded_to_what_the_columns_hold() -> None:
    assert log_cells.dose_of("27.555") == Decimal("27.56")
    assert log_cells.weight_of("70.25") == Decimal("70.3")
    assert log_cells.lots_of("A:2028-06-30:9.999")[0].grams == Decimal("10.00")
    reading = log_cells.iga_of("0.38001 g/L (0.700049-4)")
    assert reading is not None
    assert (reading.value, reading.low, reading.high) == (Decimal("0.38"), Decimal("0.7"), Decimal(4))


@pytest.mark.parametrize(
    ("cell", "dose", "route", "minutes"),
    [
        ("cetirizine", "", "", None),
        ("cetirizine 10 mg", "10 mg", "", None),
        ("cetirizine 10mg", "10mg", "", None),
        ("cetirizine 10 mg 30", "10 mg", "", 30),
        ("cetirizine 10 mg 30 min", "10 mg", "", 30),
        ("cetirizine 30 min", "", "", 30),
        ("cetirizine 30min", "", "", 30),
        ("cetirizine 30 Minutes", "", "", 30),
        ("cetirizine PO", "", "PO", None),
        ("cetirizine po 30", "", "PO", 30),
        ("cetirizine 10 mg PO", "10 mg", "PO", None),
        ("cetirizine 10 mg PO 30", "10 mg", "PO", 30),
        ("cetirizine 10 PO 30", "10", "PO", 30),
        ("cetirizine 2 x 5 mg PO 30", "2 x 5 mg", "PO", 30),
        ("cetirizine (10)", "10", "", None),
        ("cetirizine (10) 30", "10", "", 30),
        ("cetirizine (10 mg 30 min before) PO", "10 mg 30 min before", "PO", None),
        ("Zyrtec 10 mg PO 30", "10 mg", "PO", 30),
    ],
)
def test_each_part_of_a_drug_is_known_by_its_unit_or_its_place(
    cell: str, dose: str, route: str, minutes: int | None
) -> None:
    _, drugs = premedication_of(cell)
    assert drugs == (DrugCell("cetirizine", "", dose, route, minutes),)


@pytest.mark.parametrize(
    ("cell", "said"),
    [
        ("cetirizine 10", "is 10 the dose, or the minutes before the start? Write a dose with its unit, such as 10 mg"),
        ("acetaminophen 650", "such as 650 mg, and minutes as 650 min"),
        ("cetirizine 10 30", "is 10 the dose"),
        ("cetirizine 2 x 5", "is unclear"),
        ("cetirizine 1 to 2", "is unclear"),
        ("cetirizine one tablet 30", "is unclear"),
        ("cetirizine 10 PO", "is 10 the dose"),
        ("cetirizine 10.5", "is 10.5 the dose"),
        ("other (Herbal tea) 15", "is 15 the dose"),
        ("Herbal tea 15", "is 15 the dose"),
        ("cetirizine PO 10 mg", "is unclear"),
        ("cetirizine 10 mg 1 h", "is unclear"),
        ("cetirizine 30 min before", "is unclear"),
        ("cetirizine with coffee 10 mg PO 30", "is unclear"),
        ("acetaminophen PM 500 mg PO 30", "is unclear"),
        ("cetirizine 10 mg PO 1441", "more than a day"),
        ("cetirizine 99999999999 min", "more than a day"),
        ("cetirizine -10", "after the start"),
        ("cetirizine -10 min", "after the start"),
        ("cetirizine 10 mg " + "slowly " * 6 + "PO 30", "is too long"),
        (f"other ({'x' * 101})", "is too long"),
        ("other", "names no drug"),
        ("other ( ) 10 mg", "names no drug"),
        ("unknown", "names no drug"),
        ("n/a", "names no drug"),
        ("cetirizine; none", "names no drug"),
    ],
)
def test_a_drug_that_leaves_something_to_guess_is_refused(cell: str, said: str) -> None:
    with pytest.raises(BadCell) as error:
        premedication_of(cell)
    assert said in str(error.value)


def test_a_drug_under_its_label_is_the_known_drug() -> None:
    assert premedication_of("Acetaminophen (paracetamol) 650 mg PO 30") == premedication_of(
        "acetaminophen 650 mg PO 30"
    )


def test_every_synonym_leads_to_a_known_drug() -> None:
    assert set(DRUG_SYNONYMS.values()) <= set(DRUGS)


@pytest.mark.parametrize(
    ("words", "choices"),
    [
        ("chest pain", ["Non-cardiac chest pain", "Chest pain - cardiac"]),
        ("Chest tightness", ["Non-cardiac chest pain", "Chest pain - cardiac", "Dyspnea", "Bronchospasm"]),
        ("throat tightness", ["Laryngeal edema", "Laryngospasm", "Anaphylaxis"]),
        ("angioedema", ["Edema face", "Periorbital edema", "Laryngeal edema"]),
        ("rash", ["Rash maculo-papular", "Urticaria"]),
        ("tachycardia", ["Sinus tachycardia", "Supraventricular tachycardia"]),
        ("reaction", ["Infusion related reaction", "Allergic reaction", "Injection site reaction"]),
        ("thrombosis", ["Venous thromboembolism", "Arterial thromboembolism", "Thromboembolic event"]),
        ("temperature", ["Fever"]),
        ("AMS", ["Aseptic meningitis", "Confusion"]),
    ],
)
def test_words_that_leave_the_term_open_are_refused_with_the_terms_to_choose_from(
    words: str, choices: list[str]
) -> None:
    with pytest.raises(BadCell) as error:
        log_cells.reactions_of(f"{words}:1@30", V5)
    assert str(error.value).endswith(f"write {', '.join(choices)} or other ({words})")


def test_what_is_offered_can_be_written() -> None:
    for words, terms in AMBIGUOUS.items():
        assert find_term(words) is None
        for term in terms:
            assert find_term(TERMS[term].label) == term


def test_the_description_of_the_log_lists_them_all() -> None:
    described = (Path(__file__).resolve().parents[3] / "docs" / "infusion-log.md").read_text(encoding="utf-8")
    british = {"angiooedema", "oedema"}
    assert [words for words in AMBIGUOUS if words not in british and f"`{words}`" not in described] == []


@pytest.mark.parametrize(
    ("words", "term"),
    [("hives", "urticaria"), ("itching", "pruritus"), ("rigors", "chills"), ("IRR", "infusion_related_reaction")],
)
def test_other_words_for_one_term_are_taken(words: str, term: str) -> None:
    _, episodes = log_cells.reactions_of(words, V5)
    assert episodes[0][0].term == term


@pytest.mark.parametrize("cell", ["chills 2@40", "chills?:1@40", "other ( ):1@40"])
def test_a_grade_or_a_doubt_in_the_wrong_place_is_not_dropped(cell: str) -> None:
    with pytest.raises(BadCell, match="write term:grade@minutes"):
        log_cells.reactions_of(cell, V5)
