"""Judging the cause of a reaction: the WHO-UMC checklist and the Naranjo questions."""

from typing import Any
from uuid import UUID, uuid4

from django import forms

from patients.forms.fields import SubmissionField
from reactions.clinical.causality import (
    NARANJO_LABELS,
    NARANJO_QUESTIONS,
    UMC_POINTS,
    WHO_UMC,
    NaranjoAnswer,
    NaranjoQuestion,
    NaranjoResult,
    UmcCategory,
    UmcPoint,
    naranjo,
    who_umc_open_points,
    who_umc_supported,
)
from reactions.forms.rows import forget_errors
from reactions.models import CausalityAssessment
from reactions.vocabulary import CausalityScale

BOX = {"class": "form-check-input"}
NOTE_HELP = "Such as what speaks for and against it."


class JudgementForm(forms.Form):
    """What both scales share. `latest` is the newest judgement by this scale, from which a new one starts."""

    # Our own words say more than the browser's, and beside every field at once.
    use_required_attribute = False

    scale: CausalityScale
    submission_id = SubmissionField()
    note = forms.CharField(
        required=False,
        max_length=500,
        help_text=NOTE_HELP,
        widget=forms.Textarea(attrs={"rows": 2, "class": "form-control"}),
    )

    def __init__(self, data: Any = None, *, latest: CausalityAssessment | None = None) -> None:
        super().__init__(data, initial={"submission_id": uuid4()} | (self.stored(latest) if latest else {}))

    def stored(self, latest: CausalityAssessment) -> dict[str, Any]:
        raise NotImplementedError

    def answers(self) -> dict[str, Any]:
        """As CausalityAssessment keeps them."""
        raise NotImplementedError

    def result(self) -> tuple[str, int | None]:
        """Category and score; an empty category while the score is unfinished."""
        raise NotImplementedError

    def show_unjudged(self) -> None:
        """Show what was ticked as it was ticked."""
        forget_errors(self)

    @property
    def submission(self) -> UUID:
        given: UUID = self.cleaned_data["submission_id"]
        return given


class WhoUmcForm(JudgementForm):
    """All points of the chosen category must be ticked; which category it is, a person chooses."""

    scale = CausalityScale.WHO_UMC
    points = forms.MultipleChoiceField(
        required=False,
        choices=[(str(point), words) for point, words in UMC_POINTS.items()],
        widget=forms.CheckboxSelectMultiple(attrs=BOX),
        label="What holds here?",
    )
    category = forms.ChoiceField(
        choices=[(str(category), definition.label) for category, definition in WHO_UMC.items()],
        widget=forms.RadioSelect(attrs=BOX),
        label="Your judgement",
        error_messages={"required": "Choose the category."},
    )

    def stored(self, latest: CausalityAssessment) -> dict[str, Any]:
        return {"points": latest.answers.get("points", []), "category": latest.category, "note": latest.note}

    def clean(self) -> dict[str, Any]:
        values = super().clean() or self.cleaned_data
        if "category" in values:
            category = UmcCategory(values["category"])
            missing = who_umc_open_points(category, [UmcPoint(point) for point in values.get("points", [])])
            if missing:
                named = "; ".join(UMC_POINTS[point] for point in missing)
                label = WHO_UMC[category].label
                self.add_error("category", f"“{label}” also needs: {named}. Tick what holds, or choose another.")
        return values

    @property
    def ticked(self) -> list[UmcPoint]:
        """The points as they stand in the form now."""
        known = set(UmcPoint)
        return [UmcPoint(code) for code in self["points"].value() or [] if code in known]

    @property
    def supported(self) -> list[str]:
        """The labels of the categories all of whose points are ticked."""
        return [WHO_UMC[category].label for category in who_umc_supported(self.ticked)]

    @property
    def category_rows(self) -> list[dict[str, Any]]:
        """Each category to choose, with what it needs and what of that is open."""
        rows = []
        for box, (category, definition) in zip(self["category"], WHO_UMC.items(), strict=True):
            missing = who_umc_open_points(category, self.ticked)
            points = [(UMC_POINTS[point], point not in missing) for point in definition.points]
            rows.append({"box": box, "points": points, "is_supported": not missing, "remark": definition.remark})
        return rows

    def answers(self) -> dict[str, Any]:
        return {"points": self.cleaned_data["points"]}

    def result(self) -> tuple[str, int | None]:
        return self.cleaned_data["category"], None


class NaranjoForm(JudgementForm):
    """Ten questions. One that is not answered is not “don't know”: the score is then unfinished, and says so."""

    scale = CausalityScale.NARANJO

    def __init__(self, data: Any = None, *, latest: CausalityAssessment | None = None) -> None:
        super().__init__(data, latest=latest)
        answers = [*((str(code), NARANJO_LABELS[code]) for code in NaranjoAnswer), ("", "Not answered")]
        for question in NARANJO_QUESTIONS:
            self.fields[_name(question)] = forms.ChoiceField(
                required=False,
                choices=answers,
                widget=forms.RadioSelect(attrs=BOX),
                label=f"{question.number}. {question.text}",
                help_text=question.hint,
            )

    def stored(self, latest: CausalityAssessment) -> dict[str, Any]:
        return {f"question_{number}": answer for number, answer in latest.answers.items()} | {"note": latest.note}

    @property
    def question_rows(self) -> list[tuple[forms.BoundField, NaranjoQuestion]]:
        return [(self[_name(question)], question) for question in NARANJO_QUESTIONS]

    @property
    def so_far(self) -> NaranjoResult:
        """The score of the answers as they stand in the form now."""
        known = set(NaranjoAnswer)
        given = {question.number: self[_name(question)].value() for question in NARANJO_QUESTIONS}
        return naranjo({number: NaranjoAnswer(answer) for number, answer in given.items() if answer in known})

    def answers(self) -> dict[str, Any]:
        given = {str(question.number): self.cleaned_data[_name(question)] for question in NARANJO_QUESTIONS}
        return {number: answer for number, answer in given.items() if answer}

    def result(self) -> tuple[str, int | None]:
        found = self.so_far
        return str(found.category or ""), found.score


FORMS: dict[str, type[JudgementForm]] = {str(form.scale): form for form in (WhoUmcForm, NaranjoForm)}


def _name(question: NaranjoQuestion) -> str:
    return f"question_{question.number}"
