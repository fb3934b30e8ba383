"""Recording and correcting a reaction with its symptoms, its treatment and whether it is serious."""

from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

from crispy_forms.helper import FormHelper
from crispy_forms.layout import Column, Layout, Row
from django import forms
from django.utils import timezone

from patients.forms.fields import (
    ClinicDateTimeField,
    Difference,
    SubmissionField,
    differences,
    say_what_is_missing,
    with_value,
)
from reactions.clinical import seriousness
from reactions.clinical.ctcae import OTHER, TERMS, UndefinedGrade, check_grade, version_for
from reactions.forms.drugs import DrugFields
from reactions.forms.grades import Grades, grades_of
from reactions.forms.infusion import CLOCK_SLACK
from reactions.forms.rows import BaseRows, OwnWordsField, RowForm, forget_errors, rows_of, with_one_more
from reactions.forms.seriousness import BOX, SeriousnessForm
from reactions.models import ChairsideRow, Infusion, Reaction, Treatment
from reactions.vocabulary import Action, Dechallenge, Outcome, Rechallenge, choices

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


# What people at the bedside call them, beside CTCAE's word.
EVERYDAY_WORDS = {
    "arthralgia": "joint pain",
    "dyspnea": "short of breath",
    "hyperhidrosis": "sweating",
    "myalgia": "muscle pain",
    "presyncope": "nearly fainted",
    "pruritus": "itch",
    "sinus_tachycardia": "fast pulse",
    "syncope": "fainted",
    "urticaria": "hives",
}


def _label(code: str) -> str:
    everyday = EVERYDAY_WORDS.get(code)
    return f"{TERMS[code].label} ({everyday})" if everyday else TERMS[code].label


def term_choices() -> list[tuple[str, Any]]:
    """The common terms, then all others by body system."""
    systems: dict[str, list[tuple[str, str]]] = {}
    for term in TERMS.values():
        if term.code not in COMMON_TERMS and term.code != OTHER:
            systems.setdefault(term.system, []).append((term.code, _label(term.code)))
    return [
        ("", "Choose"),
        ("Common", [(code, _label(code)) for code in COMMON_TERMS]),
        *sorted((system, sorted(terms, key=lambda term: term[1])) for system, terms in systems.items()),
        ("Not in this list", [(OTHER, TERMS[OTHER].label)]),
    ]


class SymptomForm(RowForm):
    meaningful = ("term", "other_text", "grade", "onset_at", "ended_at")
    widths = {
        "term": "col-lg-5",
        "other_text": "col-lg-4",
        "grade": "col-lg-3",
        "onset_at": "col-lg-5",
        "ended_at": "col-lg-4",
    }
    more = "reactions/grade_hints.html"

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

    def __init__(self, *args: Any, infusion: Infusion, versions: dict[str, str], **kwargs: Any) -> None:
        """`versions` are the CTCAE versions in which terms of this reaction were graded before."""
        super().__init__(*args, **kwargs)
        self.infusion, self.versions = infusion, versions
        self.fields["onset_at"] = ClinicDateTimeField(zone=infusion.zone, required=False, label="Began")
        self.fields["ended_at"] = ClinicDateTimeField(zone=infusion.zone, required=False, label="Ended")

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
            values["ctcae_version"] = self.version_of(term)
        if term and grade:
            try:
                check_grade(term, grade, values["ctcae_version"])
            except UndefinedGrade as error:
                self.add_error("grade", str(error))
        self._check_times(values)
        return values

    def version_of(self, term: str) -> str:
        """The version in which the term was graded before; the clinic's for a new one."""
        return self.versions.get(term) or version_for(term, self.infusion.clinic.ctcae_version)

    @property
    def grades(self) -> Grades | None:
        """What the grades of the chosen term mean; None while no term is chosen."""
        term = self["term"].value() or ""
        return grades_of(term, self.version_of(term)) if term in TERMS else None

    def _check_times(self, values: dict[str, Any]) -> None:
        onset, ended = values.get("onset_at"), values.get("ended_at")
        latest = timezone.now() + CLOCK_SLACK
        if onset:
            values["onset_at"] = onset = not_before_the_start(onset, self.infusion)
            if onset < self.infusion.started_at:
                started = timezone.localtime(self.infusion.started_at, self.infusion.zone)
                said = f"It cannot begin before the infusion, which started {started:%Y-%m-%d %H:%M}."
                self.add_error("onset_at", said)
            elif onset > latest:
                self.add_error("onset_at", "This time lies in the future. Check the date.")
        if ended and ended > latest:
            self.add_error("ended_at", "This time lies in the future. Leave it empty while it goes on.")
        elif ended and onset and ended < onset.replace(second=0, microsecond=0):
            self.add_error("ended_at", "It cannot end before it began.")
        elif ended and onset:
            values["ended_at"] = max(onset, ended)


