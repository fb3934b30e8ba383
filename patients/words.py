"""The words and codes of people: roles, sex, anti-IgA results. No logic, no Django."""

from enum import StrEnum


class _Words(StrEnum):
    @classmethod
    def choices(cls) -> list[tuple[str, str]]:
        """(value, label) pairs in the order of definition."""
        return [(word.value, word.value.replace("_", " ").capitalize()) for word in cls]


class StaffRoleName(_Words):
    CLINICIAN = "clinician"
    ADMINISTRATOR = "administrator"
    # Reads the audit trail, and no record.
    AUDITOR = "auditor"


class Sex(_Words):
    FEMALE = "female"
    MALE = "male"
    OTHER = "other"
    UNKNOWN = "unknown"


class AntiIga(_Words):
    NOT_DONE = "not_done"
    POSITIVE = "positive"
    NEGATIVE = "negative"
    INDETERMINATE = "indeterminate"


# Patients of myositis and other immune diseases treated with IVIG: suggestions, any other text is taken.
DIAGNOSES: tuple[str, ...] = (
    "Dermatomyositis",
    "Polymyositis",
    "Immune-mediated necrotizing myopathy",
    "Antisynthetase syndrome",
    "Inclusion body myositis",
    "Juvenile dermatomyositis",
    "Overlap myositis",
    "Chronic inflammatory demyelinating polyneuropathy",
    "Guillain-Barré syndrome",
    "Multifocal motor neuropathy",
    "Myasthenia gravis",
    "Immune thrombocytopenia",
    "Primary immunodeficiency",
    "Common variable immunodeficiency",
    "Kawasaki disease",
)
