"""Which problems a check-in asks about, how they are listed, and which screens follow. Pure data.

A set is shorter than the full list, so that a tired person reads to its end. Three things keep it safe:

- Every set has ALWAYS: the emergency words, what makes an emergency together (hives and dizziness), “something else”.
- A set that lists a word lists the graver one of the same trouble (GRAVER), so that nobody ticks the milder for want
  of it, and triage hears less than there is.
- The page of every set has a way to the full list, and the answer says whether the patient took it.

What is published is not changed: another list is another version, and the earlier one stays in PUBLISHED, so that an
answer tells for ever what was asked and what was not offered. `code`, such as “month-1”, is what an answer keeps.

Sources. Section 17 of US immune globulin labels, as in Bivigam's, has the words. What comes when: delayed reactions
within 96 h (interview study of children, PMC2083046); aseptic meningitis within 72 h, with the label's signs;
haemolysis from 12 h to 10 days, 84 % of it on days 5 to 10 (PMID 33433931); creatinine rises after 1 to 2 days; clots
to day 30 (Blood 2016;127:200). Yellow skin after a month is there for an infection that was passed on, vomiting and
fever for the infusion that comes next. Which set lists what, and the groups, are this project's own.
"""

from dataclasses import dataclass, field

from reactions.clinical.triage import HIVES, RED_WORDS, WITH_HIVES
from reactions.vocabulary import PatientSymptom as P

# Screens after those of the problems. forms/checkin.py has them.
CARE, DAY, MORE = "care", "day", "more"


@dataclass(frozen=True)
class Group:
    """Problems that stand together on the page, under a heading that patients read."""

    heading: str
    problems: tuple[P, ...]


GROUPS = (
    Group("Head and eyes", (P.HEADACHE, P.STIFF_NECK, P.LIGHT_HURTS, P.EYE_PAIN, P.SLEEPY, P.DIZZY)),
    Group("Whole body", (P.FEVER, P.CHILLS, P.ACHES, P.TIRED)),
    Group("Heart, arms and legs", (P.FAST_PULSE, P.LEG_SWELLING, P.BOTH_LEGS_SWOLLEN)),
    Group("Skin and mouth", (P.RASH, P.WIDE_RASH, P.ITCH, P.BLISTERS, P.MOUTH_SORES, P.YELLOW, P.PALE)),
    Group("Stomach", (P.NAUSEA, P.VOMITING)),
    Group("Urine and weight", (P.DARK_URINE, P.LITTLE_URINE, P.WEIGHT_GAIN)),
)
EMERGENCIES = tuple(problem for problem in P if problem in RED_WORDS)
# As the page lists them: emergencies first, “something else” last.
IN_ORDER = (*EMERGENCIES, *(problem for group in GROUPS for problem in group.problems), P.OTHER)

ALWAYS = RED_WORDS | HIVES | WITH_HIVES.keys() | {P.OTHER}
# {a word: what is graver of the same trouble, or makes it so}, as clinical/triage.py judges.
GRAVER: dict[P, frozenset[P]] = {
    P.HEADACHE: frozenset({P.FEVER, P.STIFF_NECK, P.LIGHT_HURTS}),
    P.TIRED: frozenset({P.FAST_PULSE}),
    P.NAUSEA: frozenset({P.VOMITING}),
    P.RASH: frozenset({P.WIDE_RASH, P.DIZZY}),
    P.WIDE_RASH: frozenset({P.DIZZY}),
}


@dataclass(frozen=True)
class QuestionSet:
    """What one check-in asks. `label` and `purpose` are for staff; `beside` is listed beside ALWAYS."""

    name: str
    version: int
    label: str
    purpose: str
    beside: frozenset[P] = field(default_factory=frozenset)
    follow: tuple[str, ...] = (CARE, DAY, MORE)

    @property
    def code(self) -> str:
        return f"{self.name}-{self.version}"

    @property
    def problems(self) -> frozenset[P]:
        return ALWAYS | self.beside

    @property
    def is_full(self) -> bool:
        return self.problems == frozenset(P)


EVERYTHING = QuestionSet("everything", 1, "Everything", "all problems, at any time", frozenset(P))
FIRST_DAYS = QuestionSet(
    "first_days",
    1,
    "First days",
    "24 to 72 hours after: headache and meningitis, fever, aches, stomach, skin, clots, urine",
    frozenset(
        {
            *(P.HEADACHE, P.STIFF_NECK, P.LIGHT_HURTS, P.EYE_PAIN, P.SLEEPY),
            *(P.FEVER, P.CHILLS, P.ACHES, P.TIRED, P.FAST_PULSE, P.LEG_SWELLING),
            *(P.ITCH, P.NAUSEA, P.VOMITING, P.DARK_URINE, P.LITTLE_URINE),
        }
    ),
)
SECOND_WEEK = QuestionSet(
    "second_week",
    1,
    "Second week",
    "about 8 days after: blood breakdown, kidneys, skin, clots, infection",
    frozenset(
        {
            *(P.FEVER, P.CHILLS, P.ACHES, P.TIRED, P.FAST_PULSE, P.LEG_SWELLING, P.BOTH_LEGS_SWOLLEN),
            *(P.ITCH, P.BLISTERS, P.MOUTH_SORES, P.YELLOW, P.PALE),
            *(P.DARK_URINE, P.LITTLE_URINE, P.WEIGHT_GAIN),
        }
    ),
)
MONTH = QuestionSet(
    "month",
    1,
    "Month",
    "about 28 days after, or before the next infusion: clots, late rash, infection",
    frozenset(
        {
            *(P.FEVER, P.CHILLS, P.ACHES, P.TIRED, P.FAST_PULSE, P.LEG_SWELLING),
            *(P.ITCH, P.BLISTERS, P.MOUTH_SORES, P.YELLOW, P.VOMITING),
        }
    ),
)
# What it did to the day is not asked: the day is over, and the next check-in asks it.
EVENING = QuestionSet("evening", 1, "Evening", "the same evening: emergencies, hives, dizziness", follow=(CARE, MORE))

SETS = {one.name: one for one in (EVERYTHING, FIRST_DAYS, SECOND_WEEK, MONTH, EVENING)}
PUBLISHED = {one.code: one for one in SETS.values()}
# What staff fill in on the telephone, in English whatever language the two of them speak.
BY_TELEPHONE = "telephone-1"
# Codes of answers whose form listed every problem that there was, in words for staff.
OF_EVERYTHING = {
    "1": "Everything, on one page",
    "2": "Everything, one question a screen",
    BY_TELEPHONE: "Everything, by telephone",
}


def asked_in_words(code: str) -> str:
    """What an answer was asked, for staff: “First days, version 1”. A code that is not known stands for itself."""
    if asked := PUBLISHED.get(code):
        return f"{asked.label}, version {asked.version}"
    return OF_EVERYTHING.get(code, code)


def not_offered(code: str, *, full_list: bool) -> list[P]:
    """The problems that an answer of this code was not offered, in the order of the list; none with the full list."""
    asked = PUBLISHED.get(code)
    if asked is None or full_list:
        return []
    return [problem for problem in IN_ORDER if problem not in asked.problems]
