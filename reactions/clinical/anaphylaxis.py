"""Which published criteria for anaphylaxis the recorded signs of a reaction meet, and how severe they are. Pure.

Signatures
    assess(evidence) -> Assessment                        both verdicts, the grade, and every note once
    niaid_faan_2006(evidence) -> Verdict                  C1, C2, C3
    wao_2020(evidence) -> Verdict                         W1, W2
    brown_grade(evidence) -> int | None                   1 mild, 2 moderate, 3 severe; None without any feature
    low_systolic_limit(age_years, standard) -> float | None   mmHg; a lower systolic pressure is low
    Verdict.in_words() -> tuple[str, ...]                 one line for each criterion met, or that none is

A criterion that is met is a statement about what was recorded, never a diagnosis: the criteria are sensitive, and an
infusion given too fast can meet one. Fever, chills and headache are in no criterion and have no field here.

NIAID/FAAN 2006, any one of
    C1  skin or mucosa, with a respiratory sign, reduced blood pressure or an end-organ sign
    C2  after a likely allergen for this patient, two or more of: skin or mucosa; a respiratory sign; reduced blood
        pressure or an end-organ sign; persistent gastrointestinal symptoms
    C3  after a known allergen for this patient, reduced blood pressure
WAO 2020, either of
    W1  skin or mucosa, with a respiratory sign, reduced blood pressure or an end-organ sign, or severe
        gastrointestinal symptoms
    W2  after a known or highly probable allergen for this patient, reduced blood pressure, bronchospasm or a
        laryngeal sign, also without skin
All of them suppose an onset within minutes to several hours. Blood pressure is reduced below the limit for the age or
after a fall of MORE than 30 % from the baseline.

Whether immune globulin is an allergen for this patient is asked, never assumed (`Exposure`). HIGHLY_PROBABLE is enough
for C2, which asks for "likely", and for W2, which names it; not for C3, which asks for "known".

Sources: Sampson et al., J Allergy Clin Immunol 2006;117:391, as reprinted in Pediatrics (table 4 of
aappublications 98020) and Acute Med Surg 2020 (PMC7659525), with the children's limits. Cardona et al., World Allergy
Organ J 2020;13:100472, as reprinted in McMaster Textbook table 2.2-1 and PMC8953896. Brown, J Allergy Clin Immunol
2004;114:371, as tabulated in PMC9156473, table 2. Of WAO 2020 two details were not checked against a copy: the limit
of blood pressure for children, and the list of laryngeal signs.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

ADULT_SYSTOLIC_MMHG = 90.0  # NIAID/FAAN 2006 from 11 years, WAO 2020 from 10 years
INFANT_SYSTOLIC_MMHG = 70.0  # NIAID/FAAN 2006, from 1 month to 1 year
CHILD_SYSTOLIC_MMHG = (70.0, 2.0)  # 70 + 2 × age in years: NIAID/FAAN 2006 from 1 to 10 years, WAO 2020 below 10
ONE_MONTH_IN_YEARS = 1 / 12
FALL_PERCENT = 30  # both; a fall of exactly this much does not count
HYPOXAEMIA_SPO2_PERCENT = 92  # Brown 2004, "at or below"; neither set of criteria gives a number
SYSTEMS_FOR_C2 = 2


class Standard(StrEnum):
    NIAID_FAAN_2006 = "niaid_faan_2006"
    WAO_2020 = "wao_2020"


STANDARD_NAMES = {Standard.NIAID_FAAN_2006: "NIAID/FAAN 2006", Standard.WAO_2020: "WAO 2020"}


class Criterion(StrEnum):
    C1 = "C1"
    C2 = "C2"
    C3 = "C3"
    W1 = "W1"
    W2 = "W2"


class Exposure(StrEnum):
    """Is immune globulin an allergen, or another trigger, for this patient? From the weakest answer to the strongest.

    NOT_KNOWN        not asked, or nobody can tell
    LIKELY           the infusion is held to be the likely cause
    HIGHLY_PROBABLE  hardly anything else can be the cause; no earlier reaction is on record
    KNOWN            this patient reacted to this product or another immune globulin before
    """

    NOT_KNOWN = "not_known"
    LIKELY = "likely"
    HIGHLY_PROBABLE = "highly_probable"
    KNOWN = "known"


@dataclass(frozen=True)
class Evidence:
    """What was ticked and measured during one reaction; as it stands here, nothing was.

    WORDS says what each tick stands for. `age_years` counts months as twelfths. `spo2_percent` and `systolic_mmhg` are
    the lowest values of the reaction, `baseline_systolic_mmhg` the patient's own before it. `acute_onset`: the signs
    came within minutes to several hours.
    """

    acute_onset: bool = True
    exposure: Exposure = Exposure.NOT_KNOWN
    age_years: float | None = None
    # skin and mucosa
    hives: bool = False
    itch: bool = False
    flushing: bool = False
    swollen_lips_tongue_uvula: bool = False
    periorbital_oedema: bool = False
    angioedema: bool = False
    # breathing and throat
    dyspnoea: bool = False
    wheeze: bool = False
    stridor: bool = False
    reduced_peak_flow: bool = False
    spo2_percent: int | None = None
    cyanosis: bool = False
    voice_change: bool = False
    painful_swallowing: bool = False
    chest_or_throat_tightness: bool = False
    # blood pressure and what comes of it
    systolic_mmhg: int | None = None
    baseline_systolic_mmhg: int | None = None
    collapse: bool = False
    syncope: bool = False
    loss_of_consciousness: bool = False
    incontinence: bool = False
    presyncope: bool = False
    diaphoresis: bool = False
    confusion: bool = False
    # stomach and bowel
    nausea: bool = False
    vomiting: bool = False
    abdominal_pain: bool = False
    persistent_gi: bool = False
    severe_gi: bool = False


WORDS: dict[str, str] = {
    "hives": "generalised hives",
    "itch": "generalised itch",
    "flushing": "flushing or generalised erythema",
    "swollen_lips_tongue_uvula": "swollen lips, tongue or uvula",
    "periorbital_oedema": "swelling around the eyes",
    "angioedema": "angioedema elsewhere",
    "dyspnoea": "dyspnoea",
    "wheeze": "wheeze or bronchospasm",
    "stridor": "stridor",
    "reduced_peak_flow": "reduced peak flow",
    "cyanosis": "cyanosis",
    "voice_change": "change of voice",
    "painful_swallowing": "painful swallowing",
    "chest_or_throat_tightness": "chest or throat tightness",
    "collapse": "collapse or hypotonia",
    "syncope": "syncope",
    "loss_of_consciousness": "loss of consciousness",
    "incontinence": "incontinence",
    "presyncope": "presyncope or dizziness",
    "diaphoresis": "diaphoresis",
    "confusion": "confusion",
    "nausea": "nausea",
    "vomiting": "vomiting",
    "abdominal_pain": "abdominal pain",
    "persistent_gi": "persistent gastrointestinal symptoms",
    "severe_gi": "severe crampy abdominal pain or repetitive vomiting",
}

# The published lists begin with "for example": swelling around the eyes and angioedema elsewhere are counted as skin,
# loss of consciousness as the end-organ sign that syncope is, severe gastrointestinal symptoms as persistent ones.
SKIN = ("hives", "itch", "flushing", "swollen_lips_tongue_uvula", "periorbital_oedema", "angioedema")
RESPIRATORY = ("dyspnoea", "wheeze", "stridor", "reduced_peak_flow")
END_ORGAN = ("collapse", "syncope", "loss_of_consciousness", "incontinence")
GASTROINTESTINAL = ("persistent_gi", "severe_gi")
# The criteria write "wheeze-bronchospasm" as one sign, so that a wheeze is the bronchospasm of W2.
BRONCHOSPASM_OR_LARYNGEAL = ("wheeze", "stridor", "voice_change", "painful_swallowing")

# Reduced peak flow and the throat's signs are not on Brown's list by name: "features suggesting respiratory
# involvement, for example".
BROWN_MODERATE = (
    *RESPIRATORY,
    *GASTROINTESTINAL,
    "voice_change",
    "painful_swallowing",
    "chest_or_throat_tightness",
    "presyncope",
    "diaphoresis",
    "nausea",
    "vomiting",
    "abdominal_pain",
)
BROWN_SEVERE = (*END_ORGAN, "cyanosis", "confusion")

NOT_ACUTE = "The onset was not within minutes to several hours: no criterion can be met."
NO_PRESSURE = "No blood pressure was recorded: a reduced one counts as absent."
NO_BASELINE = (
    "No baseline systolic pressure was recorded: only the absolute limit was applied where there is one, "
    f"a fall of more than {FALL_PERCENT} % could not be judged."
)
NO_AGE = f"No age was recorded: the limit of blood pressure for adults, {ADULT_SYSTOLIC_MMHG:g} mmHg, was applied."
NO_LIMIT = "No limit of blood pressure is published for an age below 1 month: none was applied."
NO_SPO2 = "No SpO2 was recorded: hypoxaemia counts as absent; cyanosis does not stand in for it."
TIGHTNESS_ALONE = (
    "Chest or throat tightness is not a respiratory sign of the criteria; breathing that was hard as well is dyspnoea."
)


@dataclass(frozen=True)
class Met:
    """A criterion that is met, and the recorded evidence behind it, in words."""

    criterion: Criterion
    evidence: tuple[str, ...]


@dataclass(frozen=True)
class Verdict:
    """What one set of criteria says, and the notes that must be read with it."""

    standard: Standard
    met: tuple[Met, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def criteria(self) -> tuple[Criterion, ...]:
        return tuple(met.criterion for met in self.met)

    def in_words(self) -> tuple[str, ...]:
        name = STANDARD_NAMES[self.standard]
        if not self.met:
            return (f"meets no criterion of {name}",)
        return tuple(f"meets criterion {met.criterion} of {name}: {_joined(met.evidence)}" for met in self.met)


@dataclass(frozen=True)
class Assessment:
    niaid_faan_2006: Verdict
    wao_2020: Verdict
    brown_grade: int | None
    notes: tuple[str, ...]


def assess(evidence: Evidence) -> Assessment:
    niaid, wao = niaid_faan_2006(evidence), wao_2020(evidence)
    return Assessment(niaid, wao, brown_grade(evidence), tuple(dict.fromkeys((*niaid.notes, *wao.notes))))


def niaid_faan_2006(evidence: Evidence) -> Verdict:
    standard = Standard.NIAID_FAAN_2006
    skin, breathing, gut = _skin(evidence), _respiratory(evidence), _ticked(evidence, GASTROINTESTINAL)
    pressure = _reduced_pressure(evidence, standard)
    circulation = (*pressure, *_ticked(evidence, END_ORGAN))
    systems = [signs for signs in (skin, breathing, circulation, gut) if signs]
    return _verdict(
        evidence,
        standard,
        (
            _Signs(Criterion.C1, _with(skin, (*breathing, *circulation))),
            _Signs(Criterion.C2, _all_of(systems) if len(systems) >= SYSTEMS_FOR_C2 else (), Exposure.LIKELY),
            _Signs(Criterion.C3, pressure, Exposure.KNOWN),
        ),
    )


def wao_2020(evidence: Evidence) -> Verdict:
    standard = Standard.WAO_2020
    pressure = _reduced_pressure(evidence, standard)
    others = _all_of(
        (_respiratory(evidence), pressure, _ticked(evidence, END_ORGAN), _ticked(evidence, ("severe_gi",)))
    )
    airway = _ticked(evidence, BRONCHOSPASM_OR_LARYNGEAL)
    return _verdict(
        evidence,
        standard,
        (
            _Signs(Criterion.W1, _with(_skin(evidence), others)),
            _Signs(Criterion.W2, (*pressure, *airway), Exposure.HIGHLY_PROBABLE),
        ),
    )


def brown_grade(evidence: Evidence) -> int | None:
    """The grade of the worst feature, whatever the onset. Brown gives 90 mmHg for adults and nothing for children.

    For them the limits of NIAID/FAAN 2006 are used. A fall of more than 30 % that stays above the limit is a feature of
    the circulation, grade 2.
    """
    low = _below_limit(evidence, Standard.NIAID_FAAN_2006)
    if low or _hypoxaemia(evidence) or _ticked(evidence, BROWN_SEVERE):
        return 3
    if _fall(evidence) or _ticked(evidence, BROWN_MODERATE):
        return 2
    return 1 if _ticked(evidence, SKIN) else None


def low_systolic_limit(age_years: float | None, standard: Standard) -> float | None:
    """In mmHg, to a tenth; a lower systolic pressure is low. The adult limit without an age, None below 1 month.

    The age enters the formula with its fraction, and the formula ends at the adult limit, which it reaches at 10 years
    in both standards: NIAID/FAAN 2006 leaves the year between "1 to 10" and "11 to 17" open. WAO 2020 names no lowest
    age; below 1 month its formula would call an ordinary pressure of a newborn low, so none is applied there either.
    """
    if age_years is None:
        return ADULT_SYSTOLIC_MMHG
    if age_years < ONE_MONTH_IN_YEARS:
        return None
    if age_years < 1 and standard == Standard.NIAID_FAAN_2006:
        return INFANT_SYSTOLIC_MMHG
    at_birth, a_year = CHILD_SYSTOLIC_MMHG
    # Rounded, so that the number shown is the number compared.
    return min(ADULT_SYSTOLIC_MMHG, round(at_birth + a_year * age_years, 1))


@dataclass(frozen=True)
class _Signs:
    """The evidence for a criterion, empty when its signs are not there, and the exposure that it needs as well."""

    criterion: Criterion
    evidence: tuple[str, ...]
    needs: Exposure = Exposure.NOT_KNOWN


def _verdict(evidence: Evidence, standard: Standard, candidates: Iterable[_Signs]) -> Verdict:
    notes = _notes(evidence)
    if not evidence.acute_onset:
        return Verdict(standard, notes=(NOT_ACUTE, *notes))
    met = []
    for signs in candidates:
        enough = _at_least(signs.needs)
        if signs.evidence and evidence.exposure not in enough:
            notes.append(_needs_exposure(signs.criterion, enough))
        elif signs.evidence:
            asked = () if signs.needs == Exposure.NOT_KNOWN else (f"a {_words(evidence.exposure)} allergen",)
            met.append(Met(signs.criterion, (*asked, *signs.evidence)))
    return Verdict(standard, tuple(met), tuple(notes))


def _notes(evidence: Evidence) -> list[str]:
    """What was missing, and what was ticked and does not count."""
    return [*_notes_on_pressure(evidence), *_notes_on_breathing(evidence)]


def _notes_on_pressure(evidence: Evidence) -> list[str]:
    if evidence.systolic_mmhg is None:
        return [NO_PRESSURE]
    notes = []
    if evidence.baseline_systolic_mmhg is None:
        notes.append(NO_BASELINE)
    if evidence.age_years is None:
        notes.append(NO_AGE)
    elif evidence.age_years < ONE_MONTH_IN_YEARS:
        notes.append(NO_LIMIT)
    return notes


def _notes_on_breathing(evidence: Evidence) -> list[str]:
    notes = []
    if evidence.spo2_percent is None:
        notes.append(NO_SPO2)
    if evidence.chest_or_throat_tightness and not _respiratory(evidence):
        notes.append(TIGHTNESS_ALONE)
    return notes


def _needs_exposure(criterion: Criterion, enough: tuple[Exposure, ...]) -> str:
    allergen = " or ".join(_words(level) for level in enough)
    return f"{criterion} has its signs; it also needs immune globulin to be a {allergen} allergen for this patient."


def _at_least(level: Exposure) -> tuple[Exposure, ...]:
    levels = tuple(Exposure)
    return levels[levels.index(level) :]


def _skin(evidence: Evidence) -> tuple[str, ...]:
    ticked = _ticked(evidence, SKIN)
    return (f"skin or mucosa ({', '.join(ticked)})",) if ticked else ()


def _respiratory(evidence: Evidence) -> tuple[str, ...]:
    return (*_ticked(evidence, RESPIRATORY), *_hypoxaemia(evidence))


def _hypoxaemia(evidence: Evidence) -> tuple[str, ...]:
    spo2 = evidence.spo2_percent
    if spo2 is None or spo2 > HYPOXAEMIA_SPO2_PERCENT:
        return ()
    return (f"SpO2 {spo2} % ({HYPOXAEMIA_SPO2_PERCENT} or less)",)


def _reduced_pressure(evidence: Evidence, standard: Standard) -> tuple[str, ...]:
    return (*_below_limit(evidence, standard), *_fall(evidence))


def _below_limit(evidence: Evidence, standard: Standard) -> tuple[str, ...]:
    systolic, limit = evidence.systolic_mmhg, low_systolic_limit(evidence.age_years, standard)
    if systolic is None or limit is None or systolic >= limit:
        return ()
    return (f"systolic pressure {systolic} mmHg (below {limit:g})",)


def _fall(evidence: Evidence) -> tuple[str, ...]:
    """In whole numbers: 84 from 120 is exactly 30 % and must not be more by a rounding error."""
    systolic, baseline = evidence.systolic_mmhg, evidence.baseline_systolic_mmhg
    if systolic is None or baseline is None or 100 * (baseline - systolic) <= FALL_PERCENT * baseline:
        return ()
    return (f"systolic pressure down by more than {FALL_PERCENT} % (from {baseline} to {systolic} mmHg)",)


def _ticked(evidence: Evidence, names: Iterable[str]) -> tuple[str, ...]:
    return tuple(WORDS[name] for name in names if getattr(evidence, name))


def _with(first: tuple[str, ...], others: tuple[str, ...]) -> tuple[str, ...]:
    """Both, or nothing when one of them is empty."""
    return (*first, *others) if first and others else ()


def _all_of(systems: Iterable[tuple[str, ...]]) -> tuple[str, ...]:
    return tuple(word for signs in systems for word in signs)


def _words(exposure: Exposure) -> str:
    return exposure.replace("_", " ")


def _joined(evidence: tuple[str, ...]) -> str:
    """No criterion is met by one thing alone: it takes a second sign, or the exposure."""
    first, *others = evidence
    return f"{first}, with {', '.join(others)}"
