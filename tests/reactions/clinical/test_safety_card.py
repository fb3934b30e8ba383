"""The card before an infusion: the contraindication, every limit from both sides, and the label's rate."""

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from itertools import product as combinations
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from patients.iga import Status
from patients.words import AntiIga
from reactions.clinical.label_rate import LabelRate, RateRule, label_rate, mg_per_kg_min, ml_per_kg_h
from reactions.clinical.risk_factors import (
    BOXED_RENAL,
    BOXED_THROMBOSIS,
    RISK_FACTORS,
    Basis,
    RiskFactor,
    RiskGroup,
    is_at_risk,
)
from reactions.clinical.safety_card import (
    CardCode,
    CardFacts,
    CardItem,
    Level,
    PastReaction,
    above_label,
    card,
    is_severe_systemic,
    risk_factors,
)

# A second infusion of a product in its usual dose, for somebody of whom everything is known and nothing is odd.
QUIET = CardFacts(
    iga_status=Status.NORMAL,
    anti_iga=AntiIga.NOT_DONE,
    history_of_hypersensitivity=False,
    prior_severe_ig_reaction=False,
    past_reactions=(),
    days_since_last=28,
    last_product="Privigen",
    product="Privigen",
    age_years=40,
    risk_factors=frozenset(),
    grams=Decimal(140),
    weight_kg=Decimal(70),
    planned_rate_ml_per_kg_h=Decimal("2.4"),
    label_max_ml_per_kg_h=Decimal("4.8"),
)
MILD = PastReaction(worst_grade=2, was_serious=False)
SEVERE = PastReaction(worst_grade=4, was_serious=True)


def codes(facts: CardFacts) -> list[str]:
    return [item.code for item in card(facts)]


def item(facts: CardFacts, code: str) -> CardItem:
    (found,) = (item for item in card(facts) if item.code == code)
    return found


def contraindications(facts: CardFacts) -> list[str]:
    return [item.code for item in card(facts) if item.level == Level.CONTRAINDICATION]


def test_when_all_is_known_and_usual_the_card_is_empty() -> None:
    assert card(QUIET) == ()


@pytest.mark.parametrize("iga", list(Status))
@pytest.mark.parametrize("anti_iga", list(AntiIga))
@pytest.mark.parametrize("hypersensitivity", [True, False, None])
def test_the_second_contraindication_needs_all_three(
    iga: Status, anti_iga: AntiIga, hypersensitivity: bool | None
) -> None:
    facts = replace(QUIET, iga_status=iga, anti_iga=anti_iga, history_of_hypersensitivity=hypersensitivity)
    all_three = iga == Status.DEFICIENT and anti_iga == AntiIga.POSITIVE and hypersensitivity is True
    assert contraindications(facts) == ([CardCode.IGA_ANTI_IGA_HYPERSENSITIVITY] if all_three else [])


@pytest.mark.parametrize(("deficient", "antibodies", "hypersensitive"), list(combinations([False, True], repeat=3)))
def test_each_of_the_eight_combinations(deficient: bool, antibodies: bool, hypersensitive: bool) -> None:
    facts = replace(
        QUIET,
        iga_status=Status.DEFICIENT if deficient else Status.NORMAL,
        anti_iga=AntiIga.POSITIVE if antibodies else AntiIga.NEGATIVE,
        history_of_hypersensitivity=hypersensitive,
    )
    expected = []
    if deficient and antibodies and hypersensitive:
        expected.append(CardCode.IGA_ANTI_IGA_HYPERSENSITIVITY)
    if deficient:
        expected.append(CardCode.IGA_DEFICIENT)
    if antibodies:
        expected.append(CardCode.ANTI_IGA_POSITIVE)
    assert codes(facts) == expected


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (Status.DEFICIENT, CardCode.IGA_DEFICIENT),
        (Status.NOT_TESTED, CardCode.IGA_NOT_KNOWN),
        (Status.PENDING, CardCode.IGA_NOT_KNOWN),
        (Status.INDETERMINATE, CardCode.IGA_NOT_KNOWN),
        (Status.PARTIAL, None),
        (Status.NORMAL, None),
        (Status.ABOVE_RANGE, None),
    ],
)
def test_iga_alone_is_a_caution_at_most(status: Status, code: CardCode | None) -> None:
    facts = replace(QUIET, iga_status=status)
    assert [(found.code, found.level) for found in card(facts)] == ([(code, Level.CAUTION)] if code else [])


def test_the_three_ways_of_not_knowing_the_iga_read_differently() -> None:
    texts = {
        item(replace(QUIET, iga_status=status), CardCode.IGA_NOT_KNOWN).text
        for status in (Status.NOT_TESTED, Status.PENDING, Status.INDETERMINATE)
    }
    assert len(texts) == 3


