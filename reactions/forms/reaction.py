"""Recording and correcting a reaction with its symptoms."""

from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

from crispy_forms.bootstrap import InlineRadios
from crispy_forms.helper import FormHelper
from crispy_forms.layout import Column, Div, Layout, Row
from django import forms
from django.utils import timezone

from patients.forms.fields import ClinicDateTimeField, say_what_is_missing, with_value
from reactions.clinical.ctcae import OTHER, TERMS, UndefinedGrade, check_grade, version_for
from reactions.forms.infusion import CLOCK_SLACK
from reactions.forms.rows import BaseRows, OwnWordsField, RowForm, forget_errors, rows_of, with_one_more
from reactions.models import Infusion, Reaction
from reactions.vocabulary import Action, Outcome, choices

# Offered first: the terms that published series of IVIG reactions name most often (Stiehm, PMID 23835249).
COMMON_TERMS = (
    "headache",
    "chills",
    "fever",
    "urticaria",
    "pruritus",
    "flushing",
    "nausea",
    "vomiting",
    "myalgia",
    "back_pain",
    "fatigue",
    "dizziness",
    "hypotension",
    "hypertension",
    "sinus_tachycardia",
    "non_cardiac_chest_pain",
    "dyspnea",
    "wheezing",
    "anaphylaxis",
    "infusion_related_reaction",
)


def term_choices() -> list[tuple[str, Any]]:
    """The common terms, then all others by body system."""
    systems: dict[str, list[tuple[str, str]]] = {}
    for term in TERMS.values():
        if term.code not in COMMON_TERMS and term.code != OTHER:
            systems.setdefault(term.system, []).append((term.code, term.label))
    return [
        ("", "Choose"),
        ("Common", [(code, TERMS[code].label) for code in COMMON_TERMS]),
        *sorted((system, sorted(terms, key=lambda term: term[1])) for system, terms in systems.items()),
        ("Not in this list", [(OTHER, TERMS[OTHER].label)]),
    ]


