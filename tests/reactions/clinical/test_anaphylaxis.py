"""Every criterion and every limit from both sides, as named vectors; then what must hold of any evidence."""

from dataclasses import FrozenInstanceError, fields, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reactions.clinical.anaphylaxis import (
    NO_AGE,
    NO_BASELINE,
    NO_LIMIT,
    NO_PRESSURE,
    NO_SPO2,
    NOT_ACUTE,
    TIGHTNESS_ALONE,
    WORDS,
    Criterion,
    Evidence,
    Exposure,
    Standard,
    assess,
    brown_grade,
    low_systolic_limit,
    niaid_faan_2006,
    wao_2020,
)

NOT_KNOWN, LIKELY, HIGHLY_PROBABLE, KNOWN = Exposure
LEVELS = tuple(Exposure)
NIAID, WAO = Standard
MONTH = 1 / 12
TICKS = tuple(field.name for field in fields(Evidence) if field.type is bool and field.name != "acute_onset")

SKIN = {"hives", "itch", "flushing", "swollen_lips_tongue_uvula", "periorbital_oedema", "angioedema"}
RESPIRATORY = {"dyspnoea", "wheeze", "stridor", "reduced_peak_flow"}
END_ORGAN = {"collapse", "syncope", "loss_of_consciousness", "incontinence"}
LARYNGEAL = {"stridor", "voice_change", "painful_swallowing"}
ONLY_BROWN_2 = {"presyncope", "diaphoresis", "chest_or_throat_tightness", "nausea", "vomiting", "abdominal_pain"}
GASTROINTESTINAL = {"persistent_gi", "severe_gi"}


def met(evidence: Evidence) -> str:
    """The criteria met by both, as one line."""
    return " ".join((*niaid_faan_2006(evidence).criteria, *wao_2020(evidence).criteria))


def signs(*ticked: str, **measured: Any) -> Evidence:
    return Evidence(**dict.fromkeys(ticked, True), **measured)


ADULT = {"age_years": 40}

