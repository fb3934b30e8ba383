"""What makes a reaction likelier in a patient, and who says so. Pure.

Signatures
    RISK_FACTORS: dict[RiskFactor, RiskText]                each factor: its words, its source, what it is a risk of
    with_age(factors, age_years) -> frozenset[RiskFactor]   the factors, and age over 65 where the years say so
    is_at_risk(factors) -> bool                             a boxed warning names one: the label's lower limit applies

Sources
    thrombosis and kidney risks, age over 65: boxed warnings of US labels of the class (Octagam 10 %, Privigen).
    Studies of single factors stand with each factor.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

AGE_AT_RISK_ABOVE_YEARS = 65

BOXED_THROMBOSIS = "US labels, boxed warning on thrombosis (Octagam 10 %)"
BOXED_RENAL = "US labels, boxed warning on kidney failure (Octagam 10 %, Privigen)"


class RiskGroup(StrEnum):
    THROMBOSIS = "thrombosis"
    RENAL = "kidney injury"
    HAEMOLYSIS = "haemolysis"
    OTHER = "other reactions"


class Basis(StrEnum):
    BOXED_WARNING = "named in the boxed warning"
    LABEL = "named in a label"
    STUDY = "named in studies"


class RiskFactor(StrEnum):
    PRIOR_THROMBOSIS = "prior_thrombosis"
    IMMOBILISATION = "immobilisation"
    HYPERCOAGULABLE = "hypercoagulable"
    OESTROGEN = "oestrogen"
    CENTRAL_CATHETER = "central_catheter"
    HYPERVISCOSITY = "hyperviscosity"
    CARDIOVASCULAR = "cardiovascular"
    AGE_OVER_65 = "age_over_65"
    RENAL_INSUFFICIENCY = "renal_insufficiency"
    DIABETES = "diabetes"
    VOLUME_DEPLETION = "volume_depletion"
    SEPSIS = "sepsis"
    PARAPROTEINAEMIA = "paraproteinaemia"
    NEPHROTOXIC_DRUGS = "nephrotoxic_drugs"
    DERMATOMYOSITIS = "dermatomyositis"
    NON_O_BLOOD_GROUP = "non_o_blood_group"
    MIGRAINE = "migraine"
    CURRENT_INFECTION = "current_infection"
    ATOPY = "atopy"
    NEUROMUSCULAR_DISEASE = "neuromuscular_disease"


@dataclass(frozen=True)
class RiskText:
    label: str
    basis: Basis
    source: str
    groups: tuple[RiskGroup, ...]


def _thrombosis(label: str) -> RiskText:
    return RiskText(label, Basis.BOXED_WARNING, BOXED_THROMBOSIS, (RiskGroup.THROMBOSIS,))


def _renal(label: str) -> RiskText:
    return RiskText(label, Basis.BOXED_WARNING, BOXED_RENAL, (RiskGroup.RENAL,))


def _studied(label: str, source: str, group: RiskGroup = RiskGroup.OTHER) -> RiskText:
    return RiskText(label, Basis.STUDY, source, (group,))


RISK_FACTORS: dict[RiskFactor, RiskText] = {
    RiskFactor.PRIOR_THROMBOSIS: _thrombosis("Earlier thrombosis, in a vein or an artery"),
    RiskFactor.IMMOBILISATION: _thrombosis("Long immobilisation"),
    RiskFactor.HYPERCOAGULABLE: _thrombosis("Hypercoagulable state"),
    RiskFactor.OESTROGEN: _thrombosis("Takes oestrogens"),
    RiskFactor.CENTRAL_CATHETER: _thrombosis("Central venous catheter in place"),
    RiskFactor.HYPERVISCOSITY: _thrombosis("Hyperviscosity"),
    RiskFactor.CARDIOVASCULAR: _thrombosis("Cardiovascular risk factors"),
    # The boxed warning says "over 65" for the kidney and only "advanced" for thrombosis; 65 stands for both.
    RiskFactor.AGE_OVER_65: RiskText(
        "Older than 65",
        Basis.BOXED_WARNING,
        f"{BOXED_RENAL}; the one on thrombosis says advanced age",
        (RiskGroup.RENAL, RiskGroup.THROMBOSIS),
    ),
    RiskFactor.RENAL_INSUFFICIENCY: _renal("Kidney function already reduced"),
    RiskFactor.DIABETES: _renal("Diabetes"),
    RiskFactor.VOLUME_DEPLETION: _renal("Volume depletion, dehydration"),
    RiskFactor.SEPSIS: _renal("Sepsis"),
    RiskFactor.PARAPROTEINAEMIA: _renal("Paraproteinaemia"),
    RiskFactor.NEPHROTOXIC_DRUGS: _renal("Takes nephrotoxic drugs"),
    RiskFactor.DERMATOMYOSITIS: RiskText(
        "Dermatomyositis", Basis.LABEL, "US label, dosage (Octagam 10 %)", (RiskGroup.THROMBOSIS,)
    ),
    RiskFactor.NON_O_BLOOD_GROUP: _studied("Blood group other than O", "PMID 33433931", RiskGroup.HAEMOLYSIS),
    RiskFactor.MIGRAINE: _studied("History of migraine (aseptic meningitis)", "Review in CMAJ, table 2"),
    RiskFactor.CURRENT_INFECTION: _studied("Infection at present", "Allergol Immunopathol 48:738"),
    RiskFactor.ATOPY: _studied("Allergies or atopy", "Allergol Immunopathol 48:738; PMC11747083"),
    RiskFactor.NEUROMUSCULAR_DISEASE: _studied("Neuromuscular disease", "PMC8479165"),
}


def with_age(factors: frozenset[RiskFactor], age_years: int | None) -> frozenset[RiskFactor]:
    """The factors, and age over 65 as derived from the years; None where the age is not known."""
    if age_years is not None and age_years > AGE_AT_RISK_ABOVE_YEARS:
        return factors | {RiskFactor.AGE_OVER_65}
    return factors


def is_at_risk(factors: Iterable[RiskFactor]) -> bool:
    """Whether a boxed warning names one of them: the label's limit for thrombosis or kidney risk then applies.

    Dermatomyositis is not one: its label gives it a limit of its own, in the row of the indication.
    """
    return any(RISK_FACTORS[factor].basis == Basis.BOXED_WARNING for factor in factors)
