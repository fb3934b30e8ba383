"""Which grades exist for which term."""

import pytest

from reactions.clinical.ctcae import TERMS, V5, V6, UndefinedGrade, check_grade, find_term, grades, suggest, version_for


@pytest.mark.parametrize(
    ("term", "version", "expected"),
    [
        ("headache", V5, (1, 2, 3)),
        ("chills", V6, (1, 2, 3)),
        ("urticaria", V5, (1, 2, 3)),
        ("anaphylaxis", V5, (3, 4, 5)),
        ("phlebitis", V6, (2,)),
        ("syncope", V5, (3,)),
        ("hypoxia", V5, (2, 3, 4, 5)),
        ("hypoxia", V6, (1, 2, 3, 4, 5)),
        ("hypertension", V6, (2, 3, 4, 5)),
        ("wheezing", V6, ()),
        ("aseptic_meningitis", V5, ()),
        ("rash_maculo_papular", V5, (1, 2, 3)),
        ("rash_maculo_papular", V6, (1, 2, 3, 4, 5)),
        ("thromboembolic_event", V6, ()),
        ("venous_thromboembolism", V5, ()),
        ("arterial_thromboembolism", V5, (3, 4, 5)),
        ("eczema", V6, ()),
        ("eczematous_dermatitis", V5, ()),
        ("hemolytic_anemia", V5, ()),
        ("proteinuria", V6, ()),
        ("transient_ischemic_attacks", V5, (1, 2)),
        ("other", V5, (1, 2, 3, 4, 5)),
    ],
)
def test_the_grades_of_a_term(term: str, version: str, expected: tuple[int, ...]) -> None:
    assert grades(term, version) == expected


def test_there_are_78_terms_and_other() -> None:
    assert len(TERMS) == 79


@pytest.mark.parametrize("grade", [0, 4, 5])
def test_a_grade_that_does_not_exist_is_refused_with_those_that_do(grade: int) -> None:
    with pytest.raises(UndefinedGrade, match=r"Urticaria has no grade \d in CTCAE v5.0: choose 1 to 3"):
        check_grade("urticaria", grade, V5)


def test_single_and_double_grades_are_listed_in_words() -> None:
    with pytest.raises(UndefinedGrade, match="choose 2"):
        check_grade("phlebitis", 1, V5)
    with pytest.raises(UndefinedGrade, match="choose 1 or 2"):
        check_grade("palpitations", 3, V5)


def test_an_unknown_version_is_refused() -> None:
    with pytest.raises(ValueError, match=r"4\.03"):
        grades("chills", "4.03")


def test_a_term_of_one_version_alone_takes_that_version() -> None:
    assert version_for("wheezing", V6) == V5
    assert version_for("aseptic_meningitis", V5) == V6
    assert version_for("chills", V6) == V6


@pytest.mark.parametrize(
    ("words", "term"),
    [("Hives", "urticaria"), ("rigors", "chills"), ("Flu-like symptoms", "flu_like_symptoms"), ("dyspnoea", "dyspnea")],
)
def test_what_people_write_is_found(words: str, term: str) -> None:
    assert find_term(words) == term


def test_what_is_close_is_suggested() -> None:
    assert find_term("hedache") is None
    assert suggest("hedache") == ["Headache"]
    assert all(term in TERMS for term in (find_term(label.label) for label in TERMS.values()))