# what is recorded, the criteria met, the grade
VECTORS: dict[str, tuple[Evidence, str, int | None]] = {
    "nothing; fever, chills and headache have no tick": (Evidence(), "", None),
    "hives alone": (signs("hives"), "", 1),
    "hives alone, to a known allergen": (signs("hives", exposure=KNOWN), "", 1),
    "every sign of the skin at once": (signs(*SKIN, exposure=KNOWN), "", 1),
    "ordinary pressure and SpO2": (
        Evidence(**ADULT, systolic_mmhg=125, baseline_systolic_mmhg=130, spo2_percent=98),
        "",
        None,
    ),
    # C1 and W1: skin, and one more
    "flushing alone with dyspnoea": (signs("flushing", "dyspnoea"), "C1 W1", 2),
    "flushing with chest tightness": (signs("flushing", "chest_or_throat_tightness"), "", 2),
    "hives with SpO2 92": (signs("hives", spo2_percent=92), "C1 W1", 3),
    "hives with SpO2 93": (signs("hives", spo2_percent=93), "", 1),
    "hives with cyanosis": (signs("hives", "cyanosis"), "", 3),
    "hives with confusion": (signs("hives", "confusion"), "", 3),
    "hives with a voice change": (signs("hives", "voice_change"), "", 2),
    "hives with pressure 89": (signs("hives", **ADULT, systolic_mmhg=89), "C1 W1", 3),
    "hives with pressure 90": (signs("hives", **ADULT, systolic_mmhg=90), "", 1),
    "hives with a fall of 30 %": (signs("hives", systolic_mmhg=105, baseline_systolic_mmhg=150), "", 1),
    "hives with a fall of more": (signs("hives", systolic_mmhg=104, baseline_systolic_mmhg=150), "C1 W1", 2),
    "hives with persistent vomiting": (signs("hives", "vomiting", "persistent_gi"), "", 2),
    "hives with repetitive vomiting": (signs("hives", "severe_gi"), "W1", 2),
    "hives with vomiting": (signs("hives", "vomiting", "nausea", "abdominal_pain", exposure=KNOWN), "", 2),
    "dyspnoea with collapse, no skin": (signs("dyspnoea", "collapse"), "", 3),
    # C2: two of four systems after a likely allergen
    "skin and breathing, likely": (signs("itch", "dyspnoea", exposure=LIKELY), "C1 C2 W1", 2),
    "skin and organ, likely": (signs("itch", "syncope", exposure=LIKELY), "C1 C2 W1", 3),
    "skin and gut, likely": (signs("itch", "persistent_gi", exposure=LIKELY), "C2", 2),
    "skin and severe gut, likely": (signs("itch", "severe_gi", exposure=LIKELY), "C2 W1", 2),
    "breathing and organ, likely": (signs("dyspnoea", "incontinence", exposure=LIKELY), "C2", 3),
    "breathing and gut, likely": (signs("dyspnoea", "persistent_gi", exposure=LIKELY), "C2", 2),
    "breathing and severe gut, likely": (signs("dyspnoea", "severe_gi", exposure=LIKELY), "C2", 2),
    "pressure and gut, likely": (signs("persistent_gi", systolic_mmhg=80, exposure=LIKELY), "C2", 3),
    "SpO2 and gut, likely": (signs("persistent_gi", spo2_percent=90, exposure=LIKELY), "C2", 3),
    "breathing and gut, not known": (signs("dyspnoea", "persistent_gi"), "", 2),
    "breathing and gut, highly probable": (signs("dyspnoea", "persistent_gi", exposure=HIGHLY_PROBABLE), "C2", 2),
    "breathing and gut, known": (signs("dyspnoea", "persistent_gi", exposure=KNOWN), "C2", 2),
    "two signs of one system, likely": (signs("dyspnoea", "reduced_peak_flow", exposure=LIKELY), "", 2),
    "pressure and organ are one system": (signs("collapse", systolic_mmhg=80, exposure=LIKELY), "", 3),
    "both signs of the gut are one system": (signs(*GASTROINTESTINAL, exposure=KNOWN), "", 2),
    # C3 and W2: one sign after a known, or for W2 highly probable, allergen
    "pressure, not known": (Evidence(systolic_mmhg=80), "", 3),
    "pressure, likely": (Evidence(systolic_mmhg=80, exposure=LIKELY), "", 3),
    "pressure, highly probable": (Evidence(systolic_mmhg=80, exposure=HIGHLY_PROBABLE), "W2", 3),
    "pressure, known": (Evidence(systolic_mmhg=80, exposure=KNOWN), "C3 W2", 3),
    "fall of 30 %, known": (Evidence(systolic_mmhg=140, baseline_systolic_mmhg=200, exposure=KNOWN), "", None),
    "fall of more, known": (Evidence(systolic_mmhg=139, baseline_systolic_mmhg=200, exposure=KNOWN), "C3 W2", 2),
    "wheeze, likely": (signs("wheeze", exposure=LIKELY), "", 2),
    "wheeze, highly probable": (signs("wheeze", exposure=HIGHLY_PROBABLE), "W2", 2),
    "wheeze, known": (signs("wheeze", exposure=KNOWN), "W2", 2),
    "stridor, likely": (signs("stridor", exposure=LIKELY), "", 2),
    "stridor, highly probable": (signs("stridor", exposure=HIGHLY_PROBABLE), "W2", 2),
    "voice change, highly probable": (signs("voice_change", exposure=HIGHLY_PROBABLE), "W2", 2),
    "painful swallowing, highly probable": (signs("painful_swallowing", exposure=HIGHLY_PROBABLE), "W2", 2),
    "dyspnoea, known": (signs("dyspnoea", exposure=KNOWN), "", 2),
    "reduced peak flow, known": (signs("reduced_peak_flow", exposure=KNOWN), "", 2),
    "SpO2, known": (Evidence(spo2_percent=85, exposure=KNOWN), "", 3),
    "collapse without a pressure, known": (signs("collapse", exposure=KNOWN), "", 3),
    "all at once": (Evidence(**dict.fromkeys(TICKS, True), systolic_mmhg=70, exposure=KNOWN), "C1 C2 C3 W1 W2", 3),
    "all at once, days later": (
        Evidence(acute_onset=False, **dict.fromkeys(TICKS, True), systolic_mmhg=70, exposure=KNOWN),
        "",
        3,
    ),
}