@pytest.mark.parametrize(
    ("anti_iga", "hypersensitivity", "words"),
    [
        (AntiIga.NOT_DONE, None, "Here anti-IgA was not tested, and nobody asked about hypersensitivity."),
        (AntiIga.POSITIVE, None, "Here anti-IgA is positive, and nobody asked about hypersensitivity."),
        (AntiIga.POSITIVE, True, "Here anti-IgA is positive, and hypersensitivity is in the history."),
        (AntiIga.NEGATIVE, True, "Here anti-IgA is negative, and hypersensitivity is in the history."),
        (AntiIga.INDETERMINATE, False, "Here anti-IgA is indeterminate, and hypersensitivity is not in the history."),
    ],
)
def test_a_deficiency_says_what_is_known_of_the_other_two(
    anti_iga: AntiIga, hypersensitivity: bool | None, words: str
) -> None:
    facts = replace(QUIET, iga_status=Status.DEFICIENT, anti_iga=anti_iga, history_of_hypersensitivity=hypersensitivity)
    text = item(facts, CardCode.IGA_DEFICIENT).text
    assert text.startswith("IgA is below 7 mg/dL.")
    assert text.endswith(words)


# Name, reaction, whether it counts as severe systemic, whether it could if the record were complete.
REACTIONS: list[tuple[str, PastReaction, bool, bool]] = [
    ("grade 4 alone", PastReaction(worst_grade=4, was_serious=False), True, False),
    ("grade 4 not judged", PastReaction(worst_grade=4, was_serious=None), True, False),
    ("grade 5", PastReaction(worst_grade=5, was_serious=True), True, False),
    ("grade 3 and serious", PastReaction(worst_grade=3, was_serious=True), True, False),
    ("grade 3, not serious", PastReaction(worst_grade=3, was_serious=False), False, False),
    ("grade 3, not judged", PastReaction(worst_grade=3, was_serious=None), False, True),
    ("grade 2 and serious", PastReaction(worst_grade=2, was_serious=True), False, False),
    ("grade 2, not judged", PastReaction(worst_grade=2, was_serious=None), False, False),
    ("serious without a grade", PastReaction(worst_grade=None, was_serious=True), False, True),
    ("nothing recorded", PastReaction(worst_grade=None, was_serious=None), False, True),
    ("not serious, without a grade", PastReaction(worst_grade=None, was_serious=False), False, False),
    ("anaphylaxis", PastReaction(worst_grade=None, was_serious=None, is_anaphylaxis=True), True, False),
    ("anaphylaxis of grade 2", PastReaction(worst_grade=2, was_serious=False, is_anaphylaxis=True), True, False),
    ("arm only", PastReaction(worst_grade=4, was_serious=True, is_infusion_site_only=True), False, False),
    (
        "arm only, not judged",
        PastReaction(worst_grade=None, was_serious=None, is_infusion_site_only=True),
        False,
        False,
    ),
    (
        "anaphylaxis that began at the arm",
        PastReaction(worst_grade=3, was_serious=True, is_anaphylaxis=True, is_infusion_site_only=True),
        True,
        False,
    ),
]


@pytest.mark.parametrize(("reaction", "severe", "unclear"), [r[1:] for r in REACTIONS], ids=[r[0] for r in REACTIONS])
def test_which_earlier_reaction_is_severe_systemic(reaction: PastReaction, severe: bool, unclear: bool) -> None:
    assert is_severe_systemic(reaction) is severe
    facts = replace(QUIET, past_reactions=(MILD, reaction))
    found = codes(facts)
    assert (CardCode.PRIOR_SEVERE_REACTION in found) is severe
    assert contraindications(facts) == ([CardCode.PRIOR_SEVERE_REACTION] if severe else [])
    assert (CardCode.POSSIBLY_SEVERE_REACTION in found) is unclear
    assert CardCode.PRIOR_REACTION in found


@pytest.mark.parametrize("reaction", [r[1] for r in REACTIONS], ids=[r[0] for r in REACTIONS])
def test_a_reaction_to_another_drug_is_not_on_the_card(reaction: PastReaction) -> None:
    other = replace(reaction, to_human_immune_globulin=False)
    assert is_severe_systemic(other) is False
    assert card(replace(QUIET, past_reactions=(other,))) == ()


def test_a_severe_reaction_recorded_elsewhere_counts() -> None:
    assert codes(replace(QUIET, prior_severe_ig_reaction=True)) == [CardCode.PRIOR_SEVERE_REACTION]


EVERYTHING = replace(
    QUIET,
    iga_status=Status.DEFICIENT,
    anti_iga=AntiIga.POSITIVE,
    history_of_hypersensitivity=True,
    past_reactions=(SEVERE, PastReaction(worst_grade=None, was_serious=None)),
    days_since_last=43,
    product="Octagam",
    grams=Decimal(200),
    planned_rate_ml_per_kg_h=Decimal(5),
)


