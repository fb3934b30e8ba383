"""Whose numbers a page of the admin tells."""

from typing import Any

from django import forms
from django.db.models import QuerySet

from patients.models import Clinic


class ClinicsForm(forms.Form):
    """One of the administrator's clinics, or all of them; stands before the other filters of a page."""

    def __init__(self, *args: Any, clinics: QuerySet[Clinic], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.clinics = clinics
        self.fields["clinic"] = forms.ModelChoiceField(
            clinics, to_field_name="slug", required=False, empty_label="All my clinics"
        )
        self.order_fields(["clinic"])

    def chosen_clinics(self) -> list[Clinic]:
        """The clinics that are asked about, all of them the administrator's own."""
        chosen = self.cleaned_data["clinic"]
        return [chosen] if chosen else list(self.clinics)
