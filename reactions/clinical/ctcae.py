"""CTCAE: which grades exist for which term, in versions 5.0 and 6.0, and what each of them means.

Not every term has every grade: urticaria stops at 3, anaphylaxis starts at 3, phlebitis is only 2.
Some terms exist in one version alone. A grade is therefore always stored with its version.

Signatures
    find_term(text) -> str | None            the term's code for what somebody wrote, or None
    grades(term, version) -> tuple[int, ...] the grades that exist; empty when the version lacks the term
    version_for(term, preferred) -> str      the preferred version where it knows the term, else the other
    check_grade(term, grade, version)        raises UndefinedGrade with a sentence for the person typing
    candidates(text) -> list[str]            labels to choose from for words that leave several terms open
    suggest(text) -> list[str]               the same, else labels close to an unknown word
    hint(term, grade, version) -> str        what the grade means, in a line; UndefinedGrade where there is none
    hints(term, version) -> dict[int, str]   the same for every grade that exists
    note(term, version) -> str               what to know before choosing the term; mostly empty
    remarks(version) -> tuple[str, ...]      how to read the hints

Source: US National Cancer Institute, CTCAE v5.0 (27 November 2017) and v6.0 (workbook of 10 July 2025,
errata of 20 January 2026), a work of the US government. The 8-digit codes are MedDRA's and are left out on purpose.
"Other" stands for CTCAE's "Other, specify", which has all five grades and needs the reporter's own words.

The table is data/ctcae.csv. A grade exists where its cell is filled. A row for "5.0 6.0" holds for both versions;
in a row for 6.0 a cell with "=" repeats that of 5.0. Thresholds, durations, what is indicated ("needed") and which
activities are limited carry over exactly; the words are IVIGTrack's. Left out: what 6.0 adds for children to nearly
every limit of activities, which is one remark, and advice to consider terms that have nothing to do with
immunoglobulin.
"""

import csv
import re
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path

V5 = "5.0"
V6 = "6.0"
VERSIONS = (V5, V6)
OTHER = "other"
# The term for an episode as a whole.
EPISODE = "infusion_related_reaction"
DEATH_GRADE = 5
TABLE = Path(__file__).resolve().parent.parent / "data" / "ctcae.csv"
SAME_AS_V5 = "="


class UndefinedGrade(ValueError):
    """The grade does not exist for the term in that version."""


@dataclass(frozen=True)
class Term:
    """A term; hints by version and grade, notes by version. A version without the term has no hints."""

    code: str
    label: str
    system: str
    hints: dict[str, dict[int, str]] = field(default_factory=lambda: {V5: {}, V6: {}}, compare=False, repr=False)
    notes: dict[str, str] = field(default_factory=lambda: {V5: "", V6: ""}, compare=False, repr=False)

    @property
    def v5(self) -> tuple[int, ...]:
        return tuple(self.hints[V5])

    @property
    def v6(self) -> tuple[int, ...]:
        return tuple(self.hints[V6])


def _read_table() -> dict[str, Term]:
    """The terms by code, in the order of the table. KeyError where "=" has nothing to repeat."""
    terms: dict[str, Term] = {}
    with TABLE.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            term = terms.setdefault(row["code"], Term(row["code"], row["label"], row["system"]))
            for version in row["versions"].split():
                for grade in range(1, 6):
                    if cell := row[f"grade_{grade}"]:
                        term.hints[version][grade] = term.hints[V5][grade] if cell == SAME_AS_V5 else cell
                term.notes[version] = term.notes[V5] if row["note"] == SAME_AS_V5 else row["note"]
    return terms


TERMS: dict[str, Term] = _read_table()

REMARKS = (
    "A semicolon between the parts of a grade means “or”.",
    "Shopping, meals, phone and money are CTCAE's instrumental activities of daily living. Washing, dressing, eating"
    " and toilet are its self-care, with taking medicines and not being bedridden.",
)
CHILDREN_IN_V6 = (
    "Children: where grade 2 or 3 names such activities, it is also met by a mild or moderate (grade 2) or a severe"
    " (grade 3) impact on what is normal at their age."
)

