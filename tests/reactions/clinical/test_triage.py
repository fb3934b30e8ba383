"""The level of an answer: every red and amber word, the combination, and answers that come late."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reactions.clinical.triage import AMBER_WORDS, RED_WORDS, triage
from reactions.vocabulary import AlertLevel, PatientSeverity, PatientSymptom

MILD, MODERATE, SEVERE = PatientSeverity.MILD, PatientSeverity.MODERATE, PatientSeverity.SEVERE
URGENCY = {None: 0, AlertLevel.GREEN: 1, AlertLevel.AMBER: 2, AlertLevel.RED: 3}


def test_no_problem_has_no_level() -> None:
    assert triage({}, has_problem=False).level is None


@pytest.mark.parametrize("word", sorted(RED_WORDS))
def test_red_words_need_no_severity(word: PatientSymptom) -> None:
    assert triage({word: MILD}).level == AlertLevel.RED
    assert triage({word: MILD}, still_there=True).level == AlertLevel.RED


@pytest.mark.parametrize("word", sorted(RED_WORDS))
def test_a_red_word_that_is_over_is_amber_and_says_so(word: PatientSymptom) -> None:
    found = triage({word: SEVERE}, still_there=False)
    assert found.level == AlertLevel.AMBER
    assert "(resolved)" in found.reasons[0]


@pytest.mark.parametrize("word", sorted(AMBER_WORDS))
def test_amber_words(word: PatientSymptom) -> None:
    assert triage({word: MILD}).level == AlertLevel.AMBER


@pytest.mark.parametrize("word", sorted(set(PatientSymptom) - RED_WORDS - AMBER_WORDS))
def test_any_other_symptom_is_green_until_it_is_severe(word: PatientSymptom) -> None:
    assert triage({word: MILD}).level == AlertLevel.GREEN
    assert triage({word: MODERATE}).level == AlertLevel.GREEN
    assert triage({word: SEVERE}).level == AlertLevel.AMBER


def test_hospital_is_amber() -> None:
    assert triage({PatientSymptom.TIRED: MILD}, care_sought="hospital").level == AlertLevel.AMBER
    assert triage({PatientSymptom.TIRED: MILD}, care_sought="called").level == AlertLevel.GREEN


def test_headache_fever_and_stiff_neck_together_are_amber_though_each_is_mild() -> None:
    three = {PatientSymptom.HEADACHE: MILD, PatientSymptom.FEVER: MILD, PatientSymptom.STIFF_NECK: MILD}
    assert triage(three).level == AlertLevel.AMBER
    for missing in three:
        assert triage({word: grade for word, grade in three.items() if word != missing}).level == AlertLevel.GREEN


def test_hives_with_dizziness_are_red() -> None:
    assert triage({PatientSymptom.RASH: MILD, PatientSymptom.DIZZY: MILD}).level == AlertLevel.RED


def test_the_reasons_are_the_words_that_the_patient_read() -> None:
    found = triage({PatientSymptom.BREATHING: MILD, PatientSymptom.HEADACHE: SEVERE})
    assert found.reasons == ("trouble breathing, wheeze or a tight throat", "severe: headache")
    assert triage({PatientSymptom.ACHES: MILD}).reasons == ("aches in muscles, joints or back",)


answers = st.dictionaries(st.sampled_from(list(PatientSymptom)), st.sampled_from(list(PatientSeverity)), min_size=1)


@given(
    answers,
    st.sampled_from(list(PatientSymptom)),
    st.sampled_from(list(PatientSeverity)),
    st.sampled_from([None, True]),
)
def test_a_further_symptom_never_lowers_the_level(
    symptoms: dict[PatientSymptom, PatientSeverity], more: PatientSymptom, grade: PatientSeverity, still: bool | None
) -> None:
    before = triage(symptoms, still_there=still).level
    after = triage({more: grade} | symptoms, still_there=still).level
    assert URGENCY[after] >= URGENCY[before]
