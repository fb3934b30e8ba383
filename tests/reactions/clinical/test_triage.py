"""The level of an answer: every red and amber word, the combinations, and answers that come late."""

from datetime import timedelta
from itertools import combinations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reactions.clinical.triage import cannot_wait, triage
from reactions.vocabulary import AlertLevel, PatientSeverity, PatientSymptom

P = PatientSymptom
MILD, MODERATE, SEVERE = PatientSeverity.MILD, PatientSeverity.MODERATE, PatientSeverity.SEVERE
RED, AMBER, GREEN = AlertLevel.RED, AlertLevel.AMBER, AlertLevel.GREEN
URGENCY = {None: 0, GREEN: 1, AMBER: 2, RED: 3}

# Written out here on purpose: a word that leaves its level in the module must fail a test.
RED_ALONE = {
    "breathing",
    "swelling_face",
    "chest_pain",
    "fainting",
    "blue_lips",
    "one_sided",
    "sight_loss",
    "seizure",
    "confusion",
    "very_drowsy",
    "worst_headache",
    "coughing_blood",
}
AMBER_ALONE = {
    "leg_swelling",
    "fast_pulse",
    "dark_urine",
    "yellow",
    "pale",
    "little_urine",
    "weight_gain",
    "both_legs_swollen",
    "wide_rash",
    "blisters",
    "mouth_sores",
    "vomiting",
}
OTHERS = {
    "headache",
    "stiff_neck",
    "light_hurts",
    "eye_pain",
    "sleepy",
    "fever",
    "chills",
    "aches",
    "tired",
    "dizzy",
    "nausea",
    "rash",
    "itch",
    "other",
}


def mild(*words: str) -> dict[PatientSymptom, PatientSeverity | None]:
    return {P(word): MILD for word in words}


def test_no_problem_has_no_level() -> None:
    assert triage({}, has_problem=False).level is None
    assert triage(mild("chest_pain"), has_problem=False, care_sought="hospital").level is None


def test_every_word_has_its_level() -> None:
    assert set(P) == RED_ALONE | AMBER_ALONE | OTHERS


@pytest.mark.parametrize("word", sorted(RED_ALONE))
@pytest.mark.parametrize("severity", [None, MILD, MODERATE, SEVERE])
def test_red_words_need_no_severity(word: str, severity: PatientSeverity | None) -> None:
    for still_there in (None, True):
        assert triage({P(word): severity}, still_there=still_there).level == RED


@pytest.mark.parametrize("word", sorted(RED_ALONE))
def test_a_red_word_that_is_over_is_amber_and_says_so(word: str) -> None:
    for found in (triage({P(word): SEVERE}, still_there=False), triage({P(word): SEVERE}, gone={P(word)})):
        assert found.level == AMBER
        assert "(resolved)" in found.reasons[0]


@pytest.mark.parametrize("word", sorted(AMBER_ALONE))
@pytest.mark.parametrize("severity", [None, MILD, MODERATE, SEVERE])
def test_amber_words_need_no_severity(word: str, severity: PatientSeverity | None) -> None:
    assert triage({P(word): severity}).level == AMBER


@pytest.mark.parametrize("word", sorted(OTHERS))
def test_any_other_symptom_is_green_until_it_is_severe(word: str) -> None:
    assert [triage({P(word): grade}).level for grade in (None, MILD, MODERATE)] == [GREEN] * 3
    assert triage({P(word): SEVERE}).level == AMBER
    assert triage({P(word): SEVERE}, still_there=False).level == AMBER


def test_a_problem_without_a_symptom_is_green() -> None:
    assert triage({}) == triage({}, still_there=False)
    assert triage({}).level == GREEN
    assert triage({}).reasons == ("a problem without a symptom named",)


HIVES = [
    (mild("rash", "dizzy"), {}, RED),
    (mild("wide_rash", "dizzy"), {}, RED),
    (mild("rash", "breathing"), {}, RED),
    (mild("itch", "dizzy"), {}, GREEN),
    (mild("rash"), {}, GREEN),
    (mild("dizzy"), {}, GREEN),
    # Hives outlast what makes them dangerous.
    (mild("rash", "dizzy"), {"gone": {P.DIZZY}}, AMBER),
    (mild("rash", "dizzy"), {"gone": {P.RASH}}, RED),
    (mild("rash", "breathing"), {"gone": {P.BREATHING}}, AMBER),
    (mild("rash", "dizzy"), {"still_there": False}, AMBER),
]

