"""The fields of a drug: which one, how much, by which route. One set for every form in which a drug is written down."""

from typing import Any

from django import forms

from reactions.clinical.infusion_checks import why_impossible_drug_dose
from reactions.forms.rows import OwnWordsField
from reactions.vocabulary import DRUGS, Route, choices


class DrugFields(forms.Form):
    """A drug of the list, or another one by its name. What is stored and was left as it is, is not judged again.

    `stands_in_logs`: an infusion log holds such drugs, and encloses their names in brackets.
    """

    stands_in_logs = False

    drug = forms.ChoiceField(
        required=False, choices=[("", "Choose"), *((code, label) for code, (label, _) in DRUGS.items())]
    )
    other_drug = forms.CharField(required=False, max_length=100, label="Name, if other")
    dose = forms.CharField(required=False, max_length=40)
    route = forms.ChoiceField(required=False, choices=[("", "Not recorded"), *choices(Route)[:-1]])

    def clean_other_drug(self) -> str:
        name: str = self.cleaned_data["other_drug"]
        if self.stands_in_logs and not self._is_stored("other_drug"):
            OwnWordsField().run_validators(name)
        return name

    def clean_dose(self) -> str:
        dose: str = self.cleaned_data["dose"]
        if not self._is_stored("dose") and (why := why_impossible_drug_dose(dose)):
            raise forms.ValidationError(why)
        return dose

    def clean(self) -> dict[str, Any]:
        values = super().clean() or self.cleaned_data
        drug, name = values.get("drug"), values.get("other_drug")
        if drug == "other" and not name and "other_drug" not in self.errors:
            self.add_error("other_drug", "Write the drug's name.")
        elif drug and drug != "other" and name:
            self.add_error("other_drug", "Choose “Another drug”, or empty this name.")
        return values

    def _is_stored(self, name: str) -> bool:
        return bool(self.cleaned_data[name] == (self.initial.get(name) or ""))
