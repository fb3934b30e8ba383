"""How urgent a patient's answer is. Pure.

Signatures
    triage(symptoms, *, has_problem, care_sought, still_there) -> Triage
        symptoms: {PatientSymptom: PatientSeverity}; Triage.level is None when no problem was reported

Red words need no severity. A red symptom that is over by the time of the answer is amber, marked as resolved. Any
severe symptom, a visit to an emergency room or hospital, and headache with fever and a stiff neck or light that hurts
are at least amber. Everything else is green.

Source of the words: section 17 of US immune globulin labels (Bivigam). The levels and their order are this project's.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from reactions.vocabulary import LABELS, AlertLevel, PatientSeverity, PatientSymptom

RED_WORDS = frozenset(
    {
        PatientSymptom.BREATHING,
        PatientSymptom.SWELLING_FACE,
        PatientSymptom.CHEST_PAIN,
        PatientSymptom.FAINTING,
        PatientSymptom.ONE_SIDED,
        PatientSymptom.CONFUSION,
        PatientSymptom.WORST_HEADACHE,
    }
)
AMBER_WORDS = frozenset({PatientSymptom.LEG_SWELLING, PatientSymptom.DARK_URINE, PatientSymptom.LITTLE_URINE})
MENINGITIS_WORDS = frozenset({PatientSymptom.HEADACHE, PatientSymptom.FEVER, PatientSymptom.STIFF_NECK})
HIVES_WITH_DIZZINESS = frozenset({PatientSymptom.RASH, PatientSymptom.DIZZY})
HOSPITAL = "hospital"


@dataclass(frozen=True)
class Triage:
    """The level, None when nothing was reported, and what led to it, in words for staff."""

    level: AlertLevel | None
    reasons: tuple[str, ...] = ()


def triage(
    symptoms: Mapping[PatientSymptom, PatientSeverity],
    *,
    has_problem: bool = True,
    care_sought: str = "",
    still_there: bool | None = None,
) -> Triage:
    """The level of an answer. `still_there` False means that all of it is over."""
    if not has_problem:
        return Triage(None)
    reported = frozenset(symptoms)
    red = [in_words(symptom) for symptom in symptoms if symptom in RED_WORDS]
    if reported >= HIVES_WITH_DIZZINESS:
        red.append("rash or hives together with dizziness")
    amber = _amber_reasons(symptoms, reported, care_sought)
    if red and still_there is not False:
        return Triage(AlertLevel.RED, (*red, *amber))
    if red:
        return Triage(AlertLevel.AMBER, (*(f"{word} (resolved)" for word in red), *amber))
    if amber:
        return Triage(AlertLevel.AMBER, tuple(amber))
    named = tuple(in_words(symptom) for symptom in symptoms)
    return Triage(AlertLevel.GREEN, named or ("a problem without a symptom named",))


def in_words(symptom: PatientSymptom) -> str:
    """The symptom as the patient read it, to stand within a sentence."""
    label = LABELS[PatientSymptom][symptom]
    return label[0].lower() + label[1:]


def _amber_reasons(
    symptoms: Mapping[PatientSymptom, PatientSeverity], reported: frozenset[PatientSymptom], care_sought: str
) -> list[str]:
    reasons = [
        f"severe: {in_words(symptom)}"
        for symptom, severity in symptoms.items()
        if severity == PatientSeverity.SEVERE and symptom not in RED_WORDS
    ]
    reasons += [in_words(word) for word in symptoms if word in AMBER_WORDS]
    if reported >= MENINGITIS_WORDS:
        reasons.append("headache with fever and a stiff neck or light that hurts")
    if care_sought == HOSPITAL:
        reasons.append("went to an emergency room or hospital")
    return list(dict.fromkeys(reasons))
