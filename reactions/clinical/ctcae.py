"""CTCAE: which grades exist for which term, in versions 5.0 and 6.0.

Not every term has every grade: urticaria stops at 3, anaphylaxis starts at 3, phlebitis is only 2.
Some terms exist in one version alone. A grade is therefore always stored with its version.

Signatures
    find_term(text) -> str | None            the term's code for what somebody wrote, or None
    grades(term, version) -> tuple[int, ...] the grades that exist; empty when the version lacks the term
    version_for(term, preferred) -> str      the preferred version where it knows the term, else the other
    check_grade(term, grade, version)        raises UndefinedGrade with a sentence for the person typing
    suggest(text) -> list[str]               labels close to an unknown word

Source: US National Cancer Institute, CTCAE v5.0 (27 November 2017) and v6.0 (workbook of 10 July 2025,
errata of 20 January 2026). The 8-digit codes are MedDRA's and are left out on purpose. "Other" stands for
CTCAE's "Other, specify", which has all five grades and needs the reporter's own words.
"""

import re
from dataclasses import dataclass
from difflib import get_close_matches

V5 = "5.0"
V6 = "6.0"
VERSIONS = (V5, V6)
OTHER = "other"


class UndefinedGrade(ValueError):
    """The grade does not exist for the term in that version."""


@dataclass(frozen=True)
class Term:
    code: str
    label: str
    system: str
    v5: tuple[int, ...]
    v6: tuple[int, ...]