@pytest.mark.parametrize("name", VECTORS)
def test_vector(name: str) -> None:
    evidence, criteria, grade = VECTORS[name]
    assert met(evidence) == criteria
    assert brown_grade(evidence) == grade
    assert assess(evidence).niaid_faan_2006 == niaid_faan_2006(evidence)
    assert assess(evidence).wao_2020 == wao_2020(evidence)
    assert assess(evidence).brown_grade == grade


@pytest.mark.parametrize("sign", TICKS)
def test_each_sign_beside_hives(sign: str) -> None:
    expected = {**dict.fromkeys(RESPIRATORY | END_ORGAN, "C1 W1"), "severe_gi": "W1"}
    assert met(signs("hives", sign)) == expected.get(sign, "")


@pytest.mark.parametrize("sign", TICKS)
def test_each_sign_beside_dyspnoea(sign: str) -> None:
    expected = {**dict.fromkeys(SKIN, "C1 C2 W1"), **dict.fromkeys(END_ORGAN | GASTROINTESTINAL, "C2")}
    assert met(signs("dyspnoea", sign, exposure=LIKELY)) == expected.get(sign, "")


@pytest.mark.parametrize("sign", TICKS)
def test_each_sign_alone_after_a_known_allergen(sign: str) -> None:
    assert met(signs(sign, exposure=KNOWN)) == ("W2" if sign in LARYNGEAL | {"wheeze"} else "")


@pytest.mark.parametrize("sign", TICKS)
def test_the_grade_of_each_sign_alone(sign: str) -> None:
    grades = {
        **dict.fromkeys(SKIN, 1),
        **dict.fromkeys(RESPIRATORY | LARYNGEAL | GASTROINTESTINAL | ONLY_BROWN_2, 2),
        **dict.fromkeys(END_ORGAN | {"cyanosis", "confusion"}, 3),
    }
    assert brown_grade(signs(sign)) == grades[sign]


@pytest.mark.parametrize(("spo2", "grade"), [(93, None), (92, 3), (0, 3)])
def test_the_grade_of_a_saturation(spo2: int, grade: int | None) -> None:
    assert brown_grade(Evidence(spo2_percent=spo2)) == grade


@pytest.mark.parametrize(
    ("age", "niaid", "wao"),
    [
        (0.0, None, None),
        (MONTH - 0.0001, None, None),
        (MONTH, 70.0, 70.2),
        (0.5, 70.0, 71.0),
        (11 * MONTH, 70.0, 71.8),
        (0.9999, 70.0, 72.0),
        (1, 72.0, 72.0),
        (4.5, 79.0, 79.0),
        (5, 80.0, 80.0),
        (9, 88.0, 88.0),
        (9.9, 89.8, 89.8),
        (9.99, 90.0, 90.0),
        (10, 90.0, 90.0),
        (10.5, 90.0, 90.0),
        (11, 90.0, 90.0),
        (17, 90.0, 90.0),
        (18, 90.0, 90.0),
        (90, 90.0, 90.0),
        (None, 90.0, 90.0),
    ],
)
def test_the_limit_by_age_and_both_its_sides(age: float | None, niaid: float | None, wao: float | None) -> None:
    for standard, limit in ((NIAID, niaid), (WAO, wao)):
        assert low_systolic_limit(age, standard) == limit
        highest_low = -1 if limit is None else int(limit - 0.01)
        for systolic, low in ((highest_low, limit is not None), (highest_low + 1, False)):
            criterion = Criterion.C3 if standard == NIAID else Criterion.W2
            evidence = Evidence(age_years=age, systolic_mmhg=systolic, exposure=KNOWN)
            assert (criterion in met(evidence).split()) is low


