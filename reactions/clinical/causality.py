"""How likely it is that the infusion caused the event: the Naranjo score and the WHO-UMC categories. Pure.

Signatures
    naranjo(answers) -> NaranjoResult                       answers: {question number: NaranjoAnswer}
    who_umc_open_points(category, ticked) -> tuple[UmcPoint, ...]   what the category still lacks
    who_umc_supported(ticked) -> list[UmcCategory]          every category all of whose points are ticked

A question without an answer is not "don't know": "don't know" is an answer of 0 points. Until all ten are answered
there is a score so far, but no category. WHO-UMC is a checklist: it shows what is ticked, and a person chooses.

Sources
    Naranjo CA et al., Clin Pharmacol Ther 1981;30:239 (copyright ASCPT), points and limits as printed in PMC5774610,
    table 2. Questions and hints are in this project's words; the hints for IVIG are this project's.
    WHO-UMC: Uppsala Monitoring Centre, standardised case causality assessment, as printed in PMC6039921, box 2; the
    points are in this project's words. Two of its lines allow something and demand nothing (Probable: rechallenge is
    not required; Possible: information on withdrawal may be missing). They are remarks here, not points to tick.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import StrEnum

DEFINITE_FROM = 9
PROBABLE_FROM = 5
POSSIBLE_FROM = 1


class NaranjoAnswer(StrEnum):
    YES = "yes"
    NO = "no"
    DONT_KNOW = "dont_know"


class NaranjoCategory(StrEnum):
    DEFINITE = "definite"
    PROBABLE = "probable"
    POSSIBLE = "possible"
    DOUBTFUL = "doubtful"


@dataclass(frozen=True)
class NaranjoQuestion:
    """A question with its points for yes and no; "don't know" always counts 0."""

    number: int
    text: str
    yes: int
    no: int
    hint: str = ""

    def points(self, answer: NaranjoAnswer) -> int:
        match answer:
            case NaranjoAnswer.YES:
                return self.yes
            case NaranjoAnswer.NO:
                return self.no
            case NaranjoAnswer.DONT_KNOW:
                return 0


NARANJO_QUESTIONS: tuple[NaranjoQuestion, ...] = (
    NaranjoQuestion(
        1,
        "Has this reaction been reported conclusively before?",
        yes=1,
        no=0,
        hint="Yes for every reaction that the product's label lists.",
    ),
    NaranjoQuestion(2, "Did the event begin after the drug was given?", yes=2, no=-1, hint="See the onset."),
    NaranjoQuestion(
        3,
        "Did it get better when the drug was stopped, or with an antidote?",
        yes=1,
        no=0,
        hint="Look at whether the infusion was slowed, paused or stopped, and what followed.",
    ),
    NaranjoQuestion(
        4,
        "Did it come back when the drug was given again?",
        yes=2,
        no=-1,
        hint="Needs a later infusion; before that, don't know.",
    ),
    NaranjoQuestion(
        5,
        "Could something else alone have caused it?",
        yes=-1,
        no=2,
        hint="The disease, an infection, another drug, the line.",
    ),
    NaranjoQuestion(6, "Did it come back with a placebo?", yes=-1, no=1, hint="For IVIG nearly always don't know."),
    NaranjoQuestion(
        7, "Was the drug measured at a toxic level?", yes=1, no=0, hint="For IVIG nearly always don't know."
    ),
    NaranjoQuestion(
        8,
        "Was it worse with more of the drug, or milder with less?",
        yes=1,
        no=0,
        hint="For IVIG read “more” as a faster rate or a higher dose.",
    ),
    NaranjoQuestion(
        9,
        "Did this person react alike to the same or a similar drug before?",
        yes=1,
        no=0,
        hint="Any immune globulin counts as similar.",
    ),
    NaranjoQuestion(
        10,
        "Is there objective evidence of the event?",
        yes=1,
        no=0,
        hint="Vital signs, a laboratory result, an image, or what staff saw.",
    ),
)
_QUESTION = {question.number: question for question in NARANJO_QUESTIONS}

NARANJO_LABELS: dict[NaranjoAnswer | NaranjoCategory, str] = {
    NaranjoAnswer.YES: "Yes",
    NaranjoAnswer.NO: "No",
    NaranjoAnswer.DONT_KNOW: "Don't know",
    NaranjoCategory.DEFINITE: "Definite",
    NaranjoCategory.PROBABLE: "Probable",
    NaranjoCategory.POSSIBLE: "Possible",
    NaranjoCategory.DOUBTFUL: "Doubtful",
}


@dataclass(frozen=True)
class NaranjoResult:
    """The points of what is answered. `category` is None until nothing is left unanswered."""

    score: int
    unanswered: tuple[int, ...]
    category: NaranjoCategory | None

    @property
    def is_complete(self) -> bool:
        return not self.unanswered

    @property
    def sentence(self) -> str:
        """The result in words; an unfinished score says that it is one."""
        if self.category is not None:
            return f"Naranjo score {self.score}: {NARANJO_LABELS[self.category].lower()}."
        numbers = ", ".join(str(number) for number in self.unanswered)
        noun = "question" if len(self.unanswered) == 1 else "questions"
        return f"Naranjo score not finished: {self.score} so far, {noun} {numbers} not answered."


def naranjo(answers: Mapping[int, NaranjoAnswer]) -> NaranjoResult:
    """Add up the answers, keyed by question number 1 to 10. Raises ValueError for a question that does not exist."""
    strange = [number for number in answers if number not in _QUESTION]
    if strange:
        raise ValueError(f"Naranjo has no question {strange[0]}: the numbers are 1 to {len(NARANJO_QUESTIONS)}.")
    score = sum(_QUESTION[number].points(NaranjoAnswer(answer)) for number, answer in answers.items())
    unanswered = tuple(number for number in _QUESTION if number not in answers)
    return NaranjoResult(score, unanswered, None if unanswered else _category(score))


def _category(score: int) -> NaranjoCategory:
    if score >= DEFINITE_FROM:
        return NaranjoCategory.DEFINITE
    if score >= PROBABLE_FROM:
        return NaranjoCategory.PROBABLE
    return NaranjoCategory.POSSIBLE if score >= POSSIBLE_FROM else NaranjoCategory.DOUBTFUL


class UmcPoint(StrEnum):
    """What can be ticked. Probable and Possible share one point, every other belongs to one category."""

    PLAUSIBLE_TIME = "plausible_time"
    NO_OTHER_EXPLANATION = "no_other_explanation"
    PLAUSIBLE_WITHDRAWAL = "plausible_withdrawal"
    DEFINITIVE_EVENT = "definitive_event"
    RECHALLENGE = "rechallenge"
    REASONABLE_TIME = "reasonable_time"
    OTHER_CAUSE_UNLIKELY = "other_cause_unlikely"
    REASONABLE_WITHDRAWAL = "reasonable_withdrawal"
    OTHER_CAUSE_POSSIBLE = "other_cause_possible"
    IMPROBABLE_TIME = "improbable_time"
    OTHER_CAUSE_PLAUSIBLE = "other_cause_plausible"
    MORE_DATA_AWAITED = "more_data_awaited"
    CANNOT_JUDGE = "cannot_judge"
    CANNOT_SUPPLEMENT = "cannot_supplement"


UMC_POINTS: dict[UmcPoint, str] = {
    UmcPoint.PLAUSIBLE_TIME: "The time between infusion and event fits a cause",
    UmcPoint.NO_OTHER_EXPLANATION: "Neither disease nor another drug can explain it",
    UmcPoint.PLAUSIBLE_WITHDRAWAL: "What happened after stopping or slowing fits how the drug works",
    UmcPoint.DEFINITIVE_EVENT: "It is a distinct, objective disorder or a known effect of the drug",
    UmcPoint.RECHALLENGE: "It came back when given again, or that proof is not needed",
    UmcPoint.REASONABLE_TIME: "The time between infusion and event is reasonable",
    UmcPoint.OTHER_CAUSE_UNLIKELY: "Disease or another drug is an unlikely cause",
    UmcPoint.REASONABLE_WITHDRAWAL: "What happened after stopping or slowing makes clinical sense",
    UmcPoint.OTHER_CAUSE_POSSIBLE: "Disease or another drug could explain it as well",
    UmcPoint.IMPROBABLE_TIME: "The time makes a link improbable, though not impossible",
    UmcPoint.OTHER_CAUSE_PLAUSIBLE: "Disease or another drug explains it well",
    UmcPoint.MORE_DATA_AWAITED: "More data are needed, or are being examined",
    UmcPoint.CANNOT_JUDGE: "What is known is too little or contradicts itself",
    UmcPoint.CANNOT_SUPPLEMENT: "It can be neither completed nor verified",
}


class UmcCategory(StrEnum):
    CERTAIN = "certain"
    PROBABLE = "probable"
    POSSIBLE = "possible"
    UNLIKELY = "unlikely"
    CONDITIONAL = "conditional"
    UNASSESSABLE = "unassessable"


@dataclass(frozen=True)
class UmcDefinition:
    """All the points must be met. A remark says what is allowed to be missing."""

    label: str
    points: tuple[UmcPoint, ...]
    remark: str = ""


# From the strongest link to none that can be judged.
WHO_UMC: dict[UmcCategory, UmcDefinition] = {
    UmcCategory.CERTAIN: UmcDefinition(
        "Certain",
        (
            UmcPoint.PLAUSIBLE_TIME,
            UmcPoint.NO_OTHER_EXPLANATION,
            UmcPoint.PLAUSIBLE_WITHDRAWAL,
            UmcPoint.DEFINITIVE_EVENT,
            UmcPoint.RECHALLENGE,
        ),
    ),
    UmcCategory.PROBABLE: UmcDefinition(
        "Probable / likely",
        (UmcPoint.REASONABLE_TIME, UmcPoint.OTHER_CAUSE_UNLIKELY, UmcPoint.REASONABLE_WITHDRAWAL),
        remark="No need to have given the drug again.",
    ),
    UmcCategory.POSSIBLE: UmcDefinition(
        "Possible",
        (UmcPoint.REASONABLE_TIME, UmcPoint.OTHER_CAUSE_POSSIBLE),
        remark="What happened after stopping may be unknown or unclear.",
    ),
    UmcCategory.UNLIKELY: UmcDefinition("Unlikely", (UmcPoint.IMPROBABLE_TIME, UmcPoint.OTHER_CAUSE_PLAUSIBLE)),
    UmcCategory.CONDITIONAL: UmcDefinition("Conditional / unclassified", (UmcPoint.MORE_DATA_AWAITED,)),
    UmcCategory.UNASSESSABLE: UmcDefinition(
        "Unassessable / unclassifiable", (UmcPoint.CANNOT_JUDGE, UmcPoint.CANNOT_SUPPLEMENT)
    ),
}


def who_umc_open_points(category: UmcCategory, ticked: Collection[UmcPoint]) -> tuple[UmcPoint, ...]:
    """The points of the category that are not ticked, in its order; empty when all are met."""
    return tuple(point for point in WHO_UMC[category].points if point not in ticked)


def who_umc_supported(ticked: Collection[UmcPoint]) -> list[UmcCategory]:
    """The categories all of whose points are ticked, the strongest first. Ticks that contradict each other may
    support several: a person chooses."""
    return [category for category in WHO_UMC if not who_umc_open_points(category, ticked)]
