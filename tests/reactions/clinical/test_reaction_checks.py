"""What contradicts itself in a recorded reaction."""

from typing import Any

import pytest

from reactions.clinical.reaction_checks import ReactionFacts, unlikely
from reactions.vocabulary import Outcome


def facts(**changes: Any) -> ReactionFacts:
    usual: dict[str, Any] = {
        "terms": ["chills"],
        "grades": [2],
        "outcome": Outcome.RECOVERED,
        "is_serious": False,
        "death_is_recorded": False,
    }
    return ReactionFacts(**usual | changes)


def test_a_usual_reaction_raises_no_brow() -> None:
    assert unlikely(facts()) == []
    assert unlikely(facts(grades=[None], is_serious=None, outcome=Outcome.UNKNOWN)) == []
    assert unlikely(facts(outcome=Outcome.RECOVERING, is_resolved=False)) == []


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"outcome": Outcome.FATAL, "is_serious": True, "death_is_recorded": True}, "no symptom has grade 5"),
        ({"grades": [2, 5], "is_serious": True}, "the outcome is not fatal"),
        (
            {"outcome": Outcome.FATAL, "grades": [5], "death_is_recorded": True, "is_serious": False},
            "recorded as not serious",
        ),
        ({"outcome": Outcome.FATAL, "grades": [5], "is_serious": True}, "write the date of death"),
        ({"terms": ["infusion_related_reaction", "allergic_reaction"]}, "keep one"),
        ({"terms": ["infusion_related_reaction", "anaphylaxis"]}, "keep one"),
        ({"is_resolved": False}, "nobody wrote when it was over"),
        ({"stopped_and_yet_runs": True}, "and yet it is running"),
        ({"given_before": ["Ondansetron at 08:20", "Oxygen at 08:21"]}, "Ondansetron at 08:20, Oxygen at 08:21"),
    ],
)
def test_one_contradiction_is_one_sentence(changes: dict[str, Any], said: str) -> None:
    (sentence,) = unlikely(facts(**changes))
    assert said in sentence


def test_a_death_that_is_recorded_throughout_contradicts_nothing() -> None:
    assert unlikely(facts(outcome=Outcome.FATAL, grades=[5], is_serious=True, death_is_recorded=True)) == []
    assert unlikely(facts(outcome=Outcome.FATAL, grades=[5], is_serious=None, death_is_recorded=True)) == []


def test_an_episode_beside_other_symptoms_is_usual() -> None:
    assert unlikely(facts(terms=["infusion_related_reaction", "chills"])) == []
