"""How records are told in words, on pages and in what leaves as a file."""

from reactions.clinical.causality import NARANJO_LABELS, NARANJO_QUESTIONS, UMC_POINTS, NaranjoAnswer
from reactions.clinical.seriousness import CRITERIA
from reactions.models import CausalityAssessment, Reaction
from reactions.vocabulary import CausalityScale


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


def judgement_words(cause: CausalityAssessment) -> str:
    """The scale with category and score; an unfinished score says that it is one."""
    if cause.score is None:
        return str(cause)
    if cause.category:
        return f"{cause}, score {cause.score}"
    return f"{cause}, score {cause.score} so far, {len(cause.answers)} of {len(NARANJO_QUESTIONS)} questions answered"


def judgement_lines(cause: CausalityAssessment) -> list[str]:
    """What a judgement rests on, a line each: the points ticked, or the questions with their answers."""
    if cause.scale == CausalityScale.WHO_UMC:
        ticked = cause.answers.get("points", [])
        return [words for point, words in UMC_POINTS.items() if point in ticked]
    answers = {question: cause.answers.get(str(question.number)) for question in NARANJO_QUESTIONS}
    return [
        f"{question.number}. {question.text} {NARANJO_LABELS[NaranjoAnswer(answer)]}"
        for question, answer in answers.items()
        if answer
    ]
