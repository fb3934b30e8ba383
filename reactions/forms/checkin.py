"""What a patient fills in, one question a screen. How the screens hang together: answer_sheet.py."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

from django import forms
from django.core import signing
from django.core.exceptions import ValidationError
from django.http import QueryDict
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from patients import clock
from patients.forms.fields import ClinicDateTimeField
from reactions.clinical.questions import CARE, DAY, EMERGENCIES, GROUPS, IN_ORDER, MORE
from reactions.clinical.triage import RED_WORDS
from reactions.models import CheckIn
from reactions.models.checkin import CARE_SOUGHT
from reactions.vocabulary import LABELS, PatientSeverity, PatientSymptom

Said = dict[str, list[str]]

WHO, FIRST, PROBLEMS = "who", "first", "problems"
# In front of the symptom in the name of its own screen.
PROBLEM = "problem-"
PARENT = "parent"
# The button for every problem there is, and what the page then carries along.
SHOW_ALL, ALL = "show_all", "all"
KEPT_AT_MOST = 20_000
OPENED = "reactions.checkin.opened"


def opened_now(checkin: CheckIn) -> str:
    """A note, which nobody can bend, of when this page was opened."""
    return signing.dumps([checkin.pk, timezone.now().timestamp()], salt=OPENED)


def opened_at(note: str, checkin: CheckIn) -> datetime | None:
    """When the page was opened that carries the note; None for a note that is bent, or of another check-in."""
    try:
        pk, moment = signing.loads(note, salt=OPENED)
    except (signing.BadSignature, ValueError):
        return None
    return datetime.fromtimestamp(moment, tz=timezone.get_default_timezone()) if pk == checkin.pk else None


class StepForm(forms.Form):
    """One screen. It knows when it was opened, and when it is sent a second time; without either it is taken too."""

    template = "checkins/step.html"
    submission_id = forms.Field(required=False, widget=forms.HiddenInput, initial=uuid4)
    opened = forms.Field(required=False, widget=forms.HiddenInput)

    def __init__(self, *args: Any, checkin: CheckIn, step: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.checkin = checkin
        self.step = step
        self.initial.setdefault("opened", opened_now(checkin))

    @property
    def asks_for_all(self) -> bool:
        """It was sent to see more of the same screen, and not to go on."""
        return False

    def clean_submission_id(self) -> UUID | None:
        try:
            return UUID(str(self.cleaned_data["submission_id"]))
        except ValueError:
            return None

    def opened_at(self) -> datetime | None:
        """When the browser loaded the page that it now sends."""
        return opened_at(str(self.data.get("opened", "")), self.checkin)

    def said(self) -> Said:
        """What was sent, to be kept as it is, be it wrong; PostgreSQL keeps no null bytes."""
        data = self.data if isinstance(self.data, QueryDict) else QueryDict()
        return {
            name: [value.replace("\0", "")[:KEPT_AT_MOST] for value in data.getlist(name)[: len(PatientSymptom)]]
            for name in self.fields
            if name in data and name not in {"submission_id", "opened"}
        }

    def questions(self) -> list[str]:
        return [field.name for field in self.visible_fields()]

    @property
    def question_fields(self) -> list[forms.BoundField]:
        return [self[name] for name in self.questions()]


class WhoForm(StepForm):
    answered_by = forms.ChoiceField(
        choices=[("patient", _("I am the patient")), (PARENT, _("I am a parent, or I care for the patient"))],
        widget=forms.RadioSelect,
        error_messages={"required": _("Please choose who is answering.")},
    )


class FirstQuestionForm(StepForm):
    template = "checkins/first_question.html"
    has_problem = forms.TypedChoiceField(
        label=_("Your answer"),
        coerce=lambda value: value == "yes",
        choices=[("no", _("No, nothing new or worse")), ("yes", _("Yes"))],
        widget=forms.RadioSelect,
        error_messages={"required": _("Please choose No or Yes.")},
    )


class ProblemsForm(StepForm):
    """Which problems there are: emergencies first, then in groups those that the check-in's questions list.

    The others are one button away, and each of them is taken whatever is listed.
    """

    template = "checkins/problems.html"
    symptoms = forms.MultipleChoiceField(
        label=_("Problems"),
        choices=lambda: [(str(word), _(LABELS[PatientSymptom][word])) for word in IN_ORDER],
        widget=forms.CheckboxSelectMultiple,
        error_messages={"required": _("Please mark at least one problem. “Something else” is the last one.")},
    )
    listed = forms.Field(required=False, widget=forms.HiddenInput)

    @property
    def asks_for_all(self) -> bool:
        return SHOW_ALL in self.data

    @property
    def shows_all(self) -> bool:
        return self.checkin.asked.is_full or self["listed"].value() == ALL

    @property
    def emergencies(self) -> list[Any]:
        return self._boxes(EMERGENCIES)

    @property
    def groups(self) -> list[tuple[Any, list[Any]]]:
        """(heading, boxes), those with a box that is shown."""
        marked = self["symptoms"].value() or []
        shown = [word for word in IN_ORDER if self.shows_all or word in self.checkin.asked.problems or word in marked]
        found = ((group.heading, [word for word in group.problems if word in shown]) for group in GROUPS)
        return [(_(heading), self._boxes(words)) for heading, words in found if words]

    @property
    def something_else(self) -> list[Any]:
        return self._boxes([PatientSymptom.OTHER])

    def said(self) -> Said:
        return super().said() | ({"listed": [ALL]} if self.asks_for_all else {})

    def _boxes(self, words: Iterable[PatientSymptom]) -> list[Any]:
        return [box for box in self["symptoms"] if box.data["value"] in words]


class BeganField(ClinicDateTimeField):
    """When something began, about: where the clocks skipped or repeated an hour, either hour is good enough."""

    def clean(self, value: Any) -> datetime | None:
        try:
            return super().clean(value)
        except ValidationError as error:
            try:
                typed = datetime.fromisoformat(str(value).strip())
            except ValueError:
                typed = None
            if typed and typed.tzinfo is None and clock.EARLIEST_YEAR <= typed.year <= clock.LATEST_YEAR:
                return typed.replace(tzinfo=self.zone)
            raise ValidationError(_("We could not read this date and time. Please choose it again.")) from error


class ProblemForm(StepForm):
    """How bad one problem was, when it began, and whether it is still there. Times are on the patient's clocks."""

    template = "checkins/problem.html"
    severity = forms.ChoiceField(
        label=_("How bad was it at its worst?"),
        widget=forms.RadioSelect,
        choices=[
            (str(word), _(LABELS[PatientSeverity][word]))
            for word in PatientSeverity
            if word != PatientSeverity.NOT_SAID
        ],
        error_messages={"required": _("Please choose how bad it was.")},
    )
    still_there = forms.TypedChoiceField(
        label=_("Is it still there?"),
        required=False,
        coerce=lambda value: {"yes": True, "no": False}.get(value),
        empty_value=None,
        choices=[("yes", _("Yes")), ("no", _("No, it is over"))],
        widget=forms.RadioSelect,
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.symptom = PatientSymptom(self.step.removeprefix(PROBLEM))
        # Whoever marks an emergency need not grade it.
        self.fields["severity"].required = self.symptom not in RED_WORDS
        self.fields["began_at"] = BeganField(
            zone=self.checkin.infusion.patient.zone,
            label=_("When did it begin?"),
            help_text=_("About is good enough. You can leave it empty."),
            required=False,
        )
        self.order_fields(["severity", "still_there", "began_at"])

    @property
    def label(self) -> str:
        return str(_(LABELS[PatientSymptom][self.symptom]))

    def clean_began_at(self) -> datetime | None:
        began: datetime | None = self.cleaned_data["began_at"]
        if began and began > timezone.now():
            raise ValidationError(_("This time has not come yet. Please check the date."))
        if began and began < self.checkin.infusion.started_at:
            raise ValidationError(_("This is before the infusion. Please check the date."))
        return began


class CareForm(StepForm):
    care_sought = forms.ChoiceField(
        required=False,
        choices=[(value, _(label)) for value, label in CARE_SOUGHT],
        widget=forms.RadioSelect,
    )


class DayForm(StepForm):
    """What it did to the day: the three questions of v-safe."""

    effects = forms.MultipleChoiceField(
        required=False,
        choices=[
            ("could_not_work", _("Could not work or go to school")),
            ("could_not_do_daily", _("Could not do normal daily things")),
            ("got_care", _("Got care from a doctor, nurse or hospital")),
        ],
        widget=forms.CheckboxSelectMultiple,
    )


class MoreForm(StepForm):
    template = "checkins/more.html"
    comment = forms.CharField(
        label=_("Anything else we should know?"),
        help_text=_("Nobody reads this at once. For help now, call."),
        required=False,
        max_length=10_000,
        widget=forms.Textarea(attrs={"rows": 4}),
        error_messages={"max_length": _("Please keep it under 10,000 characters.")},
    )


class CheckForm(StepForm):
    """Nothing to fill in: what the clinic will read, to be sent."""


class BirthYearForm(forms.Form):
    birth_year = forms.IntegerField(
        label=_("In what year was the patient born?"),
        help_text=_("Four digits, such as 1970."),
        widget=forms.TextInput(attrs={"inputmode": "numeric", "autocomplete": "off", "maxlength": "4"}),
        min_value=1900,
        max_value=2199,
        error_messages={
            name: _("Please write the year with four digits.")
            for name in ("required", "invalid", "min_value", "max_value")
        },
    )
    wrong_year = _("That is not the year we have. Please check it, or call your clinic.")


FORMS: dict[str, type[StepForm]] = {
    WHO: WhoForm,
    FIRST: FirstQuestionForm,
    PROBLEMS: ProblemsForm,
    CARE: CareForm,
    DAY: DayForm,
    MORE: MoreForm,
}