@pytest.mark.parametrize(
    ("facts", "code", "level", "source"),
    [
        (EVERYTHING, CardCode.PRIOR_SEVERE_REACTION, Level.CONTRAINDICATION, "US labels, contraindications"),
        (EVERYTHING, CardCode.IGA_ANTI_IGA_HYPERSENSITIVITY, Level.CONTRAINDICATION, "US labels, contraindications"),
        (EVERYTHING, CardCode.POSSIBLY_SEVERE_REACTION, Level.CAUTION, "US labels, contraindications"),
        (EVERYTHING, CardCode.PRIOR_REACTION, Level.CAUTION, "own records"),
        (EVERYTHING, CardCode.IGA_DEFICIENT, Level.CAUTION, "warnings on hypersensitivity"),
        (EVERYTHING, CardCode.ANTI_IGA_POSITIVE, Level.CAUTION, "PMID 21835445"),
        (EVERYTHING, CardCode.LONG_GAP, Level.CAUTION, "PMC8561696"),
        (EVERYTHING, CardCode.PRODUCT_SWITCH, Level.CAUTION, "US labels, administration"),
        (EVERYTHING, CardCode.DOSE_HIGH, Level.CAUTION, "0.2 to 2.4 g/kg"),
        (EVERYTHING, CardCode.RATE_ABOVE_LABEL, Level.CAUTION, "product's label"),
        (replace(QUIET, grams=Decimal(1)), CardCode.DOSE_LOW, Level.CAUTION, "0.2 to 2.4 g/kg"),
        (replace(QUIET, days_since_last=None), CardCode.FIRST_INFUSION, Level.CAUTION, "US labels, administration"),
        (replace(QUIET, iga_status=Status.PENDING), CardCode.IGA_NOT_KNOWN, Level.CAUTION, "on hypersensitivity"),
        (replace(QUIET, weight_kg=None), CardCode.WEIGHT_MISSING, Level.NOTE, "own records"),
        (replace(QUIET, product=None), CardCode.PRODUCT_NOT_COMPARED, Level.NOTE, "own records"),
    ],
)
def test_each_item_has_its_level_and_source(facts: CardFacts, code: CardCode, level: Level, source: str) -> None:
    found = item(facts, code)
    assert found.level == level
    assert source in found.source


def test_both_contraindications_stand_side_by_side() -> None:
    facts = replace(
        QUIET,
        past_reactions=(SEVERE,),
        iga_status=Status.DEFICIENT,
        anti_iga=AntiIga.POSITIVE,
        history_of_hypersensitivity=True,
    )
    assert codes(facts)[:2] == [CardCode.PRIOR_SEVERE_REACTION, CardCode.IGA_ANTI_IGA_HYPERSENSITIVITY]


@pytest.mark.parametrize(
    ("grades", "words"),
    [
        ((2,), "1, the worst of grade 2."),
        ((1, None, 3), "3, the worst of grade 3."),
        ((None,), "1, no grade recorded."),
    ],
)
def test_earlier_reactions_are_counted_with_the_worst_grade(grades: tuple[int | None, ...], words: str) -> None:
    reactions = tuple(PastReaction(worst_grade=grade, was_serious=False) for grade in grades)
    found = item(replace(QUIET, past_reactions=reactions), CardCode.PRIOR_REACTION)
    assert found.text.endswith(words)
    assert found.level == Level.CAUTION


# Each limit: the change that is just inside, the change that is just beyond, what it leads to.
@pytest.mark.parametrize(
    ("field", "inside", "beyond", "code", "level"),
    [
        ("days_since_last", 42, 43, CardCode.LONG_GAP, Level.CAUTION),
        ("days_since_last", 0, None, CardCode.FIRST_INFUSION, Level.CAUTION),
        ("age_years", 65, 66, RiskFactor.AGE_OVER_65, Level.CAUTION),
        ("age_years", 0, None, CardCode.AGE_MISSING, Level.NOTE),
        ("grams", Decimal("14"), Decimal("13.99"), CardCode.DOSE_LOW, Level.CAUTION),
        ("grams", Decimal("168"), Decimal("168.01"), CardCode.DOSE_HIGH, Level.CAUTION),
        ("grams", Decimal("140"), None, CardCode.DOSE_MISSING, Level.NOTE),
        ("weight_kg", Decimal("700"), Decimal("700.1"), CardCode.DOSE_LOW, Level.CAUTION),
        ("weight_kg", Decimal("70"), None, CardCode.WEIGHT_MISSING, Level.NOTE),
        ("planned_rate_ml_per_kg_h", Decimal("4.80"), Decimal("4.81"), CardCode.RATE_ABOVE_LABEL, Level.CAUTION),
        ("planned_rate_ml_per_kg_h", Decimal("0"), None, CardCode.RATE_MISSING, Level.NOTE),
        ("label_max_ml_per_kg_h", Decimal("2.4"), Decimal("2.39"), CardCode.RATE_ABOVE_LABEL, Level.CAUTION),
        ("label_max_ml_per_kg_h", Decimal("2.4"), None, CardCode.LABEL_MAXIMUM_MISSING, Level.NOTE),
        ("product", " PRIVIGEN", "Octagam", CardCode.PRODUCT_SWITCH, Level.CAUTION),
        ("last_product", "privigen ", "Octagam", CardCode.PRODUCT_SWITCH, Level.CAUTION),
        ("product", "Privigen", None, CardCode.PRODUCT_NOT_COMPARED, Level.NOTE),
        ("last_product", "Privigen", None, CardCode.PRODUCT_NOT_COMPARED, Level.NOTE),
        ("last_product", "Privigen", "  ", CardCode.PRODUCT_NOT_COMPARED, Level.NOTE),
        ("prior_severe_ig_reaction", False, True, CardCode.PRIOR_SEVERE_REACTION, Level.CONTRAINDICATION),
        ("past_reactions", (), (MILD,), CardCode.PRIOR_REACTION, Level.CAUTION),
        ("running_since", None, datetime(2026, 5, 4, 9, tzinfo=UTC), CardCode.ANOTHER_RUNNING, Level.CAUTION),
    ],
)
def test_each_limit_has_two_sides(field: str, inside: object, beyond: object, code: str, level: Level) -> None:
    assert card(replace(QUIET, **{field: inside})) == ()
    assert [(found.code, found.level) for found in card(replace(QUIET, **{field: beyond}))] == [(code, level)]