@pytest.mark.parametrize(
    ("age", "systolic", "grade"),
    [
        (0.5, 69, 3),
        (0.5, 70, None),
        (5, 79, 3),
        (5, 80, None),
        (17, 89, 3),
        (17, 90, None),
        (18, 89, 3),
        (18, 90, None),
    ],
)
def test_the_grade_of_a_childs_pressure(age: float, systolic: int, grade: int | None) -> None:
    assert brown_grade(Evidence(age_years=age, systolic_mmhg=systolic)) == grade


@pytest.mark.parametrize(
    ("baseline", "systolic", "fallen"),
    [(120, 84, False), (120, 83, True), (130, 91, False), (131, 91, True), (199, 140, False), (199, 139, True)],
)
def test_only_a_fall_of_more_than_30_percent_counts(baseline: int, systolic: int, fallen: bool) -> None:
    """In a newborn of ten days, for whom no absolute limit stands in the way."""
    evidence = Evidence(age_years=10 / 365, systolic_mmhg=systolic, baseline_systolic_mmhg=baseline, exposure=KNOWN)
    assert met(evidence) == ("C3 W2" if fallen else "")
    assert brown_grade(evidence) == (2 if fallen else None)


def test_a_pressure_that_cannot_be_measured_is_not_a_pressure_that_was_not() -> None:
    assert met(Evidence(systolic_mmhg=0, exposure=KNOWN)) == "C3 W2"
    assert met(Evidence(baseline_systolic_mmhg=120, exposure=KNOWN)) == ""


@pytest.mark.parametrize(
    ("evidence", "notes"),
    [
        (Evidence(), {NO_PRESSURE, NO_SPO2}),
        (Evidence(baseline_systolic_mmhg=120, spo2_percent=98), {NO_PRESSURE}),
        (Evidence(systolic_mmhg=120, baseline_systolic_mmhg=120, age_years=40, spo2_percent=98), set()),
        (Evidence(systolic_mmhg=120, age_years=40, spo2_percent=98), {NO_BASELINE}),
        (Evidence(systolic_mmhg=120, baseline_systolic_mmhg=120, spo2_percent=98), {NO_AGE}),
        (Evidence(systolic_mmhg=60, baseline_systolic_mmhg=62, age_years=MONTH, spo2_percent=98), set()),
        (Evidence(systolic_mmhg=60, baseline_systolic_mmhg=62, age_years=0.08, spo2_percent=98), {NO_LIMIT}),
        (Evidence(systolic_mmhg=60, age_years=0, spo2_percent=98), {NO_LIMIT, NO_BASELINE}),
        (signs("chest_or_throat_tightness", spo2_percent=93), {NO_PRESSURE, TIGHTNESS_ALONE}),
        (signs("chest_or_throat_tightness", spo2_percent=92), {NO_PRESSURE}),
        (signs("chest_or_throat_tightness", "dyspnoea"), {NO_PRESSURE, NO_SPO2}),
        (Evidence(acute_onset=False), {NOT_ACUTE, NO_PRESSURE, NO_SPO2}),
        (signs("wheeze", acute_onset=False), {NOT_ACUTE, NO_PRESSURE, NO_SPO2}),
    ],
)
def test_notes_on_what_is_missing_stand_in_both_verdicts_and_once_in_the_assessment(
    evidence: Evidence, notes: set[str]
) -> None:
    evidence = replace(evidence, exposure=KNOWN)
    for found in (niaid_faan_2006(evidence).notes, wao_2020(evidence).notes, assess(evidence).notes):
        assert set(found) == notes
        assert len(found) == len(notes)


def test_the_notes_name_what_was_done_instead() -> None:
    assert "only the absolute limit" in NO_BASELINE
    assert "30 %" in NO_BASELINE
    assert "adults, 90 mmHg" in NO_AGE


