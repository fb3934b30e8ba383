"""What a reaction's form asks about the whole of it."""

from datetime import datetime
from typing import Any

from crispy_forms.helper import FormHelper
from crispy_forms.layout import Column, Layout, Row
from django import forms
from django.utils import timezone

from patients.forms.fields import ClinicDateTimeField, SubmissionField, VersionForm, say_what_is_missing
from reactions.forms.infusion import CLOCK_SLACK
from reactions.forms.seriousness import BOX, SeriousnessForm
from reactions.models import Infusion, Reaction, Treatment
from reactions.vocabulary import Action, Dechallenge, Outcome, Rechallenge, choices


class ReactionForm(VersionForm, SeriousnessForm):
    submission_id = SubmissionField()
    action = forms.ChoiceField(label="What was done to the infusion", choices=[("", "Choose"), *choices(Action)])
    treatment = forms.CharField(
        required=False,
        max_length=500,
        label="Other measures",
        help_text="What no row above holds, such as a warm blanket or a change of position.",
    )
    dechallenge = forms.ChoiceField(
        label="When it was slowed or stopped", choices=choices(Dechallenge), initial=Dechallenge.NOT_RECORDED
    )
    rechallenge = forms.ChoiceField(
        label="When immune globulin was given again", choices=choices(Rechallenge), initial=Rechallenge.NOT_RECORDED
    )
    outcome = forms.ChoiceField(choices=choices(Outcome), initial=Outcome.UNKNOWN)
    narrative = forms.CharField(required=False, max_length=10_000, widget=forms.Textarea(attrs={"rows": 4}))
    reason = forms.CharField(
        max_length=500, required=False, label="Reason for the correction", help_text="Kept with the record's history."
    )

    def __init__(
        self, *args: Any, infusion: Infusion, reaction: Reaction | None, free: list[Treatment], **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        self.infusion = infusion
        if free:
            # Whoever writes a reaction down means the drugs of the hour; a correction adds none by itself.
            self.fields["given_for_it"] = forms.MultipleChoiceField(
                required=False,
                choices=[(str(row.pk), f"{timezone.localtime(row.at, infusion.zone):%H:%M} {row}") for row in free],
                initial=[] if reaction else [str(row.pk) for row in free],
                widget=forms.CheckboxSelectMultiple(attrs=BOX),
                label="Recorded at the chairside",
            )
        self.fields["resolved_at"] = ClinicDateTimeField(
            zone=infusion.zone, required=False, label="Resolved", help_text="Leave empty while it goes on."
        )
        if reaction is None:
            del self.fields["reason"]
        else:
            self.fields["reason"].required = True
        # Records from a time, or from a log, in which it was said that a reaction is serious but not why.
        self.is_unexplained = bool(reaction and reaction.is_serious and not reaction.serious_criteria)
        if self.is_unexplained:
            self.fields["unexplained"] = forms.BooleanField(
                required=False,
                label="Serious, as recorded before; the criterion is not known",
                widget=forms.CheckboxInput(attrs=BOX),
            )
        say_what_is_missing(self)
        self.fields["action"].error_messages["required"] = "Choose what was done to the infusion."
        self.helper = FormHelper()
        self.helper.form_tag = False
        self.helper.layout = Layout(
            "submission_id",
            "seen_version",
            Row(Column("treatment", css_class="col-12")),
            Row(Column("action", css_class="col-sm-6"), Column("dechallenge", css_class="col-sm-6")),
            Row(Column("rechallenge", css_class="col-sm-6"), Column("outcome", css_class="col-sm-6")),
            Row(Column("resolved_at", css_class="col-sm-6")),
        )
        self.end_helper = FormHelper()
        self.end_helper.form_tag = False
        self.end_helper.disable_csrf = True
        self.end_helper.layout = Layout("narrative", *(["reason"] if reaction else []))

    def clean_resolved_at(self) -> datetime | None:
        resolved: datetime | None = self.cleaned_data["resolved_at"]
        if resolved and resolved > timezone.now() + CLOCK_SLACK:
            raise forms.ValidationError("This time lies in the future. Leave it empty while the reaction goes on.")
        return resolved

    def clean(self) -> dict[str, Any]:
        values = super().clean()
        none, unexplained = values.get("none_of_these", False), values.get("unexplained", False)
        if unexplained and none:
            self.add_error("none_of_these", "Untick “Serious, as recorded before” when none of these is met.")
        elif unexplained and not values.get("criteria"):
            values["is_serious"] = True
        return values

    def taken_along(self) -> list[int]:
        """Keys of the drugs recorded at the chairside that were given for this reaction."""
        return [int(key) for key in self.cleaned_data.get("given_for_it", [])]

    def details(self) -> dict[str, Any]:
        """Columns of Reaction as typed, for the verb."""
        names = ("action", "treatment", "dechallenge", "rechallenge", "outcome", "resolved_at", "is_serious")
        details = {name: self.cleaned_data[name] for name in (*names, "narrative")}
        return details | {"serious_criteria": self.cleaned_data["criteria"]}