def test_without_dose_and_weight_both_are_said() -> None:
    assert codes(replace(QUIET, grams=None, weight_kg=None)) == [CardCode.DOSE_MISSING, CardCode.WEIGHT_MISSING]


def test_without_rate_and_maximum_both_are_said() -> None:
    facts = replace(QUIET, planned_rate_ml_per_kg_h=None, label_max_ml_per_kg_h=None)
    assert codes(facts) == [CardCode.RATE_MISSING, CardCode.LABEL_MAXIMUM_MISSING]


def test_a_first_infusion_has_no_product_to_compare_with() -> None:
    assert codes(replace(QUIET, days_since_last=None, last_product=None)) == [CardCode.FIRST_INFUSION]


def test_a_change_of_product_after_a_long_gap_says_both() -> None:
    assert codes(replace(QUIET, days_since_last=43, product="Panzyga")) == [CardCode.LONG_GAP, CardCode.PRODUCT_SWITCH]


@pytest.mark.parametrize(
    ("facts", "code", "text"),
    [
        (
            replace(QUIET, grams=Decimal("168.010")),
            CardCode.DOSE_HIGH,
            "168.01 g in this course for 70 kg is more than 2.4 g/kg.",
        ),
        (
            replace(QUIET, grams=Decimal("13.99")),
            CardCode.DOSE_LOW,
            "13.99 g in this course for 70 kg is less than 0.2 g/kg.",
        ),
        (
            replace(QUIET, planned_rate_ml_per_kg_h=Decimal("4.810")),
            CardCode.RATE_ABOVE_LABEL,
            "The planned rate of 4.81 mL/kg/h is above the label's 4.8 mL/kg/h.",
        ),
        (
            replace(QUIET, days_since_last=43),
            CardCode.LONG_GAP,
            "43 days since the last infusion, more than 42: a study calls this “effectively IVIg-naive”. Labels start "
            "again at the lowest rate.",
        ),
        (
            replace(QUIET, product=" Octagam "),
            CardCode.PRODUCT_SWITCH,
            "Another product than last time: Octagam after Privigen. Labels start again at the lowest rate.",
        ),
        (
            replace(QUIET, age_years=66),
            RiskFactor.AGE_OVER_65,
            "Older than 65: named in the boxed warning (kidney injury and thrombosis).",
        ),
        (
            replace(QUIET, risk_factors=frozenset({RiskFactor.NON_O_BLOOD_GROUP})),
            RiskFactor.NON_O_BLOOD_GROUP,
            "Blood group other than O: named in studies (haemolysis).",
        ),
    ],
)
def test_numbers_in_the_text_are_those_that_were_compared(facts: CardFacts, code: str, text: str) -> None:
    assert item(facts, code).text == text


def test_another_infusion_that_runs_is_said_on_the_clock_it_was_given_in() -> None:
    new_york = datetime(2026, 5, 4, 23, 30, tzinfo=ZoneInfo("America/New_York"))
    found = item(replace(QUIET, running_since=new_york), CardCode.ANOTHER_RUNNING)
    assert found.text == "An infusion of this patient has been running since 2026-05-04 23:30: it has no end yet."


@pytest.mark.parametrize("weight", [Decimal(0), Decimal(-1)])
def test_a_weight_of_nothing_is_refused(weight: Decimal) -> None:
    with pytest.raises(ValueError, match="more than 0 kg"):
        replace(QUIET, weight_kg=weight)


def test_the_lightest_weight_is_taken() -> None:
    assert codes(replace(QUIET, weight_kg=Decimal("0.1"), grams=Decimal("0.1"))) == []