TERMS: dict[str, Term] = {
    term.code: term
    for term in (
        Term(
            "infusion_related_reaction",
            "Infusion related reaction",
            "Injury, poisoning and procedural complications",
            (1, 2, 3, 4, 5),
            (1, 2, 3, 4, 5),
        ),
        Term("allergic_reaction", "Allergic reaction", "Immune system disorders", (1, 2, 3, 4, 5), (1, 2, 3, 4, 5)),
        Term("anaphylaxis", "Anaphylaxis", "Immune system disorders", (3, 4, 5), (3, 4, 5)),
        Term(
            "cytokine_release_syndrome",
            "Cytokine release syndrome",
            "Immune system disorders",
            (1, 2, 3, 4, 5),
            (1, 2, 3, 4, 5),
        ),
        Term("serum_sickness", "Serum sickness", "Immune system disorders", (1, 2, 3, 4, 5), (1, 2, 3, 4, 5)),
        Term("headache", "Headache", "Nervous system disorders", (1, 2, 3), (1, 2, 3)),
        Term("chills", "Chills", "General disorders and administration site conditions", (1, 2, 3), (1, 2, 3)),
        Term(
            "fever", "Fever", "General disorders and administration site conditions", (1, 2, 3, 4, 5), (1, 2, 3, 4, 5)
        ),
        Term("urticaria", "Urticaria", "Skin and subcutaneous tissue disorders", (1, 2, 3), (1, 2, 3)),
        Term("pruritus", "Pruritus", "Skin and subcutaneous tissue disorders", (1, 2, 3), (1, 2, 3)),
        Term("flushing", "Flushing", "Vascular disorders", (1, 2, 3), (1, 2, 3)),
        Term("nausea", "Nausea", "Gastrointestinal disorders", (1, 2, 3), (1, 2, 3)),
        Term("vomiting", "Vomiting", "Gastrointestinal disorders", (1, 2, 3, 4, 5), (1, 2, 3, 4, 5)),
        Term("abdominal_pain", "Abdominal pain", "Gastrointestinal disorders", (1, 2, 3), (1, 2, 3)),
        Term("diarrhea", "Diarrhea", "Gastrointestinal disorders", (1, 2, 3, 4, 5), (1, 2, 3, 4, 5)),
        Term("myalgia", "Myalgia", "Musculoskeletal and connective tissue disorders", (1, 2, 3), (1, 2, 3)),
        Term("arthralgia", "Arthralgia", "Musculoskeletal and connective tissue disorders", (1, 2, 3), (1, 2, 3)),
        Term("back_pain", "Back pain", "Musculoskeletal and connective tissue disorders", (1, 2, 3), (1, 2, 3)),
        Term("hypotension", "Hypotension", "Vascular disorders", (1, 2, 3, 4, 5), (1, 2, 3, 4, 5)),
        Term("hypertension", "Hypertension", "Vascular disorders", (1, 2, 3, 4, 5), (2, 3, 4, 5)),
        Term("sinus_tachycardia", "Sinus tachycardia", "Cardiac disorders", (1, 2, 3), (1, 2, 3)),
        Term("palpitations", "Palpitations", "Cardiac disorders", (1, 2), (1, 2)),
        Term("chest_pain_cardiac", "Chest pain - cardiac", "Cardiac disorders", (1, 2, 3), (1, 2, 3)),
        Term(
            "non_cardiac_chest_pain",
            "Non-cardiac chest pain",
            "General disorders and administration site conditions",
            (1, 2, 3),
            (1, 2, 3),
        ),
        Term("dyspnea", "Dyspnea", "Respiratory, thoracic and mediastinal disorders", (1, 2, 3, 4, 5), (1, 2, 3, 4, 5)),
        Term(
            "bronchospasm",
            "Bronchospasm",
            "Respiratory, thoracic and mediastinal disorders",
            (1, 2, 3, 4, 5),
            (1, 2, 3, 4, 5),
        ),
        Term("wheezing", "Wheezing", "Respiratory, thoracic and mediastinal disorders", (1, 2, 3, 4, 5), ()),
        Term("cough", "Cough", "Respiratory, thoracic and mediastinal disorders", (1, 2, 3), (1, 2, 3)),
        Term("hypoxia", "Hypoxia", "Respiratory, thoracic and mediastinal disorders", (2, 3, 4, 5), (1, 2, 3, 4, 5)),
        Term(
            "laryngeal_edema",
            "Laryngeal edema",
            "Respiratory, thoracic and mediastinal disorders",
            (1, 2, 3, 4, 5),
            (1, 2, 3, 4, 5),
        ),
        Term("malaise", "Malaise", "General disorders and administration site conditions", (1, 2, 3), (1, 2, 3)),
        Term("fatigue", "Fatigue", "General disorders and administration site conditions", (1, 2, 3), (1, 2, 3)),
        Term("dizziness", "Dizziness", "Nervous system disorders", (1, 2, 3), (1, 2, 3)),
        Term("presyncope", "Presyncope", "Nervous system disorders", (2,), (2,)),
        Term("syncope", "Syncope", "Nervous system disorders", (3,), (3,)),
        Term("phlebitis", "Phlebitis", "Vascular disorders", (2,), (2,)),
        Term(
            "infusion_site_extravasation",
            "Infusion site extravasation",
            "General disorders and administration site conditions",
            (1, 2, 3, 4, 5),
            (1, 2, 3, 4, 5),
        ),
        Term(
            "injection_site_reaction",
            "Injection site reaction",
            "General disorders and administration site conditions",
            (1, 2, 3, 4, 5),
            (1, 2, 3, 4, 5),
        ),
        Term("meningitis", "Meningitis", "Infections and infestations", (3, 4, 5), (3, 4, 5)),
        Term("thromboembolic_event", "Thromboembolic event", "Vascular disorders", (1, 2, 3, 4, 5), ()),
        Term("stroke", "Stroke", "Nervous system disorders", (1, 2, 3, 4, 5), (1, 2, 3, 4, 5)),
        Term("myocardial_infarction", "Myocardial infarction", "Cardiac disorders", (2, 3, 4, 5), (2, 3, 4, 5)),
        Term("hemolysis", "Hemolysis", "Blood and lymphatic system disorders", (1, 2, 3, 4, 5), (1, 2, 3, 4, 5)),
        Term("acute_kidney_injury", "Acute kidney injury", "Renal and urinary disorders", (3, 4, 5), (3, 4, 5)),
        Term(
            "rash_maculo_papular",
            "Rash maculo-papular",
            "Skin and subcutaneous tissue disorders",
            (1, 2, 3),
            (1, 2, 3, 4, 5),
        ),
        Term("eczema", "Eczema", "Skin and subcutaneous tissue disorders", (1, 2, 3), ()),
        Term("neutrophil_count_decreased", "Neutrophil count decreased", "Investigations", (1, 2, 3, 4), (1, 2, 3, 4)),
        Term(
            "flu_like_symptoms",
            "Flu like symptoms",
            "General disorders and administration site conditions",
            (1, 2, 3),
            (1, 2, 3),
        ),
        Term("pain", "Pain", "General disorders and administration site conditions", (1, 2, 3), (1, 2, 3)),
        Term("creatinine_increased", "Creatinine increased", "Investigations", (1, 2, 3, 4), (1, 2, 3, 4)),
        Term("anemia", "Anemia", "Blood and lymphatic system disorders", (1, 2, 3, 4, 5), (1, 2, 3, 4, 5)),
        Term("hyponatremia", "Hyponatremia", "Metabolism and nutrition disorders", (1, 2, 3, 4, 5), (1, 2, 3, 4, 5)),
        Term(
            "pulmonary_edema",
            "Pulmonary edema",
            "Respiratory, thoracic and mediastinal disorders",
            (1, 2, 3, 4, 5),
            (1, 2, 3, 4, 5),
        ),
        Term(
            "adult_respiratory_distress_syndrome",
            "Adult respiratory distress syndrome",
            "Respiratory, thoracic and mediastinal disorders",
            (3, 4, 5),
            (3, 4, 5),
        ),
        Term("superficial_thrombophlebitis", "Superficial thrombophlebitis", "Vascular disorders", (2,), (2,)),
        Term(
            "vascular_access_complication",
            "Vascular access complication",
            "Injury, poisoning and procedural complications",
            (1, 2, 3, 4, 5),
            (1, 2, 3, 4, 5),
        ),
        Term("tremor", "Tremor", "Nervous system disorders", (1, 2, 3), (1, 2, 3)),
        Term("seizure", "Seizure", "Nervous system disorders", (1, 2, 3, 4, 5), (1, 2, 3, 4, 5)),
        Term("photophobia", "Photophobia", "Eye disorders", (1, 2, 3), (1, 2, 3)),
        Term("hyperhidrosis", "Hyperhidrosis", "Skin and subcutaneous tissue disorders", (1, 2, 3), (1, 2, 3)),
        Term("periorbital_edema", "Periorbital edema", "Eye disorders", (1, 2, 3), (1, 2, 3)),
        Term("transient_ischemic_attacks", "Transient ischemic attacks", "Nervous system disorders", (1, 2), (1, 2)),
        Term("edema_face", "Edema face", "General disorders and administration site conditions", (1, 2, 3), (1, 2, 3)),
        Term("aseptic_meningitis", "Aseptic meningitis", "Infections and infestations", (), (3, 4, 5)),
        Term("venous_thromboembolism", "Venous thromboembolism", "Vascular disorders", (), (1, 2, 3, 4, 5)),
        Term("arterial_thromboembolism", "Arterial thromboembolism", "Vascular disorders", (3, 4, 5), (3, 4, 5)),
        Term("eczematous_dermatitis", "Eczematous dermatitis", "Skin and subcutaneous tissue disorders", (), (1, 2, 3)),
        Term("hemolytic_anemia", "Hemolytic anemia", "Blood and lymphatic system disorders", (), (1, 2, 3, 4, 5)),
        Term("confusion", "Confusion", "Psychiatric disorders", (1, 2, 3, 4), (1, 2, 3, 4)),
        Term("hepatitis_viral", "Hepatitis viral", "Infections and infestations", (1, 2, 3, 4, 5), (1, 2, 3, 4, 5)),
        Term(
            "laryngospasm",
            "Laryngospasm",
            "Respiratory, thoracic and mediastinal disorders",
            (2, 3, 4, 5),
            (2, 3, 4, 5),
        ),
        Term("hemoglobinuria", "Hemoglobinuria", "Renal and urinary disorders", (1,), (1,)),
        Term("proteinuria", "Proteinuria", "Renal and urinary disorders", (1, 2, 3), ()),
        Term(
            "supraventricular_tachycardia",
            "Supraventricular tachycardia",
            "Cardiac disorders",
            (1, 2, 3, 4, 5),
            (1, 2, 3, 4, 5),
        ),
        Term("atrial_fibrillation", "Atrial fibrillation", "Cardiac disorders", (1, 2, 3, 4, 5), (1, 2, 3, 4, 5)),
        Term("restlessness", "Restlessness", "Psychiatric disorders", (1, 2, 3), (1, 2, 3)),
        Term("anxiety", "Anxiety", "Psychiatric disorders", (1, 2, 3, 4), (1, 2, 3, 4)),
        Term("blurred_vision", "Blurred vision", "Eye disorders", (1, 2, 3, 4), (1, 2, 3, 4)),
        Term(OTHER, "Other, specify", "Any system", (1, 2, 3, 4, 5), (1, 2, 3, 4, 5)),
    )
}

