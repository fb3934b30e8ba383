"""The rows of a reaction's form: its symptoms and its treatment."""

from datetime import datetime
from typing import Any

from django import forms
from django.utils import timezone

from patients.forms.fields import ClinicDateTimeField
from reactions.clinical.ctcae import OTHER, TERMS, UndefinedGrade, check_grade, version_for
from reactions.forms.drugs import DrugFields
from reactions.forms.grades import Grades, grades_of
from reactions.forms.infusion import CLOCK_SLACK
from reactions.forms.rows import OwnWordsField, RowForm, rows_of
from reactions.models import Infusion

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


SymptomRows = rows_of(SymptomForm, spare=3)
TreatmentRows = rows_of(TreatmentRowForm, spare=2)
SYMPTOM_COLUMNS = ("term", "other_text", "grade", "onset_at", "ended_at")
TREATMENT_COLUMNS = ("drug", "other_drug", "dose", "route", "at")