def test_an_exposure_that_is_too_weak_is_said_for_the_criterion_it_keeps_from_being_met() -> None:
    measured = {"systolic_mmhg": 80, "baseline_systolic_mmhg": 120, "age_years": 40, "spo2_percent": 98}
    c2 = "C2 has its signs; it also needs immune globulin to be a likely or highly probable or known allergen"
    c3 = "C3 has its signs; it also needs immune globulin to be a known allergen"
    w2 = "W2 has its signs; it also needs immune globulin to be a highly probable or known allergen"
    said = {
        level: [
            note.removesuffix(" for this patient.") for note in assess(signs("hives", exposure=level, **measured)).notes
        ]
        for level in LEVELS
    }
    assert said == {NOT_KNOWN: [c2, c3, w2], LIKELY: [c3, w2], HIGHLY_PROBABLE: [c3], KNOWN: []}
    assert assess(signs("hives", **measured | {"systolic_mmhg": 120})).notes == ()


def test_verdicts_in_words() -> None:
    evidence = signs("flushing", "dyspnoea", "stridor", systolic_mmhg=83, baseline_systolic_mmhg=120, age_years=40)
    low = "systolic pressure 83 mmHg (below 90), systolic pressure down by more than 30 % (from 120 to 83 mmHg)"
    skin = "skin or mucosa (flushing or generalised erythema)"
    known = replace(evidence, exposure=KNOWN, spo2_percent=91, persistent_gi=True, collapse=True)
    c1 = f"{skin}, with dyspnoea, stridor, SpO2 91 % (92 or less), {low}, collapse or hypotonia"
    assert niaid_faan_2006(known).criteria == (Criterion.C1, Criterion.C2, Criterion.C3)
    assert niaid_faan_2006(known).in_words() == (
        f"meets criterion C1 of NIAID/FAAN 2006: {c1}",
        "meets criterion C2 of NIAID/FAAN 2006: a known allergen, with "
        + c1.replace(", with", ",")
        + ", persistent gastrointestinal symptoms",
        f"meets criterion C3 of NIAID/FAAN 2006: a known allergen, with {low}",
    )
    assert wao_2020(known).in_words() == (
        f"meets criterion W1 of WAO 2020: {c1}",
        f"meets criterion W2 of WAO 2020: a known allergen, with {low}, stridor",
    )


def test_verdicts_in_a_few_words() -> None:
    evidence = signs("hives", "itch", "wheeze", "severe_gi", exposure=HIGHLY_PROBABLE)
    skin = "skin or mucosa (generalised hives, generalised itch), with wheeze or bronchospasm"
    assert niaid_faan_2006(evidence).in_words()[0] == f"meets criterion C1 of NIAID/FAAN 2006: {skin}"
    assert wao_2020(evidence).in_words() == (
        f"meets criterion W1 of WAO 2020: {skin}, severe crampy abdominal pain or repetitive vomiting",
        "meets criterion W2 of WAO 2020: a highly probable allergen, with wheeze or bronchospasm",
    )
    assert niaid_faan_2006(Evidence()).in_words() == ("meets no criterion of NIAID/FAAN 2006",)
    assert wao_2020(Evidence()).in_words() == ("meets no criterion of WAO 2020",)


def test_a_childs_limit_in_words() -> None:
    evidence = Evidence(age_years=11 * MONTH, systolic_mmhg=69, exposure=KNOWN)
    assert niaid_faan_2006(evidence).met[0].evidence == ("a known allergen", "systolic pressure 69 mmHg (below 70)")
    assert wao_2020(evidence).met[0].evidence == ("a known allergen", "systolic pressure 69 mmHg (below 71.8)")


def test_the_codes_that_are_stored() -> None:
    assert list(Standard) == ["niaid_faan_2006", "wao_2020"]
    assert list(Exposure) == ["not_known", "likely", "highly_probable", "known"]


def test_every_tick_has_words_of_its_own() -> None:
    assert set(WORDS) == set(TICKS)
    assert len(set(WORDS.values())) == len(WORDS)