# What people write for a term. Keys are in the form that _plain() gives.
SYNONYMS: dict[str, str] = {
    "abdominal cramps": "abdominal_pain",
    "aches": "myalgia",
    "acute renal failure": "acute_kidney_injury",
    "aki": "acute_kidney_injury",
    "ams": "aseptic_meningitis",
    "anaphylactic reaction": "anaphylaxis",
    "anaphylactic shock": "anaphylaxis",
    "anaphylactoid reaction": "anaphylaxis",
    "angioedema": "edema_face",
    "ards": "adult_respiratory_distress_syndrome",
    "aseptic meningitis syndrome": "aseptic_meningitis",
    "backache": "back_pain",
    "body aches": "myalgia",
    "breathlessness": "dyspnea",
    "chest pain": "non_cardiac_chest_pain",
    "chest tightness": "non_cardiac_chest_pain",
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
    "lethargy": "fatigue",
    "low blood pressure": "hypotension",
    "migraine": "headache",
    "muscle pain": "myalgia",
    "near fainting": "presyncope",
    "neutropenia": "neutrophil_count_decreased",
    "oedema face": "edema_face",
    "palpitation": "palpitations",
    "periorbital oedema": "periorbital_edema",
    "pulmonary embolism": "venous_thromboembolism",
    "pulmonary oedema": "pulmonary_edema",
    "pyrexia": "fever",
    "rash": "rash_maculo_papular",
    "reaction": "infusion_related_reaction",
    "rigor": "chills",
    "rigors": "chills",
    "shivering": "chills",
    "shortness of breath": "dyspnea",
    "stomach pain": "abdominal_pain",
    "sweating": "hyperhidrosis",
    "tachycardia": "sinus_tachycardia",
    "temperature": "fever",
    "thromboembolism": "thromboembolic_event",
    "thrombosis": "thromboembolic_event",
    "throat tightness": "laryngeal_edema",
    "tia": "transient_ischemic_attacks",
    "tiredness": "fatigue",
    "wheeze": "wheezing",
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


def grades(term: str, version: str) -> tuple[int, ...]:
    """The grades that exist for the term in the version; empty when the version does not have the term.

    Raises KeyError for an unknown term and ValueError for an unknown version.
    """
    if version not in VERSIONS:
        raise ValueError(f"CTCAE version {version!r} is not one of {', '.join(VERSIONS)}")
    known = TERMS[term]
    return known.v5 if version == V5 else known.v6


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


def suggest(text: str) -> list[str]:
    """Up to three labels whose words resemble the text, the closest first."""
    close = get_close_matches(_plain(text), _BY_WORDS, n=3, cutoff=0.7)
    return list(dict.fromkeys(TERMS[_BY_WORDS[words]].label for words in close))