BOXED_FOR_THROMBOSIS = {
    RiskFactor.PRIOR_THROMBOSIS,
    RiskFactor.IMMOBILISATION,
    RiskFactor.HYPERCOAGULABLE,
    RiskFactor.OESTROGEN,
    RiskFactor.CENTRAL_CATHETER,
    RiskFactor.HYPERVISCOSITY,
    RiskFactor.CARDIOVASCULAR,
}
BOXED_FOR_THE_KIDNEY = {
    RiskFactor.RENAL_INSUFFICIENCY,
    RiskFactor.DIABETES,
    RiskFactor.VOLUME_DEPLETION,
    RiskFactor.SEPSIS,
    RiskFactor.PARAPROTEINAEMIA,
    RiskFactor.NEPHROTOXIC_DRUGS,
}
BOXED = BOXED_FOR_THROMBOSIS | BOXED_FOR_THE_KIDNEY | {RiskFactor.AGE_OVER_65}
STUDIED = {
    RiskFactor.NON_O_BLOOD_GROUP: (RiskGroup.HAEMOLYSIS,),
    RiskFactor.MIGRAINE: (RiskGroup.OTHER,),
    RiskFactor.CURRENT_INFECTION: (RiskGroup.OTHER,),
    RiskFactor.ATOPY: (RiskGroup.OTHER,),
    RiskFactor.NEUROMUSCULAR_DISEASE: (RiskGroup.OTHER,),
}


@pytest.mark.parametrize("factor", list(RiskFactor))
def test_each_risk_factor_is_on_the_card_by_what_names_it(factor: RiskFactor) -> None:
    (found,) = card(replace(QUIET, risk_factors=frozenset({factor})))
    assert found.code == factor
    assert found.level == (Level.NOTE if factor in STUDIED else Level.CAUTION)
    assert found.text.startswith(f"{RISK_FACTORS[factor].label}: {RISK_FACTORS[factor].basis} (")
    assert found.source == RISK_FACTORS[factor].source
    assert is_at_risk({factor}) is (factor in BOXED)


def test_the_boxed_warnings_name_these() -> None:
    assert {factor for factor, told in RISK_FACTORS.items() if told.source == BOXED_THROMBOSIS} == BOXED_FOR_THROMBOSIS
    assert {factor for factor, told in RISK_FACTORS.items() if told.source == BOXED_RENAL} == BOXED_FOR_THE_KIDNEY
    assert {factor for factor, told in RISK_FACTORS.items() if told.basis == Basis.BOXED_WARNING} == BOXED


def test_each_factor_stands_in_its_group() -> None:
    groups = {factor: told.groups for factor, told in RISK_FACTORS.items()}
    assert groups == (
        dict.fromkeys(BOXED_FOR_THROMBOSIS, (RiskGroup.THROMBOSIS,))
        | dict.fromkeys(BOXED_FOR_THE_KIDNEY, (RiskGroup.RENAL,))
        | {RiskFactor.AGE_OVER_65: (RiskGroup.RENAL, RiskGroup.THROMBOSIS)}
        | {RiskFactor.DERMATOMYOSITIS: (RiskGroup.THROMBOSIS,)}
        | STUDIED
    )


def test_no_factor_is_no_risk_and_one_of_many_is_enough() -> None:
    assert not is_at_risk(())
    assert not is_at_risk({RiskFactor.DERMATOMYOSITIS, *STUDIED})
    assert is_at_risk({RiskFactor.DERMATOMYOSITIS, RiskFactor.SEPSIS})


@pytest.mark.parametrize(("age", "derived"), [(None, False), (0, False), (65, False), (66, True), (90, True)])
def test_age_is_derived_beside_what_is_recorded(age: int | None, derived: bool) -> None:
    recorded = frozenset({RiskFactor.SEPSIS})
    expected = recorded | {RiskFactor.AGE_OVER_65} if derived else recorded
    assert risk_factors(replace(QUIET, age_years=age, risk_factors=recorded)) == expected


def test_every_factor_and_code_has_its_words_and_no_two_codes_are_alike() -> None:
    assert list(RISK_FACTORS) == list(RiskFactor)
    assert len({told.label for told in RISK_FACTORS.values()}) == len(RiskFactor)
    assert not {str(code) for code in CardCode} & {str(factor) for factor in RiskFactor}


facts_of_any_kind = st.builds(
    CardFacts,
    iga_status=st.sampled_from(list(Status)),
    anti_iga=st.sampled_from(list(AntiIga)),
    history_of_hypersensitivity=st.sampled_from([True, False, None]),
    prior_severe_ig_reaction=st.booleans(),
    past_reactions=st.lists(
        st.builds(
            PastReaction,
            worst_grade=st.none() | st.integers(1, 5),
            was_serious=st.sampled_from([True, False, None]),
            is_anaphylaxis=st.booleans(),
            is_infusion_site_only=st.booleans(),
            to_human_immune_globulin=st.booleans(),
        ),
        max_size=3,
    ).map(tuple),
    days_since_last=st.none() | st.integers(0, 400),
    last_product=st.sampled_from([None, "", "Privigen", "Octagam"]),
    product=st.sampled_from([None, "", "Privigen", "Octagam"]),
    age_years=st.none() | st.integers(0, 100),
    risk_factors=st.frozensets(st.sampled_from(list(RiskFactor))),
    grams=st.none() | st.decimals(0, 300, places=2),
    weight_kg=st.none() | st.decimals("0.5", 200, places=1),
    planned_rate_ml_per_kg_h=st.none() | st.decimals(0, 10, places=2),
    label_max_ml_per_kg_h=st.none() | st.decimals(0, 10, places=2),
    label=st.none()
    | st.builds(
        LabelRate,
        start_ml_per_kg_h=st.decimals("0.1", 1, places=2),
        max_ml_per_kg_h=st.decimals(1, 10, places=2),
        is_for_indication=st.booleans(),
        is_lowered_for_risk=st.booleans(),
        lacks_risk_limit=st.booleans(),
    ),
)


