"""The answer to the safety card."""

from typing import Any

from crispy_forms.helper import FormHelper
from crispy_forms.layout import Column, Layout, Row
from django import forms


class SafetyForm(forms.Form):
    """The answer to the safety card."""

    reason = forms.CharField(
        label="Why the infusion goes on",
        required=False,
        max_length=500,
        widget=forms.TextInput(attrs={"list": "safety-reasons", "autocomplete": "off"}),
        help_text="Your name is kept with it.",
    )
    decided_by = forms.CharField(
        label="Clinician who decided",
        required=False,
        max_length=150,
        help_text="Needed where the label names a contraindication.",
    )

    prefix = "safety"

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.helper = FormHelper()
        self.helper.form_tag = False
        self.helper.layout = Layout(
            Row(Column("reason", css_class="col-md-8"), Column("decided_by", css_class="col-md-4"))
        )

    @property
    def is_typed(self) -> bool:
        """Something stands in one of the fields."""
        return any(str(self.data.get(self.add_prefix(name), "")).strip() for name in self.fields)

    @property
    def shown(self) -> set[str]:
        """The codes that stood on the card when the form was sent."""
        return set(str(self.data.get("safety-shown", "")).split())
