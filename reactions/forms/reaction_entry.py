"""Recording and correcting a reaction: its form with its symptoms and treatments, handled as one."""

from typing import Any
from uuid import uuid4

from django import forms
from django.utils import timezone

from patients.forms.fields import Difference
from reactions.clinical import seriousness
from reactions.clinical.ctcae import TERMS
from reactions.forms.entry import Entry
from reactions.forms.reaction import ReactionForm
from reactions.forms.reaction_rows import SYMPTOM_COLUMNS, TREATMENT_COLUMNS, SymptomRows, TreatmentRows
from reactions.forms.rows import BaseRows, forget_errors
from reactions.models import ChairsideRow, Infusion, Reaction, Treatment
from reactions.recording import AlreadyThere, StartsTooLate


class ReactionEntry(Entry):
    """The reaction's form with its symptoms and treatments, handled as one.

    A new reaction may begin with what somebody told already: `told` are values of the form, `told_symptoms` rows
    without a grade.
    """

    def __init__(
        self,
        data: Any = None,
        *,
        infusion: Infusion,
        reaction: Reaction | None = None,
        told: dict[str, Any] | None = None,
        told_symptoms: list[dict[str, Any]] | None = None,
    ) -> None:
        super().__init__(data)
        self.infusion, self.reaction = infusion, reaction
        self.free = [row for row in infusion.treatments.all() if row.reaction_id is None and not row.is_void]
        initial = _stored_values(reaction) | (told or {})
        self.form = ReactionForm(self.data, infusion=infusion, reaction=reaction, free=self.free, initial=initial)
        stored = list(reaction.symptoms.all()) if reaction else []
        self.symptoms: BaseRows = SymptomRows(
            self.data,
            prefix="symptoms",
            form_kwargs={"infusion": infusion, "versions": {symptom.term: symptom.ctcae_version for symptom in stored}},
            initial=[{name: getattr(symptom, name) for name in SYMPTOM_COLUMNS} for symptom in stored]
            or (told_symptoms or []),
        )
        self.treatments: BaseRows = TreatmentRows(
            self.data, prefix="treatments", form_kwargs={"infusion": infusion}, initial=self._stored_treatments()
        )
        self.rows = {"Symptoms": self.symptoms, "Treatments": self.treatments}
        if self.only_asks:
            forget_errors(self.form, *self.rows.values())

    def _stored_treatments(self) -> list[dict[str, Any]]:
        rows = self.reaction.treatments_given if self.reaction else []
        return [{name: getattr(row, name) for name in TREATMENT_COLUMNS} for row in rows]

    def is_valid(self) -> bool:
        if not self.is_sent:
            return False
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

    def refuse(self, error: AlreadyThere | StartsTooLate) -> None:
        """Say why nothing was saved, beside the row that it is about."""
        if isinstance(error, AlreadyThere):
            self._refuse_treatment(error.stored)
        else:
            self.form.add_error(None, str(error))

    def _refuse_treatment(self, stored: ChairsideRow) -> None:
        """It is recorded already, outside this reaction."""
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
    def hints(self) -> list[str]:
        """Criteria of seriousness to look at, from the symptoms as they stand in the form. They decide nothing."""
        rows = [(row["term"].value() or "", str(row["grade"].value() or "")) for row in self.symptoms.forms]
        chosen = [(term, int(grade) if grade.isdecimal() else None) for term, grade in rows if term in TERMS]
        return seriousness.hints([term for term, _ in chosen], [grade for _, grade in chosen], ticked=self.form.ticked)

    def differences(self, stored: Reaction) -> list[Difference]:
        """Every field and set of rows in which the form and the stored reaction disagree."""
        return self.differences_from(ReactionEntry(infusion=self.infusion, reaction=stored))

    def told(self) -> dict[str, Any]:
        """What every verb takes that records or corrects a reaction."""
        return {
            "details": self.form.details(),
            "symptoms": self.symptoms.filled(),
            "treatments": self.treatments.filled(),
            "taken_along": self.form.taken_along(),
        }


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