@given(facts_of_any_kind)
def test_the_worst_stands_first_and_nothing_twice(facts: CardFacts) -> None:
    found = card(facts)
    levels = [list(Level).index(item.level) for item in found]
    assert levels == sorted(levels)
    assert len({item.code for item in found}) == len(found)


@given(facts_of_any_kind)
def test_the_card_forbids_nothing_and_names_its_source(facts: CardFacts) -> None:
    for found in card(facts):
        text = found.text.lower()
        assert not any(order in text for order in ("do not", "don't", "must not", "never give", "stop"))
        assert ("a named clinician decides" in text) is (found.level == Level.CONTRAINDICATION)
        assert found.text.endswith(".")
        assert found.source


@given(facts_of_any_kind, st.sampled_from(list(RiskFactor)))
def test_a_further_risk_factor_takes_nothing_away(facts: CardFacts, factor: RiskFactor) -> None:
    more = replace(facts, risk_factors=facts.risk_factors | {factor})
    assert set(card(facts)) <= set(card(more))
    assert factor in codes(more)


@given(facts_of_any_kind, st.booleans(), st.booleans())
def test_a_further_reaction_takes_nothing_away(facts: CardFacts, severe: bool, elsewhere: bool) -> None:
    reaction = SEVERE if severe else MILD
    more = replace(
        facts,
        past_reactions=(*facts.past_reactions, reaction),
        prior_severe_ig_reaction=facts.prior_severe_ig_reaction or elsewhere,
    )
    assert set(codes(facts)) <= set(codes(more))


@given(facts_of_any_kind)
def test_antibodies_and_hypersensitivity_take_nothing_away(facts: CardFacts) -> None:
    more = replace(facts, anti_iga=AntiIga.POSITIVE, history_of_hypersensitivity=True)
    assert set(codes(facts)) <= set(codes(more))


# The table of a 10 % product: dermatomyositis, thrombocytopenia and a row for any other indication, in mL/kg/h.
DM = RateRule("Dermatomyositis", Decimal("0.6"), Decimal("2.4"), Decimal("1.98"))
ITP = RateRule("Immune thrombocytopenia", Decimal("0.6"), Decimal("7.2"))
ANY = RateRule(None, Decimal("0.5"), Decimal("5.0"), Decimal("2.0"))


def allowed(start: str, highest: str, *, own: bool, lowered: bool) -> LabelRate:
    return LabelRate(Decimal(start), Decimal(highest), is_for_indication=own, is_lowered_for_risk=lowered)


RATES: list[tuple[str, list[RateRule], str | None, bool, LabelRate | None]] = [
    ("own row before any", [ANY, DM], "Dermatomyositis", False, allowed("0.6", "2.4", own=True, lowered=False)),
    ("own row at risk", [ANY, DM], "Dermatomyositis", True, allowed("0.6", "1.98", own=True, lowered=True)),
    ("own row in other letters", [DM], " dermatoMYOSITIS ", False, allowed("0.6", "2.4", own=True, lowered=False)),
    ("any for another", [DM, ANY], "Myasthenia gravis", False, allowed("0.5", "5.0", own=False, lowered=False)),
    ("any at risk", [DM, ANY], "Myasthenia gravis", True, allowed("0.5", "2.0", own=False, lowered=True)),
    ("any when none is known", [DM, ANY], None, False, allowed("0.5", "5.0", own=False, lowered=False)),
    ("any when blank", [DM, ANY], " ", False, allowed("0.5", "5.0", own=False, lowered=False)),
    ("a blank row is for any", [replace(ANY, indication=" ")], "x", False,
     allowed("0.5", "5.0", own=False, lowered=False)),
    ("blank to blank", [replace(ANY, indication="")], "", False, allowed("0.5", "5", own=False, lowered=False)),
    ("risk limit of any", [ITP, ANY], ITP.indication, True, allowed("0.6", "2.0", own=True, lowered=True)),
    ("risk limit of none", [ITP], ITP.indication, True, allowed("0.6", "7.2", own=True, lowered=False)),
    ("own risk limit first", [ANY, DM, replace(ANY, at_risk_max_ml_per_kg_h=Decimal(1))], "Dermatomyositis", True,
     allowed("0.6", "1.98", own=True, lowered=True)),
    ("risk limit above the usual", [replace(DM, at_risk_max_ml_per_kg_h=Decimal(3))], DM.indication, True,
     allowed("0.6", "2.4", own=True, lowered=False)),
    ("risk limit equal to the usual", [replace(DM, at_risk_max_ml_per_kg_h=Decimal("2.4"))], DM.indication, True,
     allowed("0.6", "2.4", own=True, lowered=False)),
    ("no risk, limit not used", [DM], DM.indication, False, allowed("0.6", "2.4", own=True, lowered=False)),
    ("start above the risk limit", [replace(DM, at_risk_max_ml_per_kg_h=Decimal("0.3"))], DM.indication, True,
     allowed("0.3", "0.3", own=True, lowered=True)),
    ("two rows, the lowest", [DM, RateRule(DM.indication, Decimal("0.3"), Decimal("3.0"), Decimal("1.5"))],
     DM.indication, True, allowed("0.3", "1.5", own=True, lowered=True)),
    ("two rows, the other order", [RateRule(DM.indication, Decimal("0.9"), Decimal("2.0")), DM], DM.indication, False,
     allowed("0.6", "2.0", own=True, lowered=False)),
    ("only another indication", [ITP], "Dermatomyositis", False, None),
    ("only another, none known", [ITP], None, True, None),
    ("an empty table", [], "Dermatomyositis", False, None),
]  # fmt: skip


