"""What a patient fills in, one question a screen, and the answer that comes of the screens together."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
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
from reactions.clinical.triage import RED_WORDS
from reactions.models import Answer, CheckIn
from reactions.models.checkin import CARE_SOUGHT
from reactions.vocabulary import LABELS, PatientSeverity, PatientSymptom
from reactions.words import patient_moment

Said = dict[str, list[str]]
Steps = Mapping[str, Said]

WHO, FIRST, PROBLEMS, CARE, DAY, MORE = "who", "first", "problems", "care", "day", "more"
# In front of the symptom in the name of its own screen.
PROBLEM = "problem-"
PARENT = "parent"
KEPT_AT_MOST = 20_000
OPENED = "reactions.checkin.opened"


def symptom_choices() -> tuple[list[tuple[str, Any]], list[tuple[str, Any]]]:
    """Emergency words, and the others, each with the words of a person at home."""
    words = [(str(word), _(LABELS[PatientSymptom][word])) for word in PatientSymptom]
    return [pair for pair in words if pair[0] in RED_WORDS], [pair for pair in words if pair[0] not in RED_WORDS]


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
            for name in self.questions()
            if name in data
        }

    def questions(self) -> list[str]:
        return [name for name in self.fields if name not in {"submission_id", "opened"}]

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
    """Which problems there are, emergencies first and together."""

    template = "checkins/problems.html"
    symptoms = forms.MultipleChoiceField(
        label=_("Problems"),
        choices=lambda: [pair for group in symptom_choices() for pair in group],
        widget=forms.CheckboxSelectMultiple,
        error_messages={"required": _("Please mark at least one problem. “Something else” is the last one.")},
    )

    @property
    def emergencies(self) -> list[Any]:
        return [box for box in self["symptoms"] if box.data["value"] in RED_WORDS]

    @property
    def others(self) -> list[Any]:
        return [box for box in self["symptoms"] if box.data["value"] not in RED_WORDS]


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
ADULT_AT = 18


def asks_who(checkin: CheckIn) -> bool:
    """Somebody else may be answering: the patient is a child by now, or the clinic always asks."""
    patient = checkin.infusion.patient
    if patient.clinic.asks_who_answers:
        return True
    born, today = patient.birth_date, timezone.localdate(timezone=patient.zone)
    return born is not None and today.year - born.year - ((today.month, today.day) < (born.month, born.day)) < ADULT_AT


@dataclass
class Sheet:
    """All screens of one check-in, as far as they have been sent."""

    checkin: CheckIn
    steps: Steps
    _values: dict[str, dict[str, Any] | None] = field(default_factory=dict)

    def order(self) -> list[str]:
        """The screens that are asked, in their order."""
        before = [WHO] if asks_who(self.checkin) else []
        if not self.has_problem():
            return [*before, FIRST]
        return [*before, FIRST, PROBLEMS, *(f"{PROBLEM}{symptom}" for symptom in self.marked()), CARE, DAY, MORE]

    def form(self, step: str, data: QueryDict | None = None) -> StepForm:
        """The screen, filled with what was sent before. Raises KeyError for one that does not exist."""
        if step.startswith(PROBLEM):
            if step.removeprefix(PROBLEM) not in set(PatientSymptom):
                raise KeyError(step)
            kind: type[StepForm] = ProblemForm
        else:
            kind = FORMS[step]
        form = kind(data, checkin=self.checkin, step=step)
        for name, values in self.steps.get(step, {}).items():
            many = isinstance(form.fields.get(name), forms.MultipleChoiceField)
            form.initial[name] = values if many else (values or [""])[-1]
        return form

    def values(self, step: str) -> dict[str, Any] | None:
        """What a screen says; None while it was not sent, or not as it should be."""
        if step not in self._values:
            form = self.form(step, _as_sent(self.steps[step])) if step in self.steps else None
            self._values[step] = form.cleaned_data if form and form.is_valid() else None
        return self._values[step]

    def has_problem(self) -> bool:
        return bool((self.values(FIRST) or {}).get("has_problem"))

    def by_parent(self) -> bool:
        return asks_who(self.checkin) and (self.values(WHO) or {}).get("answered_by") == PARENT

    def marked(self) -> list[str]:
        """The symptoms that are marked, emergencies first."""
        found = (self.values(PROBLEMS) or {}).get("symptoms", [])
        return [value for group in symptom_choices() for value, _label in group if value in found]

    def first_open(self) -> str | None:
        """The first screen that still has to be answered; None when all have been."""
        return next((step for step in self.order() if self.values(step) is None), None)

    def before(self, step: str) -> str | None:
        """The screen before this one, None for the first."""
        order = self.order()
        place = order.index(step) if step in order else len(order)
        return order[place - 1] if place else None

    def symptoms(self) -> dict[str, str]:
        """{PatientSymptom: PatientSeverity}, as far as said."""
        return {
            symptom: (self.values(f"{PROBLEM}{symptom}") or {}).get("severity") or PatientSeverity.NOT_SAID
            for symptom in self.marked()
        }

    def of_symptoms(self) -> dict[str, dict[str, Any]]:
        """{PatientSymptom: {"began_at": …, "still_there": …}}, as far as said."""
        said = {symptom: self.values(f"{PROBLEM}{symptom}") or {} for symptom in self.marked()}
        return {
            symptom: {"began_at": values.get("began_at"), "still_there": values.get("still_there")}
            for symptom, values in said.items()
        }

    def still_there(self) -> bool | None:
        """True when any problem is still there, False when every one is over, None when that was not said."""
        said = [values["still_there"] for values in self.of_symptoms().values()]
        return True if True in said else False if said and None not in said else None

    def details(self) -> dict[str, Any]:
        """Columns of Answer, as far as said."""
        who = {"answered_by": PARENT if self.by_parent() else "patient"}
        if not self.has_problem():
            return who
        began = [values["began_at"] for values in self.of_symptoms().values() if values["began_at"]]
        effects = (self.values(DAY) or {}).get("effects")
        asked = ("could_not_work", "could_not_do_daily", "got_care")
        return who | {
            "began_at": min(began, default=None),
            "still_there": self.still_there(),
            "care_sought": (self.values(CARE) or {}).get("care_sought", ""),
            "comment": (self.values(MORE) or {}).get("comment", ""),
            **{name: None if effects is None else name in effects for name in asked},
        }

    def in_words(self) -> Iterator[tuple[str, Any, list[str]]]:
        """What the clinic will read: (screen, its question, lines), for the last screen."""
        for step in self.order():
            values = self.values(step) or {}
            form = self.form(step)
            lines = [line for name in form.questions() for line in _in_words(form, name, values.get(name))]
            yield step, form, lines


def steps_of(answer: Answer) -> dict[str, Said]:
    """The screens as they would be sent for an answer that is there already, so that changing it starts from it."""
    steps: dict[str, Said] = {
        WHO: {"answered_by": [answer.answered_by]},
        FIRST: {"has_problem": ["yes" if answer.has_problem else "no"]},
    }
    rows = list(answer.symptoms.all())
    if not answer.has_problem or not rows:
        return steps
    zone = answer.checkin.infusion.patient.zone
    steps[PROBLEMS] = {"symptoms": [row.symptom for row in rows]}
    for row in rows:
        if row.severity == PatientSeverity.NOT_SAID and row.still_there is None:
            continue
        severity = "" if row.severity == PatientSeverity.NOT_SAID else row.severity
        began = f"{row.began_at.astimezone(zone):%Y-%m-%dT%H:%M}" if row.began_at else ""
        still = {True: "yes", False: "no", None: ""}[row.still_there]
        steps[f"{PROBLEM}{row.symptom}"] = {"severity": [severity], "still_there": [still], "began_at": [began]}
    effects = [name for name in ("could_not_work", "could_not_do_daily", "got_care") if getattr(answer, name)]
    if answer.got_care is not None:
        steps |= {CARE: {"care_sought": [answer.care_sought]}, DAY: {"effects": effects}}
        steps[MORE] = {"comment": [answer.comment]}
    return steps


def _as_sent(said: Said) -> QueryDict:
    data = QueryDict(mutable=True)
    for name, values in said.items():
        data.setlist(name, values)
    return data


def _in_words(form: StepForm, name: str, value: Any) -> Iterator[str]:
    """The lines of one field on the last screen."""
    asked = form.fields[name]
    if isinstance(asked, forms.ChoiceField):
        chosen = value if isinstance(value, list) else [{True: "yes", False: "no"}.get(value, value)]
        prefix = f"{asked.label} " if name == "still_there" else ""
        labels = [(str(code), str(label)) for code, label in list(asked.choices)]  # type: ignore[arg-type]
        yield from (f"{prefix}{label}" for code, label in labels if code and code in chosen)
    elif isinstance(value, datetime):
        yield f"{asked.label} {patient_moment(value)}"
    elif value:
        yield str(value)