# What people write for a term: other spellings and everyday words that mean this term and no other. Keys are in the
# form that _plain() gives. Words that leave more than one term open stand in AMBIGUOUS.
SYNONYMS: dict[str, str] = {
    "abdominal cramps": "abdominal_pain",
    "acute renal failure": "acute_kidney_injury",
    "aki": "acute_kidney_injury",
    "anaphylactic reaction": "anaphylaxis",
    "anaphylactic shock": "anaphylaxis",
    "ards": "adult_respiratory_distress_syndrome",
    "aseptic meningitis syndrome": "aseptic_meningitis",
    "backache": "back_pain",
    "breathlessness": "dyspnea",
    "chill": "chills",
    "deep vein thrombosis": "venous_thromboembolism",
    "diaphoresis": "hyperhidrosis",
    "diarrhoea": "diarrhea",
    "dizzy": "dizziness",
    "dvt": "venous_thromboembolism",
    "dyspnoea": "dyspnea",
    "emesis": "vomiting",
    "facial edema": "edema_face",
    "facial oedema": "edema_face",
    "fainting": "syncope",
    "febrile reaction": "fever",
    "flu like illness": "flu_like_symptoms",
    "flu like syndrome": "flu_like_symptoms",
    "flush": "flushing",
    "haemoglobinuria": "hemoglobinuria",
    "haemolysis": "hemolysis",
    "haemolytic anaemia": "hemolytic_anemia",
    "anaemia": "anemia",
    "hives": "urticaria",
    "hyponatraemia": "hyponatremia",
    "hypoxemia": "hypoxia",
    "hypoxaemia": "hypoxia",
    "infusion reaction": "infusion_related_reaction",
    "irr": "infusion_related_reaction",
    "itch": "pruritus",
    "itching": "pruritus",
    "joint pain": "arthralgia",
    "laryngeal oedema": "laryngeal_edema",
    "low blood pressure": "hypotension",
    "muscle pain": "myalgia",
    "near fainting": "presyncope",
    "neutropenia": "neutrophil_count_decreased",
    "oedema face": "edema_face",
    "palpitation": "palpitations",
    "periorbital oedema": "periorbital_edema",
    "pulmonary embolism": "venous_thromboembolism",
    "pulmonary oedema": "pulmonary_edema",
    "pyrexia": "fever",
    "rigor": "chills",
    "rigors": "chills",
    "shivering": "chills",
    "shortness of breath": "dyspnea",
    "sweating": "hyperhidrosis",
    "tia": "transient_ischemic_attacks",
    "tiredness": "fatigue",
    "wheeze": "wheezing",
}

# Words that more than one term could stand for, or that say more or less than the nearest term, with the terms to
# choose from. Only who saw the patient can choose, so these are never turned into a term.
AMBIGUOUS: dict[str, tuple[str, ...]] = {
    "aches": ("myalgia", "arthralgia", "pain"),
    "allergy": ("allergic_reaction", "anaphylaxis", "urticaria"),
    "ams": ("aseptic_meningitis", "confusion"),
    "anaphylactoid reaction": ("anaphylaxis", "allergic_reaction", "infusion_related_reaction"),
    "angioedema": ("edema_face", "periorbital_edema", "laryngeal_edema"),
    "angiooedema": ("edema_face", "periorbital_edema", "laryngeal_edema"),
    "blood clot": ("venous_thromboembolism", "arterial_thromboembolism", "thromboembolic_event"),
    "body aches": ("myalgia", "pain", "flu_like_symptoms"),
    "chest discomfort": ("non_cardiac_chest_pain", "chest_pain_cardiac"),
    "chest pain": ("non_cardiac_chest_pain", "chest_pain_cardiac"),
    "chest tightness": ("non_cardiac_chest_pain", "chest_pain_cardiac", "dyspnea", "bronchospasm"),
    "edema": ("edema_face", "periorbital_edema", "laryngeal_edema", "pulmonary_edema"),
    "lethargy": ("fatigue", "malaise"),
    "lip swelling": ("edema_face", "allergic_reaction", "anaphylaxis"),
    "migraine": ("headache",),
    "oedema": ("edema_face", "periorbital_edema", "laryngeal_edema", "pulmonary_edema"),
    "rash": ("rash_maculo_papular", "urticaria"),
    "reaction": ("infusion_related_reaction", "allergic_reaction", "injection_site_reaction"),
    "skin rash": ("rash_maculo_papular", "urticaria"),
    "stomach pain": ("abdominal_pain",),
    "swelling": ("edema_face", "periorbital_edema", "laryngeal_edema"),
    "tachycardia": ("sinus_tachycardia", "supraventricular_tachycardia"),
    "temperature": ("fever",),
    "throat swelling": ("laryngeal_edema", "anaphylaxis"),
    "throat tightness": ("laryngeal_edema", "laryngospasm", "anaphylaxis"),
    "thromboembolism": ("venous_thromboembolism", "arterial_thromboembolism", "thromboembolic_event"),
    "thrombosis": ("venous_thromboembolism", "arterial_thromboembolism", "thromboembolic_event"),
    "tongue swelling": ("edema_face", "allergic_reaction", "anaphylaxis"),
}