@pytest.mark.parametrize(
    ("rules", "indication", "at_risk", "expected"), [rate[1:] for rate in RATES], ids=[rate[0] for rate in RATES]
)
def test_the_label_rate(
    rules: list[RateRule], indication: str | None, at_risk: bool, expected: LabelRate | None
) -> None:
    assert label_rate(rules, indication=indication, at_risk=at_risk) == expected


limits = st.decimals("0.1", 10, places=2)
rows = st.builds(
    RateRule,
    indication=st.sampled_from([None, "Dermatomyositis", "Immune thrombocytopenia"]),
    start_ml_per_kg_h=limits,
    max_ml_per_kg_h=limits,
    at_risk_max_ml_per_kg_h=st.none() | limits,
)


@given(st.lists(rows, max_size=4), st.sampled_from([None, "Dermatomyositis"]))
def test_a_risk_never_raises_the_rate(rules: list[RateRule], indication: str | None) -> None:
    usual = label_rate(rules, indication=indication, at_risk=False)
    at_risk = label_rate(rules, indication=indication, at_risk=True)
    assert (usual is None) == (at_risk is None)
    if usual is not None and at_risk is not None:
        assert at_risk.max_ml_per_kg_h <= usual.max_ml_per_kg_h
        assert at_risk.start_ml_per_kg_h <= at_risk.max_ml_per_kg_h
        assert at_risk.is_lowered_for_risk is (at_risk.max_ml_per_kg_h < usual.max_ml_per_kg_h)


@pytest.mark.parametrize(
    ("by_mass", "percent", "by_volume"),
    [("4", "10", "2.4"), ("12", "10", "7.2"), ("1", "10", "0.6"), ("1", "5", "1.2"), ("3.3", "10", "1.98")],
)
def test_rates_by_mass_and_by_volume(by_mass: str, percent: str, by_volume: str) -> None:
    assert ml_per_kg_h(Decimal(by_mass), Decimal(percent)) == Decimal(by_volume)
    assert mg_per_kg_min(Decimal(by_volume), Decimal(percent)) == Decimal(by_mass)


@pytest.mark.parametrize("percent", [Decimal(0), Decimal(-10)])
def test_a_concentration_of_nothing_is_refused(percent: Decimal) -> None:
    with pytest.raises(ValueError, match="more than 0 %"):
        ml_per_kg_h(Decimal(1), percent)
    with pytest.raises(ValueError, match="more than 0 %"):
        mg_per_kg_min(Decimal(1), percent)


def test_a_thin_solution_is_taken() -> None:
    assert ml_per_kg_h(Decimal(1), Decimal("0.5")) == Decimal(12)


@given(
    st.decimals("0.01", 20, places=2), st.sampled_from([Decimal(3), Decimal(5), Decimal(6), Decimal(10), Decimal(12)])
)
def test_the_two_conversions_undo_each_other(rate: Decimal, percent: Decimal) -> None:
    assert abs(mg_per_kg_min(ml_per_kg_h(rate, percent), percent) - rate) < Decimal("1e-20")


@pytest.mark.parametrize(
    ("rate", "weight", "highest", "is_above"),
    [
        ("336", "70", "4.8", False),
        ("336.1", "70", "4.8", True),
        ("0.1", "70", "4.8", False),
        ("336.1", None, "4.8", False),
        ("336.1", "70", None, False),
    ],
)
def test_a_running_rate_is_compared_with_the_label(
    rate: str, weight: str | None, highest: str | None, is_above: bool
) -> None:
    item = above_label(Decimal(rate), weight and Decimal(weight), highest and Decimal(highest))
    assert (item is not None) is is_above


def test_what_is_above_the_label_never_reads_as_equal_to_it() -> None:
    item = above_label(Decimal("160.1"), Decimal("66.7"), Decimal("2.40"))
    assert item == CardItem(
        CardCode.RATE_ABOVE_LABEL,
        Level.CAUTION,
        "The rate of 160.1 mL/h is 2.41 mL/kg/h, above the label's 2.4 mL/kg/h (160 mL/h at 66.7 kg).",
        "The product's label, as in the clinic's product table",
    )


