"""Whether a reaction is serious: the criteria of the rule for licensed biological products. Pure.

Signatures
    judge(ticked, none_of_these) -> bool | None      True, False, or None while nobody has judged
    hints(terms, grades, *, ticked) -> list[str]     sentences that ask to look at a criterion; they decide nothing

Serious is not severe. A grade says how bad a symptom is; seriousness is one or more of six criteria. A grade 3 headache
may be none of them, and a grade 2 stroke is serious.

Sources: 21 CFR 600.80(a), criteria and the examples named with them; the wording is this project's. Grade 4 stands for
life-threatening consequences and grade 5 for death: CTCAE. Which terms are always looked at is this project's list.
"""

from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum

from reactions.clinical.ctcae import DEATH_GRADE, TERMS

LIFE_THREATENING_GRADE = 4


class Criterion(StrEnum):
    DEATH = "death"
    LIFE_THREATENING = "life_threatening"
    HOSPITALISATION = "hospitalisation"
    DISABILITY = "disability"
    CONGENITAL_ANOMALY = "congenital_anomaly"
    IMPORTANT_EVENT = "important_event"


@dataclass(frozen=True)
class CriterionText:
    label: str
    explanation: str


CRITERIA: dict[Criterion, CriterionText] = {
    Criterion.DEATH: CriterionText("Death", "The person died of it."),
    Criterion.LIFE_THREATENING: CriterionText(
        "Life-threatening",
        "There was an immediate risk of death from the event as it happened, not as it might have been had it been "
        "worse.",
    ),
    Criterion.HOSPITALISATION: CriterionText(
        "Hospital stay, new or longer",
        "Admitted as an inpatient, or kept longer than planned. A visit to the emergency department alone does not "
        "count.",
    ),
    Criterion.DISABILITY: CriterionText(
        "Lasting or significant disability", "It substantially disrupts the ability to live a normal life."
    ),
    Criterion.CONGENITAL_ANOMALY: CriterionText("Congenital anomaly or birth defect", "A child was born with it."),
    Criterion.IMPORTANT_EVENT: CriterionText(
        "Other important medical event",
        "None of the above, but it endangered the person or needed treatment to prevent one of them. The rule's "
        "example is allergic bronchospasm treated intensively in an emergency department or at home.",
    ),
}

# CTCAE terms that are medically important whatever their grade.
ALWAYS_IMPORTANT: frozenset[str] = frozenset(
    {
        "acute_kidney_injury",
        "anaphylaxis",
        "arterial_thromboembolism",
        "aseptic_meningitis",
        "meningitis",  # what CTCAE 5.0, which lacks the aseptic one, calls it
        "myocardial_infarction",
        "seizure",
        "stroke",
        "syncope",  # its definition is a loss of consciousness
        "thromboembolic_event",
        "transient_ischemic_attacks",
        "venous_thromboembolism",
    }
)

_OVERLOAD_OR_LUNG_INJURY = "it is circulatory overload (TACO) or acute lung injury (TRALI) after the infusion"
_HAEMOLYSIS = "haemoglobin fell by 2 g/dL or more, or blood was transfused"
# CTCAE terms that are medically important under a condition which the term itself does not tell.
IMPORTANT_WHEN: dict[str, str] = {
    "adult_respiratory_distress_syndrome": _OVERLOAD_OR_LUNG_INJURY,
    "hemolysis": _HAEMOLYSIS,
    "hemolytic_anemia": _HAEMOLYSIS,
    "hepatitis_viral": "the infection may have come with the product",
    "pulmonary_edema": _OVERLOAD_OR_LUNG_INJURY,
    "vascular_access_complication": "a vein, a lung artery or the heart was blocked by a clot",
}


class Contradiction(ValueError):
    """A criterion is ticked, and so is "none of these"."""


def judge(ticked: Collection[Criterion], none_of_these: bool) -> bool | None:
    """Serious when any criterion is ticked, not serious when somebody said none is met, None while neither is so.

    Raises Contradiction, worded for the person ticking, when both are.
    """
    if ticked and none_of_these:
        named = ", ".join(CRITERIA[criterion].label.lower() for criterion in Criterion if criterion in ticked)
        raise Contradiction(f"“None of these” cannot stand beside: {named}.")
    if ticked:
        return True
    return False if none_of_these else None


def hints(
    terms: Collection[str], grades: Collection[int | None], *, ticked: Collection[Criterion] = frozenset()
) -> list[str]:
    """What to look at again, from the symptoms' CTCAE codes and grades and the criteria ticked so far.

    About a grade as long as its criterion is not ticked, about a term as long as no criterion is. Raises KeyError for
    a code that is not in CTCAE's table.
    """
    found = []
    known = [TERMS[term] for term in dict.fromkeys(terms)]
    if DEATH_GRADE in grades and Criterion.DEATH not in ticked:
        found.append("A symptom has grade 5, which stands for death: look at “Death”.")
    if LIFE_THREATENING_GRADE in grades and Criterion.LIFE_THREATENING not in ticked:
        found.append(
            "A symptom has grade 4, which stands for life-threatening consequences: look at “Life-threatening”."
        )
    if ticked:
        return found
    for term in known:
        if term.code in ALWAYS_IMPORTANT:
            found.append(
                f"{term.label} is taken as medically important at any grade: look at “Other important medical event”."
            )
        if term.code in IMPORTANT_WHEN:
            found.append(
                f"{term.label} is medically important when {IMPORTANT_WHEN[term.code]}: "
                "look at “Other important medical event”."
            )
    return found