MENINGITIS = [
    (mild("headache", "fever", "stiff_neck"), {}, AMBER),
    (mild("headache", "fever", "light_hurts"), {}, AMBER),
    (mild("headache", "fever", "stiff_neck"), {"still_there": False}, AMBER),
    (mild("headache", "fever"), {}, GREEN),
    (mild("headache", "stiff_neck", "light_hurts"), {}, GREEN),
    (mild("fever", "stiff_neck", "light_hurts"), {}, GREEN),
    (mild("headache", "fever", "eye_pain"), {}, GREEN),
    (mild("headache", "fever", "sleepy"), {}, GREEN),
]

TIME_AND_CARE = [
    (mild("fever"), {"lasted": {P.FEVER: timedelta(hours=24, seconds=1)}}, AMBER),
    (mild("fever"), {"lasted": {P.FEVER: timedelta(hours=24)}}, GREEN),
    (mild("chills"), {"lasted": {P.CHILLS: timedelta(hours=30)}}, GREEN),
    ({P.CHILLS: MODERATE}, {"lasted": {P.CHILLS: timedelta(days=9)}}, GREEN),
    (mild("tired"), {"care_sought": "hospital"}, AMBER),
    ({}, {"care_sought": "hospital"}, AMBER),
    (mild("tired"), {"care_sought": "hospital", "still_there": False}, AMBER),
    *((mild("tired"), {"care_sought": other}, GREEN) for other in ("", "nothing", "medicine", "called", "visited")),
]

LATE = [
    (mild("chest_pain", "breathing"), {"gone": {P.CHEST_PAIN}}, RED),
    (mild("chest_pain", "breathing"), {"gone": {P.CHEST_PAIN, P.BREATHING}}, AMBER),
    (mild("chest_pain", "headache"), {"gone": {P.CHEST_PAIN}}, AMBER),
    (mild("chest_pain", "headache"), {"gone": {P.HEADACHE}}, RED),
    (mild("chest_pain"), {"gone": {P.BREATHING}}, RED),
    (mild("dark_urine"), {"gone": {P.DARK_URINE}}, AMBER),
    (mild("headache"), {"gone": {P.HEADACHE}}, GREEN),
]


@pytest.mark.parametrize(("symptoms", "more", "level"), [*HIVES, *MENINGITIS, *TIME_AND_CARE, *LATE])
def test_vectors(
    symptoms: dict[PatientSymptom, PatientSeverity | None], more: dict[str, Any], level: AlertLevel
) -> None:
    assert triage(symptoms, **more).level == level


@pytest.mark.parametrize("beside", ["stiff_neck", "fever", "light_hurts", "eye_pain", "sleepy", "nausea", "vomiting"])
def test_a_severe_headache_names_what_speaks_for_meningitis(beside: str) -> None:
    found = triage({P.HEADACHE: SEVERE, P(beside): MILD})
    assert found.level == AMBER
    assert any(reason.startswith("severe headache together with: ") for reason in found.reasons)
    assert not any("together" in reason for reason in triage({P.HEADACHE: SEVERE, P.CHILLS: MILD}).reasons)
    assert not any("together" in reason for reason in triage({P.HEADACHE: MODERATE, P(beside): MILD}).reasons)


def test_tired_with_a_fast_heart_is_named() -> None:
    assert "very tired with a fast heartbeat" in triage(mild("tired", "fast_pulse")).reasons
    assert "very tired with a fast heartbeat" not in triage(mild("pale", "fast_pulse")).reasons


def test_the_reasons_are_the_words_that_the_patient_read() -> None:
    found = triage({P.BREATHING: MILD, P.HEADACHE: SEVERE})
    assert found.reasons == ("trouble breathing, wheeze or a tight throat", "severe: headache")
    assert triage(mild("aches")).reasons == ("aches in muscles, joints or back",)
    assert triage(mild("dark_urine")).reasons == ("dark urine, like cola",)
    assert triage(mild("dizzy", "rash")).reasons == ("rash or hives together with dizziness",)


