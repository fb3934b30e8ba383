"""What is unlikely about a reaction as it was recorded. Pure.

Signatures
    unlikely(facts) -> list[str]      sentences to look at; the record is saved all the same

Sources: grade 5 is death (CTCAE); a fatal outcome is serious (21 CFR 600.80(a)); infusion related reaction and allergic
reaction or anaphylaxis are not to be reported together (notes of CTCAE v5.0 and v6.0).
"""

from collections.abc import Collection
from dataclasses import dataclass

from reactions.clinical.ctcae import DEATH_GRADE, EPISODE
from reactions.vocabulary import Outcome

NOT_BESIDE_EPISODE = frozenset({"allergic_reaction", "anaphylaxis"})


@dataclass(frozen=True)
class ReactionFacts:
    """What the checks look at. A grade of None was not recorded; `is_resolved`: when it was over is recorded."""

    terms: Collection[str]
    grades: Collection[int | None]
    outcome: Outcome
    is_serious: bool | None
    death_is_recorded: bool
    is_resolved: bool = True
    stopped_and_yet_runs: bool = False  # the infusion was stopped for good, as the reaction says, and has no end
    given_before: Collection[str] = ()  # drugs recorded as given for it, with times before its onset


def unlikely(facts: ReactionFacts) -> list[str]:
    """Sentences about what contradicts itself."""
    found = []
    is_fatal = facts.outcome == Outcome.FATAL
    if is_fatal and DEATH_GRADE not in facts.grades:
        found.append("The outcome is fatal, but no symptom has grade 5, which stands for death.")
    if DEATH_GRADE in facts.grades and not is_fatal:
        found.append("A symptom has grade 5, which stands for death, but the outcome is not fatal.")
    if is_fatal and facts.is_serious is False:
        found.append("The outcome is fatal, but the reaction is recorded as not serious.")
    if is_fatal and not facts.death_is_recorded:
        found.append("The outcome is fatal: write the date of death into the patient's details; it ends check-ins.")
    if EPISODE in facts.terms and NOT_BESIDE_EPISODE & set(facts.terms):
        found.append("CTCAE asks not to report an infusion related reaction and an allergic one together: keep one.")
    if facts.outcome == Outcome.RECOVERED and not facts.is_resolved:
        found.append("The outcome is recovered, but nobody wrote when it was over.")
    if facts.stopped_and_yet_runs:
        found.append("The infusion was stopped for good, as this says, and yet it is running. Correct one of them.")
    if facts.given_before:
        drugs = ", ".join(facts.given_before)
        found.append(
            f"Given for the reaction, and yet before it began: {drugs}. Check the times, or what it was given for."
        )
    return found
