"""How urgent a patient's answer is. Pure.

Signatures
    triage(symptoms, *, has_problem=True, care_sought="", still_there=None,
           gone=frozenset(), lasted={}) -> Triage
        symptoms         {PatientSymptom: PatientSeverity}; the severity may be None where it was not said
        has_problem      False: nothing new or worse; the level is None, whatever else is given
        care_sought      "hospital" for the emergency room or hospital; other words do not count
        still_there      False: all of it is over. True and None leave it to `gone`
        gone             the symptoms that are over by the time of the answer
        lasted           {PatientSymptom: timedelta}, how long so far, where that is known
    gone_and_lasted(told, at) -> {"gone": …, "lasted": …}, arguments of triage
        told             {PatientSymptom: (when it began, whether it is still there)}, None where that was not said
        at               when the patient said so
    cannot_wait(level, marked, heard) -> bool: what reaches the clinic before the rest of the form is filled in
        marked, heard    the symptoms of a form that is not sent yet, and those of them that the clinic has heard of
    Triage.level         RED, AMBER, GREEN, or None when no problem was reported
    Triage.reasons       what led to it, in words for staff, the most urgent first; never empty with a level

Rules, the first that holds
    RED    a red word, of any severity; a rash or hives with dizziness or trouble breathing
    AMBER  a red word that is over: “(resolved)”
           an amber word; a severe answer in any symptom; a fever for more than 24 h; hospital or emergency room
           headache, fever and a stiff neck or light that hurts, though each is mild
           severe headache with a stiff neck, fever, light that hurts, painful eyes, drowsiness or vomiting
           a fast heartbeat is an amber word; with tiredness the two are named together, since haemolysis shows so
    GREEN  everything else that was reported, also what is mild and short

A word that is over is judged by itself: one red word gone and another still there is RED, and both are named. Hives
with dizziness or trouble breathing are over when the dizziness or the trouble breathing is, since hives outlast them.
An amber word or a severe symptom that is over stays AMBER, marked as resolved: a clot or haemolysis may pause.

Sources. The words: section 17 (patient counseling information) of US immune globulin labels, as in Bivigam's. Fever
from 38.0 °C is that label's and CTCAE's. The levels, their order, 24 hours and 3 days are this project's own, and so is
that mild and short problems are GREEN rather than nothing: a person of the clinic looks at each report once.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from reactions.vocabulary import LABELS, AlertLevel, PatientSeverity, PatientSymptom

RED_WORDS = frozenset(
    {
        PatientSymptom.BREATHING,
        PatientSymptom.SWELLING_FACE,
        PatientSymptom.CHEST_PAIN,
        PatientSymptom.FAINTING,
        PatientSymptom.BLUE_LIPS,
        PatientSymptom.ONE_SIDED,
        PatientSymptom.SIGHT_LOSS,
        PatientSymptom.SEIZURE,
        PatientSymptom.CONFUSION,
        PatientSymptom.VERY_DROWSY,
        PatientSymptom.WORST_HEADACHE,
        PatientSymptom.COUGHING_BLOOD,
    }
)
CLOT_WORDS = frozenset({PatientSymptom.LEG_SWELLING, PatientSymptom.FAST_PULSE})
HAEMOLYSIS_WORDS = frozenset({PatientSymptom.DARK_URINE, PatientSymptom.YELLOW, PatientSymptom.PALE})
KIDNEY_WORDS = frozenset(
    {PatientSymptom.LITTLE_URINE, PatientSymptom.WEIGHT_GAIN, PatientSymptom.BOTH_LEGS_SWOLLEN},
)
SKIN_WORDS = frozenset({PatientSymptom.WIDE_RASH, PatientSymptom.BLISTERS, PatientSymptom.MOUTH_SORES})
AMBER_WORDS = CLOT_WORDS | HAEMOLYSIS_WORDS | KIDNEY_WORDS | SKIN_WORDS | {PatientSymptom.VOMITING}

HIVES = frozenset({PatientSymptom.RASH, PatientSymptom.WIDE_RASH})
WITH_HIVES = {
    PatientSymptom.DIZZY: "rash or hives together with dizziness",
    PatientSymptom.BREATHING: "rash or hives together with trouble breathing",
}
STIFF_NECK_OR_LIGHT = frozenset({PatientSymptom.STIFF_NECK, PatientSymptom.LIGHT_HURTS})
# What beside a severe headache speaks for aseptic meningitis.
WITH_SEVERE_HEADACHE = STIFF_NECK_OR_LIGHT | {
    PatientSymptom.FEVER,
    PatientSymptom.EYE_PAIN,
    PatientSymptom.SLEEPY,
    PatientSymptom.VERY_DROWSY,
    PatientSymptom.NAUSEA,
    PatientSymptom.VOMITING,
}
HOSPITAL = "hospital"
LONG_FEVER = timedelta(hours=24)
LONG = timedelta(days=3)

Severities = Mapping[PatientSymptom, PatientSeverity | None]


@dataclass(frozen=True)
class Triage:
    """The level, None when nothing was reported, and what led to it, in words for staff."""

    level: AlertLevel | None
    reasons: tuple[str, ...] = ()


def triage(
    symptoms: Severities,
    *,
    has_problem: bool = True,
    care_sought: str = "",
    still_there: bool | None = None,
    gone: Collection[PatientSymptom] = frozenset(),
    lasted: Mapping[PatientSymptom, timedelta] | None = None,
) -> Triage:
    """The level of an answer and why; the head of this module names every argument and rule."""
    if not has_problem:
        return Triage(None)
    over = frozenset(symptoms) if still_there is False else frozenset(gone)
    known = lasted or {}
    red, resolved = _red_reasons(symptoms, over)
    long_fever = known.get(PatientSymptom.FEVER, timedelta()) > LONG_FEVER
    amber = [*resolved, *_amber_reasons(symptoms, over, care_sought, long_fever)]
    if red:
        return Triage(AlertLevel.RED, _each_once([*red, *amber]))
    if amber:
        return Triage(AlertLevel.AMBER, _each_once(amber))
    named = [_how_long(symptom, known) for symptom in symptoms]
    return Triage(AlertLevel.GREEN, _each_once(named or ["a problem without a symptom named"]))


def gone_and_lasted(told: Mapping[PatientSymptom, tuple[datetime | None, bool | None]], at: datetime) -> dict[str, Any]:
    """What `triage` takes of when symptoms began and ended. One that is not said to be over goes on."""
    return {
        "gone": frozenset(symptom for symptom, (_began, still_there) in told.items() if still_there is False),
        "lasted": {
            symptom: at - began for symptom, (began, still_there) in told.items() if began and still_there is not False
        },
    }


def cannot_wait(level: AlertLevel | None, marked: Collection[str], heard: Collection[str]) -> bool:
    """A RED answer, half filled in, of which the clinic has not heard something that is marked."""
    return level == AlertLevel.RED and not set(marked) <= set(heard)


def in_words(symptom: PatientSymptom) -> str:
    """The symptom as the patient read it, to stand within a sentence."""
    label = LABELS[PatientSymptom][symptom]
    return label[0].lower() + label[1:]


def _red_reasons(symptoms: Severities, over: frozenset[PatientSymptom]) -> tuple[list[str], list[str]]:
    """Red words that are there, and those that are over."""
    found = [(symptom, in_words(symptom)) for symptom in symptoms if symptom in RED_WORDS]
    if HIVES & symptoms.keys():
        found += [(sign, words) for sign, words in WITH_HIVES.items() if sign in symptoms]
    there = [words for symptom, words in found if symptom not in over]
    return there, [f"{words} (resolved)" for symptom, words in found if symptom in over]


def _amber_reasons(
    symptoms: Severities, over: frozenset[PatientSymptom], care_sought: str, long_fever: bool
) -> list[str]:
    reasons = [
        f"severe: {_said(symptom, over)}"
        for symptom, severity in symptoms.items()
        if severity == PatientSeverity.SEVERE and symptom not in RED_WORDS
    ]
    reasons += [_said(word, over) for word in symptoms if word in AMBER_WORDS]
    if {PatientSymptom.TIRED, PatientSymptom.FAST_PULSE} <= symptoms.keys():
        reasons.append("very tired with a fast heartbeat")
    reasons += _meningitis_reasons(symptoms)
    if long_fever:
        reasons.append("fever for more than 24 hours")
    if care_sought == HOSPITAL:
        reasons.append("went to an emergency room or hospital")
    return reasons


def _meningitis_reasons(symptoms: Severities) -> list[str]:
    reported = symptoms.keys()
    if {PatientSymptom.HEADACHE, PatientSymptom.FEVER} <= reported and STIFF_NECK_OR_LIGHT & reported:
        return ["headache with fever and a stiff neck or light that hurts"]
    beside = [in_words(symptom) for symptom in symptoms if symptom in WITH_SEVERE_HEADACHE]
    if symptoms.get(PatientSymptom.HEADACHE) == PatientSeverity.SEVERE and beside:
        return [f"severe headache together with: {', '.join(beside)}"]
    return []


def _said(symptom: PatientSymptom, over: frozenset[PatientSymptom]) -> str:
    return in_words(symptom) + (" (resolved)" if symptom in over else "")


def _how_long(symptom: PatientSymptom, known: Mapping[PatientSymptom, timedelta]) -> str:
    return in_words(symptom) + (", for more than 3 days" if known.get(symptom, timedelta()) > LONG else "")


def _each_once(reasons: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(reasons))
