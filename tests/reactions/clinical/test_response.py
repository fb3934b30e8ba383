"""Measures of response: what can be recorded, and a change in words."""

from decimal import Decimal

import pytest

from reactions.clinical.response import MEASURES, change, why_impossible


def test_the_measures() -> None:
    assert {
        code: (one.unit, one.low, one.high, one.decimals, one.higher_is_better) for code, one in MEASURES.items()
    } == {
        "mmt8": ("points", 0, 150, 0, True),
        "ck": ("U/L", 1, 500_000, 0, False),
        "six_minute_walk": ("m", 0, 1000, 0, True),
        "patient_global": ("cm", 0, 10, 1, False),
        "physician_global": ("cm", 0, 10, 1, False),
    }
    assert all(one.code == code and one.label and one.source for code, one in MEASURES.items())


@pytest.mark.parametrize("code", sorted(MEASURES))
def test_each_limit_has_two_sides(code: str) -> None:
    measure = MEASURES[code]
    step = Decimal(1).scaleb(-measure.decimals)
    said = f"{measure.label} goes from {measure.low} to {measure.high} {measure.unit}."
    assert why_impossible(code, measure.low) == why_impossible(code, measure.high) == ""
    assert why_impossible(code, measure.low - step) == why_impossible(code, measure.high + step) == said


@pytest.mark.parametrize(
    ("code", "value", "said"),
    [
        ("mmt8", "142", ""),
        ("mmt8", "142.0", ""),
        ("mmt8", "142.5", "Manual muscle test (MMT-8) is recorded as a whole number."),
        ("ck", "183.1", "Creatine kinase is recorded as a whole number."),
        ("six_minute_walk", "410.5", "Six-minute walk is recorded as a whole number."),
        ("patient_global", "3.5", ""),
        ("patient_global", "3.50", ""),
        ("patient_global", "3.55", "Patient global activity is recorded with one decimal."),
        ("physician_global", "0.05", "Physician global activity is recorded with one decimal."),
        ("physician_global", "35", "Physician global activity goes from 0 to 10 cm."),
    ],
)
def test_the_form_of_a_value(code: str, value: str, said: str) -> None:
    assert why_impossible(code, Decimal(value)) == said


@pytest.mark.parametrize(
    ("code", "first", "latest", "words"),
    [
        ("mmt8", "134", "142", "8 points higher, better"),
        ("mmt8", "142", "134", "8 points lower, worse"),
        ("mmt8", "142", "142.0", "no change"),
        ("ck", "1200", "200", "1000 U/L lower, better"),
        ("ck", "200", "1200", "1000 U/L higher, worse"),
        ("six_minute_walk", "410", "440", "30 m higher, better"),
        ("patient_global", "6.0", "3.5", "2.5 cm lower, better"),
        ("physician_global", "3.5", "4.50", "1 cm higher, worse"),
    ],
)
def test_a_change_in_words(code: str, first: str, latest: str, words: str) -> None:
    assert change(code, Decimal(first), Decimal(latest)) == words


def test_an_unknown_measure_is_an_error() -> None:
    with pytest.raises(KeyError):
        why_impossible("mmt", Decimal(1))
    with pytest.raises(KeyError):
        change("mmt", Decimal(1), Decimal(1))
