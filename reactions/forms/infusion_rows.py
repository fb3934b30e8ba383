"""The rows of an infusion's form: its vials and its premedication."""

from typing import Any

from django import forms

from patients.forms.fields import DateField, NumberField, WholeNumberField
from reactions.clinical.infusion_checks import why_impossible_lot
from reactions.forms.drugs import DrugFields
from reactions.forms.rows import RowForm, rows_of

MOST_MINUTES_BEFORE = 24 * 60


class VialForm(RowForm):
    meaningful = ("lot", "expires_on", "grams")

    # The stored vial that this row corrects: what its barcode said stays with it.
    pk = forms.IntegerField(required=False, widget=forms.HiddenInput)
    lot = forms.CharField(max_length=20, required=False)
    expires_on = DateField(required=False, label="Expiry")
    grams = NumberField(required=False, max_digits=6, decimal_places=2, label="Grams")
    expiry_confirmed = forms.BooleanField(required=False, label="Given although expired")
    asks_confirmation = False

    def clean_lot(self) -> str:
        lot: str = self.cleaned_data["lot"]
        if lot and (why := why_impossible_lot(lot)):
            raise forms.ValidationError(why)
        return lot

    def clean(self) -> dict[str, Any]:
        values = super().clean() or self.cleaned_data
        self.need("lot", "Write the lot, or empty this row.")
        if values.get("grams") is not None and values["grams"] <= 0:
            self.add_error("grams", "The grams must be more than 0.")
        if values.get("pk") is None:
            values.pop("pk", None)
        return values

    def check_expiry(self, infusion_day: Any) -> None:
        """A vial that had expired on the day is recorded only when somebody confirms that it was given."""
        expiry = self.cleaned_data.get("expires_on")
        if expiry is None or expiry >= infusion_day:
            self.cleaned_data["expiry_confirmed"] = False
            return
        self.asks_confirmation = True
        if not self.cleaned_data.get("expiry_confirmed"):
            self.add_error(
                "expires_on", f"Expired on {expiry}, before the infusion. Correct the date, or tick that it was given."
            )


class PremedicationForm(DrugFields, RowForm):
    meaningful = ("drug", "other_drug", "dose", "minutes_before")
    stands_in_logs = True

    minutes_before = WholeNumberField(
        required=False, min_value=0, max_value=MOST_MINUTES_BEFORE, label="Minutes before start"
    )

    def clean(self) -> dict[str, Any]:
        values = super().clean()
        self.need("drug", "Choose the drug, or empty this row.")
        return values


VialRows = rows_of(VialForm, spare=1)
PremedicationRows = rows_of(PremedicationForm, spare=1)
