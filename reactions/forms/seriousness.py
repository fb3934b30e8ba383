"""Whether a reaction is serious: the criteria of 21 CFR 600.80 as tick-boxes, none of them ticked beforehand."""

from typing import Any

from django import forms

from patients.forms.fields import VersionForm
from reactions.clinical import seriousness
from reactions.clinical.seriousness import CRITERIA, Contradiction, Criterion

# How Bootstrap draws a box of a field that a template lays out itself.
BOX = {"class": "form-check-input"}


class SeriousnessForm(forms.Form):
    """Nothing ticked is no judgement: `is_serious` is None then."""

    # There is no serious record here whose criterion nobody knows.
    is_unexplained = False

    criteria = forms.MultipleChoiceField(
        required=False,
        choices=[(str(code), text.label) for code, text in CRITERIA.items()],
        widget=forms.CheckboxSelectMultiple(attrs=BOX),
        label="Serious?",
    )
    none_of_these = forms.BooleanField(required=False, label="None of these", widget=forms.CheckboxInput(attrs=BOX))

    def clean(self) -> dict[str, Any]:
        values = super().clean() or self.cleaned_data
        ticked = [Criterion(code) for code in values.get("criteria", [])]
        try:
            values["is_serious"] = seriousness.judge(ticked, values.get("none_of_these", False))
        except Contradiction as error:
            self.add_error("none_of_these", f"{error} Untick one or the other.")
        return values

    @property
    def criteria_rows(self) -> list[tuple[Any, str]]:
        """Each tick-box with its explanation."""
        explanations = [text.explanation for text in CRITERIA.values()]
        return list(zip(self["criteria"], explanations, strict=True))

    @property
    def ticked(self) -> frozenset[Criterion]:
        """The criteria as they stand in the form now, judged or not."""
        codes = self["criteria"].value() or []
        return frozenset(Criterion(code) for code in codes if code in set(Criterion))


class JudgeSeriousnessForm(VersionForm, SeriousnessForm):
    """The question on a page of its own: it wants an answer."""

    def clean(self) -> dict[str, Any]:
        values = super().clean()
        if not self.errors and values["is_serious"] is None:
            self.add_error("criteria", "Tick what is met, or “None of these”.")
        return values
