"""The filters of the page of reaction rates."""

from typing import Any

from django import forms
from django.db.models import QuerySet

from patients.forms.fields import DateField
from patients.models import Clinic
from reactions.clinical.ctcae import TERMS
from reactions.forms.clinics import ClinicsForm
from reactions.models import Product
from reactions.rates.question import DRUG_PREFIX, INTERVALS, UNITS, WINDOWS, Question, UnanswerableQuestion
from reactions.vocabulary import DRUGS

INTERVAL_LABELS = {
    "wilson": "Wilson",
    "exact": "Exact (Clopper-Pearson)",
    "poisson": "Exact Poisson",
    "cluster": "Cluster-robust",
}


class RatesForm(ClinicsForm):
    first_day = DateField(required=False, label="From")
    last_day = DateField(required=False, label="To")
    product = forms.ChoiceField(required=False)
    premedication = forms.ChoiceField(
        required=False,
        choices=[
            ("", "By class"),
            ("One drug, yes or no", [(f"{DRUG_PREFIX}{code}", name) for code, (name, _) in DRUGS.items()]),
        ],
    )
    reaction = forms.ChoiceField(
        required=False,
        choices=[("", "Any reaction"), *sorted(((t.code, t.label) for t in TERMS.values()), key=lambda term: term[1])],
    )
    min_grade = forms.TypedChoiceField(
        required=False,
        coerce=int,
        empty_value=None,
        label="Grade",
        choices=[("", "Any grade"), *((grade, f"{grade} or worse") for grade in range(2, 6))],
    )
    window = forms.ChoiceField(
        required=False, label="Began", choices=[(code, words.capitalize()) for code, words in WINDOWS.items()]
    )
    unit = forms.ChoiceField(required=False, label="Unit", choices=[(unit, f"{unit.capitalize()}s") for unit in UNITS])
    interval = forms.ChoiceField(
        required=False, label="95 % interval", choices=[(code, INTERVAL_LABELS[code]) for code in INTERVALS]
    )

    def __init__(self, *args: Any, clinics: QuerySet[Clinic], **kwargs: Any) -> None:
        super().__init__(*args, clinics=clinics, **kwargs)
        used = Product.objects.filter(infusions__patient__clinic__in=clinics).order_by("name")
        names = list(used.values_list("name", flat=True).distinct())
        self.fields["product"] = forms.ChoiceField(
            required=False, choices=[("", "All products"), *((name, name) for name in names)]
        )

    def clean(self) -> dict[str, Any]:
        values = super().clean() or self.cleaned_data
        if not self.errors:
            try:
                self.question(("iga",))
            except UnanswerableQuestion as error:
                self.add_error("first_day" if "day" in str(error) else "interval", str(error))
        return values

    def question(self, by: tuple[str, ...]) -> Question:
        """The question that the filters ask, divided by the keys."""
        values = self.cleaned_data
        return Question(
            by=by,
            unit=values["unit"] or "infusion",
            interval=values["interval"] or "wilson",
            window=values["window"] or "label72",
            reaction=values["reaction"],
            min_grade=values["min_grade"],
            first_day=values["first_day"],
            last_day=values["last_day"],
            product=values["product"],
        )

    @property
    def premedication_key(self) -> str:
        return self.cleaned_data.get("premedication") or "premedication"