def not_before_the_start(moment: datetime, infusion: Infusion) -> datetime:
    """A moment typed to the minute in which the infusion started is no earlier than the start's seconds."""
    started: datetime = infusion.started_at
    return started if started.replace(second=0, microsecond=0) <= moment < started else moment


class TreatmentRowForm(DrugFields, RowForm):
    """A drug or measure given after the start. Its time is typed; on the running page empty means now."""

    meaningful = ("drug", "other_drug", "dose", "route", "at")
    widths = {
        "drug": "col-lg-3",
        "other_drug": "col-lg-2",
        "dose": "col-lg-2",
        "route": "col-lg-2",
        "at": "col-lg-3",
    }

    def __init__(self, *args: Any, infusion: Infusion, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.infusion = infusion
        self.fields["drug"].label = "Drug or measure"
        self.fields["at"] = ClinicDateTimeField(zone=infusion.zone, required=False, label="Given at")

    def clean(self) -> dict[str, Any]:
        values = super().clean()
        self.need("drug", "Choose the drug, or empty this row.")
        self.need("at", "Write when it was given.")
        if at := values.get("at"):
            values["at"] = at = not_before_the_start(at, self.infusion)
            if at < self.infusion.started_at:
                said = "This lies before the start: what is given before belongs to the infusion's premedication."
                self.add_error("at", said)
            elif at > timezone.now() + CLOCK_SLACK:
                self.add_error("at", "This time lies in the future. Check the date.")
        return values


class ReactionForm(SeriousnessForm):
    submission_id = SubmissionField()
    seen_version = forms.IntegerField(required=False, widget=forms.HiddenInput)
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


SymptomRows = rows_of(SymptomForm, spare=3)
TreatmentRows = rows_of(TreatmentRowForm, spare=2)
SYMPTOM_COLUMNS = ("term", "other_text", "grade", "onset_at", "ended_at")
TREATMENT_COLUMNS = ("drug", "other_drug", "dose", "route", "at")


class ReactionEntry:
    """The reaction's form with its symptoms and treatments, handled as one.

    `add_row` names rows of which one more is asked for; `unjudged` shows what was typed without judging it. A new
    reaction may begin with what somebody told already: `told` are values of the form, `told_symptoms` rows without a
    grade.
    """

    def __init__(
        self,
        data: Any = None,
        *,
        infusion: Infusion,
        reaction: Reaction | None = None,
        add_row: str = "",
        unjudged: bool = False,
        told: dict[str, Any] | None = None,
        told_symptoms: list[dict[str, Any]] | None = None,
    ) -> None:
        self.infusion, self.reaction = infusion, reaction
        if add_row in {"symptoms", "treatments"}:
            data = with_one_more(data, add_row)
        self.free = [row for row in infusion.treatments.all() if row.reaction_id is None and not row.is_void]
        self.form = ReactionForm(
            data, infusion=infusion, reaction=reaction, free=self.free, initial=_stored_values(reaction) | (told or {})
        )
        stored = list(reaction.symptoms.all()) if reaction else []
        self.symptoms: BaseRows = SymptomRows(
            data,
            prefix="symptoms",
            form_kwargs={"infusion": infusion, "versions": {symptom.term: symptom.ctcae_version for symptom in stored}},
            initial=[{name: getattr(symptom, name) for name in SYMPTOM_COLUMNS} for symptom in stored]
            or (told_symptoms or []),
        )
        self.treatments: BaseRows = TreatmentRows(
            data, prefix="treatments", form_kwargs={"infusion": infusion}, initial=self._stored_treatments()
        )
        if add_row or unjudged:
            forget_errors(self.form, self.symptoms, self.treatments)

    def _stored_treatments(self) -> list[dict[str, Any]]:
        rows = self.reaction.treatments_given if self.reaction else []
        return [{name: getattr(row, name) for name in TREATMENT_COLUMNS} for row in rows]

    def is_valid(self) -> bool:
        parts = [self.form.is_valid(), self.symptoms.is_valid(), self.treatments.is_valid()]
        if not self.symptoms.filled_forms() and parts[1]:
            self._ask_for_a_symptom()
        self._check_twice()
        self._check_treatments_twice()
        self._check_resolved()
        return all(parts) and not self.failed

    def _ask_for_a_symptom(self) -> None:
        said = "Choose at least one symptom."
        if self.symptoms.forms:
            self.symptoms.forms[0].add_error("term", said)
        else:
            self.form.add_error(None, said)

    def _check_twice(self) -> None:
        seen = set()
        for form in self.symptoms.filled_forms():
            which = (form.cleaned_data.get("term"), form.cleaned_data.get("other_text", "").casefold())
            if which[0] and which in seen:
                form.add_error("term", "This symptom stands above already. Keep one row for it, with its worst grade.")
            seen.add(which)

    def _check_treatments_twice(self) -> None:
        seen = set()
        for form in self.treatments.filled_forms():
            which = tuple(form.cleaned_data.get(name) for name in ("at", "drug", "other_drug"))
            if which in seen:
                form.add_error("at", "This drug at this minute stands above already. Empty one of the rows.")
            seen.add(which)

    def refuse_treatment(self, stored: ChairsideRow) -> None:
        """Say beside its row that a treatment is recorded already, outside this reaction."""
        at = timezone.localtime(stored.at, self.infusion.zone)
        for form in self.treatments.filled_forms():
            which = tuple(form.cleaned_data.get(name) for name in ("at", "drug", "other_drug"))
            if isinstance(stored, Treatment) and which == (stored.at, stored.drug, stored.other_drug):
                also = "" if stored.reaction_id else " Tick it above if it was given for this reaction."
                said = f"{stored} at {at:%H:%M} is recorded already by {stored.created_by}. Empty this row."
                form.add_error("at", said + also)

    def _check_resolved(self) -> None:
        resolved = self.form.cleaned_data.get("resolved_at")
        onsets = [row["onset_at"] for row in self.symptoms.filled() if row.get("onset_at")]
        if not resolved or not onsets:
            return
        if resolved < min(onsets).replace(second=0, microsecond=0):
            self.form.add_error("resolved_at", "It cannot resolve before it began.")
        else:
            self.form.cleaned_data["resolved_at"] = max(resolved, min(onsets))

    @property
    def parts(self) -> tuple[forms.Form, ...]:
        """Every form of the page, in its order."""
        return (*self.symptoms.forms, *self.treatments.forms, self.form)

    @property
    def failed(self) -> bool:
        """Something typed was refused."""
        return any(form.errors for form in self.parts)

    @property
    def hints(self) -> list[str]:
        """Criteria of seriousness to look at, from the symptoms as they stand in the form. They decide nothing."""
        rows = [(row["term"].value() or "", str(row["grade"].value() or "")) for row in self.symptoms.forms]
        chosen = [(term, int(grade) if grade.isdecimal() else None) for term, grade in rows if term in TERMS]
        return seriousness.hints([term for term, _ in chosen], [grade for _, grade in chosen], ticked=self.form.ticked)

    def differences(self, stored: Reaction) -> list[Difference]:
        """Every field and set of rows in which the form and the stored reaction disagree."""
        fresh = ReactionEntry(infusion=self.infusion, reaction=stored)
        found = differences(fresh.form, self.form)
        for label, there, here in (
            ("Symptoms", fresh.symptoms, self.symptoms),
            ("Treatments", fresh.treatments, self.treatments),
        ):
            if there.in_lines() != here.in_lines():
                found.append(Difference(label, there.in_lines(), here.in_lines()))
        return found

    def accept_version(self, version: int) -> None:
        """Take the stored version as seen: the next saving of what was typed replaces it."""
        self.form.data = with_value(self.form.data, "seen_version", str(version))

    @property
    def submission_id(self) -> UUID:
        submission: UUID = self.form.cleaned_data["submission_id"]
        return submission


def _stored_values(reaction: Reaction | None) -> dict[str, Any]:
    if reaction is None:
        return {"submission_id": uuid4()}
    names = ("action", "treatment", "dechallenge", "rechallenge", "outcome", "resolved_at", "narrative")
    return {name: getattr(reaction, name) for name in names} | {
        "submission_id": uuid4(),
        "seen_version": reaction.version,
        "criteria": reaction.serious_criteria,
        "none_of_these": reaction.is_serious is False,
        "unexplained": True,
    }