class SymptomForm(RowForm):
    meaningful = ("term", "other_text", "grade", "onset_at")

    term = forms.ChoiceField(required=False, choices=term_choices, label="Symptom")
    other_text = OwnWordsField(required=False, max_length=200, label="In words, if other")
    grade = forms.TypedChoiceField(
        required=False,
        coerce=int,
        empty_value=None,
        choices=[
            ("", "Choose"),
            ("1", "1 mild"),
            ("2", "2 moderate"),
            ("3", "3 severe"),
            ("4", "4 life-threatening"),
            ("5", "5 death"),
        ],
    )

    def __init__(self, *args: Any, infusion: Infusion, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.infusion = infusion
        self.fields["onset_at"] = ClinicDateTimeField(zone=infusion.zone, required=False, label="Began")

    def clean(self) -> dict[str, Any]:
        values = super().clean() or self.cleaned_data
        self.need("term", "Choose the symptom, or empty this row.")
        self.need("grade", "Choose the grade.")
        self.need("onset_at", "Write when it began.")
        term, grade = values.get("term"), values.get("grade")
        if term == OTHER:
            self.need("other_text", "Write the symptom in your words.")
        elif term and values.get("other_text"):
            self.add_error("other_text", "Choose “Other, specify”, or empty these words.")
        if term:
            values["ctcae_version"] = version_for(term, self.infusion.clinic.ctcae_version)
        if term and grade:
            try:
                check_grade(term, grade, values["ctcae_version"])
            except UndefinedGrade as error:
                self.add_error("grade", str(error))
        self._check_onset(values.get("onset_at"))
        return values

    def _check_onset(self, onset: datetime | None) -> None:
        if onset is None:
            return
        if onset < self.infusion.started_at:
            started = timezone.localtime(self.infusion.started_at, self.infusion.zone)
            self.add_error("onset_at", f"It cannot begin before the infusion, which started {started:%Y-%m-%d %H:%M}.")
        elif onset > timezone.now() + CLOCK_SLACK:
            self.add_error("onset_at", "This time lies in the future. Check the date.")


class ReactionForm(forms.Form):
    submission_id = forms.UUIDField(widget=forms.HiddenInput)
    seen_version = forms.IntegerField(required=False, widget=forms.HiddenInput)
    action = forms.ChoiceField(label="What was done to the infusion", choices=[("", "Choose"), *choices(Action)])
    treatment = forms.CharField(
        required=False,
        max_length=500,
        label="Treatment given after it began",
        help_text="Drugs and measures, with times. Drugs given before the start belong to the infusion.",
    )
    outcome = forms.ChoiceField(choices=choices(Outcome), initial=Outcome.UNKNOWN)
    is_serious = forms.TypedChoiceField(
        label="Serious?",
        required=False,
        coerce=lambda value: value == "yes",
        empty_value=None,
        choices=[("yes", "Yes"), ("no", "No"), ("", "Not judged yet")],
        widget=forms.RadioSelect,
        help_text="Death, danger to life, hospital stay, lasting disability or another important medical event"
        " (21 CFR 600.80). A matter of its own, whatever the grade.",
    )
    narrative = forms.CharField(required=False, max_length=10_000, widget=forms.Textarea(attrs={"rows": 4}))
    reason = forms.CharField(
        max_length=500, required=False, label="Reason for the correction", help_text="Kept with the record's history."
    )

    def __init__(self, *args: Any, infusion: Infusion, reaction: Reaction | None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.infusion = infusion
        self.fields["resolved_at"] = ClinicDateTimeField(
            zone=infusion.zone, required=False, label="Resolved", help_text="Leave empty while it goes on."
        )
        if reaction is None:
            del self.fields["reason"]
        else:
            self.fields["reason"].required = True
        say_what_is_missing(self)
        self.helper = FormHelper()
        self.helper.form_tag = False
        self.helper.layout = Layout(
            "submission_id",
            "seen_version",
            Row(Column("action", css_class="col-sm-6"), Column("treatment", css_class="col-sm-6")),
            Row(Column("outcome", css_class="col-sm-6"), Column("resolved_at", css_class="col-sm-6")),
            Div(InlineRadios("is_serious"), css_class="choices"),
            "narrative",
            *(["reason"] if reaction else []),
        )

    def clean_resolved_at(self) -> datetime | None:
        resolved: datetime | None = self.cleaned_data["resolved_at"]
        if resolved and resolved > timezone.now() + CLOCK_SLACK:
            raise forms.ValidationError("This time lies in the future. Leave it empty while the reaction goes on.")
        return resolved

    def details(self) -> dict[str, Any]:
        """Columns of Reaction as typed, for the verb."""
        names = ("action", "treatment", "outcome", "resolved_at", "is_serious", "narrative")
        return {name: self.cleaned_data[name] for name in names}


SymptomRows = rows_of(SymptomForm, spare=3)


class ReactionEntry:
    """The reaction's form with its symptoms, handled as one."""

    def __init__(
        self, data: Any = None, *, infusion: Infusion, reaction: Reaction | None = None, add_row: str = ""
    ) -> None:
        if add_row == "symptoms":
            data = with_one_more(data, "symptoms")
        self.form = ReactionForm(data, infusion=infusion, reaction=reaction, initial=_stored_values(reaction))
        stored = reaction.symptoms.values("term", "other_text", "grade", "onset_at") if reaction else []
        self.symptoms: BaseRows = SymptomRows(
            data, prefix="symptoms", form_kwargs={"infusion": infusion}, initial=list(stored)
        )
        self.infusion = infusion
        if add_row:
            forget_errors(self.form, self.symptoms)

    def is_valid(self) -> bool:
        parts = [self.form.is_valid(), self.symptoms.is_valid()]
        if not self.symptoms.filled_forms() and parts[1]:
            self.symptoms.forms[0].add_error("term", "Choose at least one symptom.")
        self._check_twice()
        self._check_resolved()
        return all(parts) and not self.form.errors and not any(form.errors for form in self.symptoms.forms)

    def _check_twice(self) -> None:
        seen = set()
        for form in self.symptoms.filled_forms():
            which = (form.cleaned_data.get("term"), form.cleaned_data.get("other_text", "").casefold())
            if which[0] and which in seen:
                form.add_error("term", "This symptom stands above already. Keep one row for it, with its worst grade.")
            seen.add(which)

    def _check_resolved(self) -> None:
        resolved = self.form.cleaned_data.get("resolved_at")
        onsets = [row["onset_at"] for row in self.symptoms.filled() if row.get("onset_at")]
        if resolved and onsets and resolved < min(onsets):
            self.form.add_error("resolved_at", "It cannot resolve before it began.")

    @property
    def failed(self) -> bool:
        """Something typed was refused."""
        return bool(self.form.errors) or any(form.errors for form in self.symptoms.forms)

    def accept_version(self, version: int) -> None:
        """Take the stored version as seen: the next saving of what was typed replaces it."""
        self.form.data = with_value(self.form.data, "seen_version", str(version))

    @property
    def submission_id(self) -> UUID:
        submission: UUID = self.form.cleaned_data["submission_id"]
        return submission


def _stored_values(reaction: Reaction | None) -> dict[str, Any]:
    if reaction is None:
        return {"submission_id": uuid4(), "is_serious": ""}
    names = ("action", "treatment", "outcome", "resolved_at", "narrative")
    serious = {True: "yes", False: "no", None: ""}[reaction.is_serious]
    return {name: getattr(reaction, name) for name in names} | {
        "submission_id": uuid4(),
        "seen_version": reaction.version,
        "is_serious": serious,
    }