# What a maximum is for, in words, and whether the table lacks a limit for the risk: rules, indication, at risk.
COMPARED: list[tuple[str, list[RateRule], str | None, bool, str, bool]] = [
    ("own row", [DM, ANY], DM.indication, False, "2.4 mL/kg/h for this product and indication", False),
    ("own row at risk", [DM, ANY], DM.indication, True,
     "1.98 mL/kg/h for this product and indication, lowered for patients at risk", False),
    ("row for any", [DM, ANY], None, False, "5 mL/kg/h for this product, whatever the indication", False),
    ("row for any at risk", [DM, ANY], "x", True,
     "2 mL/kg/h for this product, whatever the indication, lowered for patients at risk", False),
    ("own row lowered by that for any", [ITP, ANY], ITP.indication, True,
     "2 mL/kg/h for this product and indication, lowered for patients at risk", False),
    ("no limit at risk", [ITP], ITP.indication, True, "7.2 mL/kg/h for this product and indication", True),
    ("no limit, no risk", [ITP], ITP.indication, False, "7.2 mL/kg/h for this product and indication", False),
    ("a limit that lowers nothing", [replace(ITP, at_risk_max_ml_per_kg_h=Decimal("7.2"))], ITP.indication, True,
     "7.2 mL/kg/h for this product and indication", False),
]  # fmt: skip
NO_LIMIT = "The table holds no limit for patients at risk: compared with the usual maximum."


@pytest.mark.parametrize(
    ("rules", "indication", "at_risk", "words", "lacks_limit"),
    [one[1:] for one in COMPARED],
    ids=[c[0] for c in COMPARED],
)
def test_a_rate_above_the_label_says_against_what_it_was_compared(
    rules: list[RateRule], indication: str | None, at_risk: bool, words: str, lacks_limit: bool
) -> None:
    label = label_rate(rules, indication=indication, at_risk=at_risk)
    assert label is not None
    planned = replace(
        QUIET, label=label, label_max_ml_per_kg_h=label.max_ml_per_kg_h, planned_rate_ml_per_kg_h=Decimal(8)
    )
    said = f"above the label's {words}"
    assert item(planned, CardCode.RATE_ABOVE_LABEL).text == f"The planned rate of 8 mL/kg/h is {said}."
    running = above_label(Decimal(80), Decimal(10), label.max_ml_per_kg_h, label=label)
    assert running is not None
    assert running.text.startswith(f"The rate of 80 mL/h is 8 mL/kg/h, {said} (")
    assert running.text.endswith(f" at 10 kg). {NO_LIMIT}" if lacks_limit else " at 10 kg).")


@pytest.mark.parametrize(
    ("rules", "indication", "at_risk", "words", "lacks_limit"),
    [one[1:] for one in COMPARED],
    ids=[c[0] for c in COMPARED],
)
def test_a_rate_below_a_maximum_that_knows_no_risk_is_no_silence(
    rules: list[RateRule], indication: str | None, at_risk: bool, words: str, lacks_limit: bool
) -> None:
    label = label_rate(rules, indication=indication, at_risk=at_risk)
    assert label is not None
    assert label.lacks_risk_limit is lacks_limit
    facts = replace(QUIET, label=label, label_max_ml_per_kg_h=label.max_ml_per_kg_h)
    planned = replace(facts, planned_rate_ml_per_kg_h=Decimal(1))
    found = [(one.level, one.text) for one in card(planned)]
    assert found == ([(Level.NOTE, NO_LIMIT)] if lacks_limit else [])
    assert codes(replace(planned, planned_rate_ml_per_kg_h=None)) == [CardCode.RATE_MISSING]


@pytest.mark.parametrize(
    ("change", "is_said"),
    [
        ({"days_since_last": None}, True),
        ({"days_since_last": 43}, True),
        ({"product": "Octagam"}, True),
        ({"days_since_last": 42}, False),
    ],
)
def test_where_labels_start_at_the_lowest_rate_the_card_says_which_it_is(
    change: dict[str, object], is_said: bool
) -> None:
    label = label_rate([DM, ANY], indication=DM.indication, at_risk=False)
    facts = replace(QUIET, label=label, **change)
    assert (CardCode.FIRST_RATE in codes(facts)) is is_said
    assert CardCode.FIRST_RATE not in codes(replace(facts, label=None))


@pytest.mark.parametrize(
    ("indication", "weight", "text"),
    [
        (DM.indication, "70", "0.6 mL/kg/h for this product and indication (42 mL/h at 70 kg)."),
        (DM.indication, "70.4", "0.6 mL/kg/h for this product and indication (42.2 mL/h at 70.4 kg)."),
        (DM.indication, None, "0.6 mL/kg/h for this product and indication."),
        (None, "70", "0.5 mL/kg/h for this product, whatever the indication (35 mL/h at 70 kg)."),
    ],
)
def test_the_first_rate_is_said_as_the_pump_shows_it(indication: str | None, weight: str | None, text: str) -> None:
    label = label_rate([DM, ANY], indication=indication, at_risk=False)
    facts = replace(QUIET, days_since_last=None, label=label, weight_kg=weight and Decimal(weight))
    found = item(facts, CardCode.FIRST_RATE)
    assert (found.level, found.text) == (Level.NOTE, f"The label starts at {text}")
