"""What a patient's history holds, for the safety card: risk factors, and what is known about immune globulin before."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from django import forms

from patients.forms.fields import with_value
from reactions.clinical.risk_factors import RISK_FACTORS, Basis, RiskFactor, RiskGroup
from reactions.models import PatientRisk
from reactions.vocabulary import HistoryFact, choices

# Follows from the birth date, so nobody ticks it.
DERIVED = frozenset({RiskFactor.AGE_OVER_65})

TITLES = {
    RiskGroup.THROMBOSIS: "Thrombosis",
    RiskGroup.RENAL: "Kidney",
    RiskGroup.HAEMOLYSIS: "Haemolysis",
    RiskGroup.OTHER: "Other reactions",
}
BASIS = {Basis.BOXED_WARNING: "boxed warning", Basis.LABEL: "label", Basis.STUDY: "studies"}
HISTORY = "Immune globulin before"
CHOOSE_ONE = "Tick one of the two: hypersensitivity in the history, or asked and none."


@dataclass(frozen=True)
class RiskRow:
    """One factor on the page: its tick, its note, and what names it a risk."""

    tick: forms.BoundField
    note: forms.BoundField
    basis: str


@dataclass(frozen=True)
class RiskFieldset:
    title: str
    rows: list[RiskRow]


class RisksForm(forms.Form):
    """A tick and a short note for each. What is not ticked is not known; only hypersensitivity can be denied."""

    # Our own words say more than the browser's, and beside every field at once.
    use_required_attribute = False

    seen = forms.CharField(required=False, widget=forms.HiddenInput)

    def __init__(self, data: Any = None, *, noted: Iterable[PatientRisk], **kwargs: Any) -> None:
        notes = {risk.factor: risk for risk in noted}
        initial: dict[str, Any] = {"seen": seen_of(notes.values())}
        for code, risk in notes.items():
            initial |= {code: True, f"{code}_note": risk.note}
        super().__init__(data, initial=initial, **kwargs)
        for code, label in (*choices(HistoryFact), *((str(code), told.label) for code, told in _offered())):
            self.fields[code] = forms.BooleanField(required=False, label=label)
            self.fields[f"{code}_note"] = forms.CharField(
                required=False,
                max_length=300,
                label=f"Note on “{label}”",
                widget=forms.TextInput(
                    attrs={
                        "class": "form-control",
                        "placeholder": "Note",
                        "aria-label": f"Note on “{label}”",
                        "autocomplete": "off",
                    }
                ),
            )

    def clean(self) -> dict[str, Any]:
        values = super().clean() or self.cleaned_data
        for code in self.codes:
            if values.get(f"{code}_note") and not values.get(code):
                self.add_error(f"{code}_note", "Tick it too, or empty this note.")
        if values.get(HistoryFact.HYPERSENSITIVITY) and values.get(HistoryFact.NO_HYPERSENSITIVITY):
            self.add_error(HistoryFact.NO_HYPERSENSITIVITY, CHOOSE_ONE)
        return values

    @property
    def codes(self) -> list[str]:
        return [name for name, field in self.fields.items() if isinstance(field, forms.BooleanField)]

    def fieldsets(self) -> list[RiskFieldset]:
        """The ticks as the page lays them out; a factor of two groups stands in its first."""
        history = RiskFieldset(HISTORY, [self._row(str(fact), "") for fact in HistoryFact])
        groups = [
            RiskFieldset(
                title,
                [self._row(str(code), BASIS[told.basis]) for code, told in _offered() if told.groups[0] == group],
            )
            for group, title in TITLES.items()
        ]
        return [history, *groups]

    def _row(self, code: str, basis: str) -> RiskRow:
        return RiskRow(self[code], self[f"{code}_note"], basis)

    def factors(self) -> dict[str, str]:
        """Code to note of what is ticked, for the verb."""
        return {code: self.cleaned_data[f"{code}_note"] for code in self.codes if self.cleaned_data[code]}

    def seen_risks(self) -> set[int]:
        """The noted risks that stood on the page when it was opened."""
        return {int(number) for number in self.cleaned_data["seen"].split() if number.isdecimal() and len(number) < 19}

    def accept(self, noted: Iterable[PatientRisk]) -> None:
        """Take the stored risks as seen: the next saving of what was ticked replaces them."""
        self.data = with_value(self.data, "seen", seen_of(noted))


def seen_of(noted: Iterable[PatientRisk]) -> str:
    """Which risks are noted, for the form to send back. A changed note is another row, so this tells versions apart."""
    return " ".join(str(risk.pk) for risk in noted)


def _offered() -> list[tuple[RiskFactor, Any]]:
    return [(code, told) for code, told in RISK_FACTORS.items() if code not in DERIVED]