def test_what_was_recorded_and_judged_is_fixed() -> None:
    evidence = signs("hives", "dyspnoea")
    with pytest.raises(FrozenInstanceError):
        evidence.hives = False
    # A set takes only what cannot change, down to each criterion met.
    assert len({evidence, signs("hives", "dyspnoea")}) == len({assess(evidence), assess(evidence)}) == 1


ages = st.one_of(st.none(), st.sampled_from([0, MONTH, 1, 10, 11, 18]), st.floats(0, 100))
pressures = st.one_of(st.none(), st.integers(0, 250))


@st.composite
def recorded(draw: st.DrawFn) -> Evidence:
    # Few ticks at a time: with half of them, every criterion is met.
    ticked = draw(st.sets(st.sampled_from(TICKS), max_size=5))
    return Evidence(
        acute_onset=draw(st.sampled_from([True, True, True, False])),
        exposure=draw(st.sampled_from(LEVELS)),
        age_years=draw(ages),
        spo2_percent=draw(st.one_of(st.none(), st.integers(0, 100))),
        systolic_mmhg=draw(pressures),
        baseline_systolic_mmhg=draw(pressures),
        **dict.fromkeys(ticked, True),
    )


@st.composite
def recorded_with_more(draw: st.DrawFn) -> tuple[Evidence, Evidence]:
    """Evidence, and the same with more ticks, a stronger exposure or worse numbers. The age stays."""
    less = draw(recorded())
    changes: dict[str, Any] = dict.fromkeys(draw(st.sets(st.sampled_from(TICKS))), True)
    changes["acute_onset"] = less.acute_onset or draw(st.booleans())
    changes["exposure"] = draw(st.sampled_from(LEVELS[LEVELS.index(less.exposure) :]))
    for name, highest in (("spo2_percent", 100), ("systolic_mmhg", 250)):
        before = getattr(less, name)
        worse = st.integers(0, highest if before is None else before)
        changes[name] = draw(st.one_of(st.just(before), worse))
    if less.baseline_systolic_mmhg is None:
        changes["baseline_systolic_mmhg"] = draw(pressures)
    return less, replace(less, **changes)


@given(recorded_with_more())
def test_more_evidence_takes_no_criterion_away_and_lowers_no_grade(pair: tuple[Evidence, Evidence]) -> None:
    less, more = pair
    assert set(met(less).split()) <= set(met(more).split())
    assert (brown_grade(less) or 0) <= (brown_grade(more) or 0)


@given(recorded())
def test_what_holds_of_any_evidence(evidence: Evidence) -> None:
    found = assess(evidence)
    assert found.brown_grade in {None, 1, 2, 3}
    without_baseline = evidence.systolic_mmhg is not None and evidence.baseline_systolic_mmhg is None
    assert (NO_BASELINE in found.notes) is without_baseline
    for verdict in (found.niaid_faan_2006, found.wao_2020):
        assert set(verdict.notes) <= set(found.notes)
        assert (NO_BASELINE in verdict.notes) is without_baseline
        assert all(len(one.evidence) > 1 for one in verdict.met)
        assert not any("diagnos" in line for line in (*verdict.in_words(), *verdict.notes))
    assert len(set(found.notes)) == len(found.notes)


@given(recorded())
def test_what_is_met_is_never_of_the_skin_alone(evidence: Evidence) -> None:
    skin_alone = replace(Evidence(exposure=KNOWN), **{name: getattr(evidence, name) for name in SKIN})
    assert met(skin_alone) == ""


@given(st.floats(MONTH, 120), st.floats(MONTH, 120), st.sampled_from(Standard))
def test_the_limit_does_not_fall_with_age(one: float, other: float, standard: Standard) -> None:
    younger, older = sorted((one, other))
    low, high = low_systolic_limit(younger, standard), low_systolic_limit(older, standard)
    assert low is not None
    assert high is not None
    assert 70 <= low <= high <= 90
