"""Deciding about a patient's report."""

from typing import Any
from uuid import uuid4

from crispy_forms.helper import FormHelper
from django import forms

from patients.forms.fields import SeenField, SubmissionField, say_what_is_missing, with_value
from reactions.forms.rows import forget_errors
from reactions.models import Reaction, Report
from reactions.vocabulary import RejectReason, choices

BOX = {"class": "form-check-input"}
# What a patient names by one word and CTCAE by one term. Every other word may mean several terms: a person chooses. The
# grade is never carried over.
TERMS_OF_WORDS = {
    "headache": "headache",
    "fever": "fever",
    "chills": "chills",
    "itch": "pruritus",
    "dizzy": "dizziness",
}


class DecisionForm(forms.Form):
    """What every decision has: the version of the answer and the decision that were read, and the clinician's words.

    The words are asked for where the decision that was read is revised.
    """

    submission_id = SubmissionField()
    seen_answer = SeenField()
    seen_decision = SeenField()
    words = forms.CharField(
        max_length=500, required=False, label="In your words", widget=forms.Textarea(attrs={"rows": 2})
    )

    def __init__(self, data: Any = None, *, report: Report, prefix: str = "") -> None:
        self.report, decision = report, report.decision
        self.seen = {"seen_answer": report.newest.pk, "seen_decision": decision.version if decision else 0}
        super().__init__(data, prefix=prefix or None, initial={"submission_id": uuid4()} | self.seen)
        if decision:
            self.fields["words"].label = "Why is the decision changed?"
        self.extra()
        say_what_is_missing(self)
        self.helper = FormHelper()
        self.helper.form_tag = False
        self.helper.disable_csrf = True

    def extra(self) -> None:
        """Fields that are made from the report."""

    def clean(self) -> dict[str, Any]:
        values = super().clean() or self.cleaned_data
        if values.get("seen_decision") and "words" in self.fields and not values.get("words"):
            self.ask_for_words("Write why the decision is changed.")
        return values

    def ask_for_words(self, message: str) -> None:
        """Say beside the words that they are missing, unless something is said there already."""
        if "words" not in self.errors:
            self.add_error("words", message)

    def refuse(self, why: str) -> None:
        """Say why what was sent was not stored, and take the newest answer and decision as seen.

        Sending the same once more is about these.
        """
        self.is_valid()
        for name, value in self.seen.items():
            self.data = with_value(self.data, self.add_prefix(name), str(value))
        self.add_error(None, why)

    def told(self) -> dict[str, Any]:
        """What the verb takes."""
        return {"words": "", **self.cleaned_data}


class AcceptForm(DecisionForm):
    """Beside the form of the reaction, whose id is that of the decision too."""

    def __init__(self, data: Any = None, *, report: Report) -> None:
        super().__init__(data, report=report, prefix="review")
        del self.fields["submission_id"]
        if not report.decision:
            del self.fields["words"]

    def show_unjudged(self) -> None:
        """Show what was typed as it was typed."""
        forget_errors(self)


class MergeForm(DecisionForm):
    """Which of the reactions to the infusions of the course it is."""

    field_order = ("submission_id", "seen_answer", "seen_decision", "reaction", "words")

    def __init__(self, data: Any = None, *, report: Report) -> None:
        self.reactions = {str(reaction.pk): reaction for reaction in report.reactions_of_the_course()}
        super().__init__(data, report=report, prefix="merge")

    def extra(self) -> None:
        self.fields["reaction"] = forms.ChoiceField(
            choices=[(pk, str(reaction)) for pk, reaction in self.reactions.items()],
            widget=forms.RadioSelect(attrs=BOX),
            label="Which reaction is it?",
        )
        self.order_fields(self.field_order)

    @property
    def rows(self) -> list[tuple[Any, Reaction]]:
        """Each reaction with its box."""
        boxes: Any = self["reaction"]
        return list(zip(boxes, self.reactions.values(), strict=True))

    def told(self) -> dict[str, Any]:
        return super().told() | {"reaction": self.reactions[self.cleaned_data["reaction"]]}


class RejectForm(DecisionForm):
    """Why it is no reaction to the infusion."""

    field_order = ("submission_id", "seen_answer", "seen_decision", "reason", "words")

    def __init__(self, data: Any = None, *, report: Report) -> None:
        super().__init__(data, report=report, prefix="reject")

    def extra(self) -> None:
        self.fields["reason"] = forms.ChoiceField(
            choices=choices(RejectReason), widget=forms.RadioSelect(attrs=BOX), label="Why is it none?"
        )
        self.order_fields(self.field_order)

    def clean(self) -> dict[str, Any]:
        values = super().clean()
        if values.get("reason") == RejectReason.OTHER and not values.get("words"):
            self.ask_for_words("Write the reason in your words.")
        return values

    def told(self) -> dict[str, Any]:
        return super().told() | {"reason": RejectReason(self.cleaned_data["reason"])}
