"""How records are told in words, on pages and in what leaves as a file."""

from reactions.clinical.seriousness import CRITERIA
from reactions.models import CausalityAssessment, Reaction


def serious_words(reaction: Reaction) -> str:
    """The criteria by name, or in words that none is met or nobody has judged."""
    if reaction.is_serious is None:
        return "not judged yet"
    if not reaction.is_serious:
        return "no, none of its criteria"
    met = [text.label for code, text in CRITERIA.items() if code in reaction.serious_criteria]
    return "yes: " + ("; ".join(met) if met else "the criterion was not recorded")


def cause_words(cause: CausalityAssessment | None) -> str:
    """The scale and the category, or that nobody has judged."""
    return str(cause) if cause else "not judged yet"