def _plain(text: str) -> str:
    """Lower case, one space for every run of anything but letters."""
    return re.sub(r"[^a-z]+", " ", text.lower()).strip()


_BY_WORDS = (
    {_plain(term.label): term.code for term in TERMS.values()} | {_plain(code): code for code in TERMS} | SYNONYMS
)


def find_term(text: str) -> str | None:
    """The code of the term that the words mean; case, hyphens and underscores do not matter."""
    return _BY_WORDS.get(_plain(text))


def _hints(term: str, version: str) -> dict[int, str]:
    """Raises KeyError for an unknown term and ValueError for an unknown version."""
    _check_version(version)
    return TERMS[term].hints[version]


def _check_version(version: str) -> None:
    if version not in VERSIONS:
        raise ValueError(f"CTCAE version {version!r} is not one of {', '.join(VERSIONS)}")


def grades(term: str, version: str) -> tuple[int, ...]:
    """The grades that exist for the term in the version; empty when the version does not have the term.

    Raises KeyError for an unknown term and ValueError for an unknown version.
    """
    return tuple(_hints(term, version))


def version_for(term: str, preferred: str) -> str:
    """The preferred version when it has the term, otherwise the version that does."""
    if grades(term, preferred):
        return preferred
    return V6 if preferred == V5 else V5


def check_grade(term: str, grade: int, version: str) -> None:
    """Raise UndefinedGrade, worded for the person typing, when the grade does not exist for the term."""
    allowed = grades(term, version)
    if grade in allowed:
        return
    label = TERMS[term].label
    if not allowed:
        raise UndefinedGrade(f"CTCAE v{version} has no term “{label}”.")
    listed = " or ".join(str(g) for g in allowed) if len(allowed) < 3 else f"{allowed[0]} to {allowed[-1]}"
    raise UndefinedGrade(f"{label} has no grade {grade} in CTCAE v{version}: choose {listed}.")


def hints(term: str, version: str) -> dict[int, str]:
    """What each grade that exists means, the lowest grade first; empty when the version does not have the term.

    Raises KeyError for an unknown term and ValueError for an unknown version.
    """
    return dict(_hints(term, version))


def hint(term: str, grade: int, version: str) -> str:
    """What the grade means, in at most 110 characters. Raises UndefinedGrade where the grade does not exist."""
    check_grade(term, grade, version)
    return _hints(term, version)[grade]


def note(term: str, version: str) -> str:
    """What CTCAE asks to bear in mind when choosing the term, such as what not to record with it; often empty.

    Raises KeyError for an unknown term and ValueError for an unknown version.
    """
    _check_version(version)
    return TERMS[term].notes[version]


def remarks(version: str) -> tuple[str, ...]:
    """How to read the hints of a version, in sentences. Raises ValueError for an unknown version."""
    _check_version(version)
    return (*REMARKS, CHILDREN_IN_V6) if version == V6 else REMARKS


def candidates(text: str) -> list[str]:
    """The labels to choose from for words that leave more than one term open; empty for all other words."""
    return [TERMS[code].label for code in AMBIGUOUS.get(_plain(text), ())]


def suggest(text: str) -> list[str]:
    """The candidates(); for other words up to three labels whose words resemble the text, the closest first."""
    if open_terms := candidates(text):
        return open_terms
    close = get_close_matches(_plain(text), _BY_WORDS, n=3, cutoff=0.7)
    return list(dict.fromkeys(TERMS[_BY_WORDS[words]].label for words in close))