def test_the_reasons_say_what_is_over_and_what_is_not() -> None:
    found = triage({P.CHEST_PAIN: MILD, P.BREATHING: MILD, P.PALE: SEVERE}, gone={P.CHEST_PAIN, P.PALE})
    assert found.reasons == (
        "trouble breathing, wheeze or a tight throat",
        "chest pain (resolved)",
        "severe: paler than usual (resolved)",
        "paler than usual (resolved)",
    )


def test_the_reasons_say_what_lasts_longer_than_three_days() -> None:
    long, short = timedelta(days=3, seconds=1), timedelta(days=3)
    found = triage(mild("chills", "aches"), lasted={P.CHILLS: long, P.ACHES: short})
    assert found.reasons == ("chills or shaking, for more than 3 days", "aches in muscles, joints or back")


symptom = st.sampled_from(list(P))
severity = st.sampled_from([None, *PatientSeverity])
answers = st.dictionaries(symptom, severity)
circumstances = st.fixed_dictionaries(
    {
        "care_sought": st.sampled_from(["", "nothing", "called", "hospital"]),
        "gone": st.frozensets(symptom),
        "lasted": st.dictionaries(symptom, st.timedeltas(timedelta(0), timedelta(days=30))),
    }
)
STILL = st.sampled_from([None, True, False])


@given(answers, symptom, severity, circumstances, STILL)
def test_a_further_symptom_never_lowers_the_level(
    symptoms: dict, more: PatientSymptom, grade: PatientSeverity | None, around: dict, still: bool | None
) -> None:
    before = triage(symptoms, still_there=still, **around).level
    after = triage({more: grade} | symptoms, still_there=still, **around).level
    assert URGENCY[after] >= URGENCY[before]


@given(answers, symptom, circumstances)
def test_a_symptom_that_is_over_never_raises_the_level(symptoms: dict, over: PatientSymptom, around: dict) -> None:
    before = triage(symptoms, **around).level
    for later in (
        triage(symptoms, **around | {"gone": around["gone"] | {over}}),
        triage(symptoms, still_there=False, **around),
    ):
        assert URGENCY[later.level] <= URGENCY[before]
        # And nothing that was urgent becomes a matter of another day by having passed.
        assert later.level != GREEN or before == GREEN


@given(answers, symptom, circumstances, STILL)
def test_worse_never_lowers_the_level(symptoms: dict, one: PatientSymptom, around: dict, still: bool | None) -> None:
    levels = [triage(symptoms | {one: grade}, still_there=still, **around).level for grade in (MILD, MODERATE, SEVERE)]
    assert sorted(levels, key=URGENCY.__getitem__) == levels


@given(answers, circumstances, STILL)
def test_every_level_says_why(symptoms: dict, around: dict, still: bool | None) -> None:
    found = triage(symptoms, still_there=still, **around)
    assert found.level is not None
    assert found.reasons
    assert len(set(found.reasons)) == len(found.reasons)


def test_no_two_mild_other_words_are_urgent_but_hives_with_dizziness() -> None:
    urgent = [set(pair) for pair in combinations(sorted(OTHERS), 2) if triage(mild(*pair)).level != GREEN]
    assert urgent == [{"dizzy", "rash"}]


@pytest.mark.parametrize(
    ("level", "marked", "heard", "waits"),
    [
        (AlertLevel.RED, [P.CHEST_PAIN], [], False),
        (AlertLevel.RED, [P.CHEST_PAIN, P.RASH], [P.CHEST_PAIN], False),
        (AlertLevel.RED, [P.CHEST_PAIN], [P.CHEST_PAIN, P.RASH], True),
        (AlertLevel.AMBER, [P.DARK_URINE], [], True),
        (None, [], [], True),
    ],
)
def test_only_red_words_that_the_clinic_has_not_heard_cannot_wait(
    level: AlertLevel | None, marked: list[str], heard: list[str], waits: bool
) -> None:
    assert cannot_wait(level, marked, heard) is not waits
