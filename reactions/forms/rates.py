"""The filters of the page of reaction rates."""

from typing import Any

from django import forms
from django.db.models import Exists, OuterRef, QuerySet

from patients.forms.fields import DateField
from patients.models import Clinic
from reactions.clinical.ctcae import TERMS
from reactions.forms.clinics import ClinicsForm
from reactions.models import Infusion, Product
from reactions.rates.question import (
    DRUG_PREFIX,
    INTERVALS,
    KEY_LABELS,
    SOURCES,
    UNITS,
    WINDOWS,
    WORST_GRADE,
    Question,
    UnanswerableQuestion,
)
from reactions.vocabulary import DRUGS

INTERVAL_LABELS = {
    "wilson": "Wilson",
    "exact": "Exact (Clopper-Pearson)",
    "poisson": "Exact Poisson",
    "cluster": "Cluster-robust",
}
# Short, for a narrow list; the notes below the tables have them in full.
SOURCE_LABELS = {"both": "Any source", "clinician": "Clinicians", "patient": "Patients, confirmed"}
WINDOW_LABELS = {
    "label72": "Until 72 h after",
    "during": "While it ran",
    "immediate": "Within 6 h",
    "delayed": "6 h to 7 days",
    "any": "At any time",
}

# What the infusions are divided by in the second table; the first has IgA status and premedication.
ALSO = ("product", "first_infusion", "prior_reaction", "diagnosis", "setting", "max_rate", "sex", "clinic")


def _flat(options: Any) -> list[tuple[str, str]]:
    """Choices without their groups."""
    flat: list[tuple[str, str]] = []
    for value, label in options:
        flat.extend(label if isinstance(label, list | tuple) else [(str(value), str(label))])
    return flat


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
        choices=[
            ("", "Any grade"),
            *((grade, f"{grade} or worse") for grade in range(2, WORST_GRADE)),
            (WORST_GRADE, "5 (death)"),
        ],
    )
    serious = forms.ChoiceField(
        required=False, label="Seriousness", choices=[("", "Serious or not"), ("yes", "Serious only (21 CFR 600.80)")]
    )
    source = forms.ChoiceField(
        required=False, label="Source", choices=[(code, SOURCE_LABELS[code]) for code in SOURCES]
    )
    window = forms.ChoiceField(required=False, label="Began", choices=[(code, WINDOW_LABELS[code]) for code in WINDOWS])
    unit = forms.ChoiceField(required=False, label="Unit", choices=[(unit, f"{unit.capitalize()}s") for unit in UNITS])
    interval = forms.ChoiceField(
        required=False, label="95 % interval", choices=[(code, INTERVAL_LABELS[code]) for code in INTERVALS]
    )

    also = forms.ChoiceField(required=False, label="Second table by", choices=[(key, KEY_LABELS[key]) for key in ALSO])

    def __init__(self, *args: Any, clinics: QuerySet[Clinic], **kwargs: Any) -> None:
        super().__init__(*args, clinics=clinics, **kwargs)
        # One infusion of each is looked for, not all of them read.
        used = Exists(Infusion.objects.filter(product=OuterRef("pk"), patient__clinic__in=clinics))
        names = list(Product.objects.filter(used).order_by("name").values_list("name", flat=True).distinct())
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
            serious=values["serious"] == "yes",
            source=values["source"] or "both",
            first_day=values["first_day"],
            last_day=values["last_day"],
            product=values["product"],
        )

    def in_words(self) -> list[tuple[str, str]]:
        """(label, what was chosen) of each filter that was set."""
        return [
            (str(field.label), dict(_flat(field.field.choices)).get(str(field.value()), str(field.value())))
            if isinstance(field.field, forms.ChoiceField) and not isinstance(field.field, forms.ModelChoiceField)
            else (str(field.label), str(self.cleaned_data[field.name]))
            for field in self
            if self.cleaned_data.get(field.name)
        ]

    @property
    def premedication_key(self) -> str:
        return self.cleaned_data.get("premedication") or "premedication"

    @property
    def also_key(self) -> str:
        """The key of the second table."""
        return self.cleaned_data.get("also") or ALSO[0]
