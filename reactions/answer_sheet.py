"""All screens that a patient has sent for one check-in, read together: what is asked next, and the answer they make.

It stands between the forms, each of which knows one screen, and the pages. It writes nothing.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django import forms
from django.http import QueryDict
from django.utils import timezone

from reactions.clinical.questions import CARE, DAY, IN_ORDER, MORE
from reactions.clinical.triage import gone_and_lasted, triage
from reactions.forms.checkin import (
    ALL,
    FIRST,
    FORMS,
    PARENT,
    PROBLEM,
    PROBLEMS,
    WHO,
    ProblemForm,
    Said,
    StepForm,
)
from reactions.models import Answer, CheckIn
from reactions.vocabulary import AlertLevel, PatientSeverity, PatientSymptom
from reactions.words import patient_moment

Steps = Mapping[str, Said]

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
        of_each = (f"{PROBLEM}{symptom}" for symptom in self.marked())
        return [*before, FIRST, PROBLEMS, *of_each, *self.checkin.asked.follow]

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
        """The symptoms that are marked, in the order of the list: emergencies first."""
        found = (self.values(PROBLEMS) or {}).get("symptoms", [])
        return [str(word) for word in IN_ORDER if word in found]

    def opened_full_list(self) -> bool:
        return ALL in self.steps.get(PROBLEMS, {}).get("listed", [])

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
        who = {"answered_by": PARENT if self.by_parent() else "patient", "question_set": self.checkin.asked.code}
        if not self.has_problem():
            return who
        began = [values["began_at"] for values in self.of_symptoms().values() if values["began_at"]]
        effects = (self.values(DAY) or {}).get("effects")
        asked = ("could_not_work", "could_not_do_daily", "got_care")
        return who | {
            "full_list": self.opened_full_list(),
            "began_at": min(began, default=None),
            "still_there": self.still_there(),
            "care_sought": (self.values(CARE) or {}).get("care_sought", ""),
            "comment": (self.values(MORE) or {}).get("comment", ""),
            **{name: None if effects is None else name in effects for name in asked},
        }

    def level(self, now: datetime) -> AlertLevel | None:
        """The level of what was said so far, so that emergency words come first whatever else is amiss."""
        symptoms = {PatientSymptom(word): PatientSeverity(severity) for word, severity in self.symptoms().items()}
        if not self.has_problem() or not symptoms:
            return None
        said = self.details()
        told = {
            PatientSymptom(word): (values["began_at"], values["still_there"])
            for word, values in self.of_symptoms().items()
        }
        return triage(
            symptoms,
            care_sought=said["care_sought"],
            still_there=said["still_there"],
            **gone_and_lasted(told, now),
        ).level

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
    steps[PROBLEMS] = {"symptoms": [row.symptom for row in rows]} | ({"listed": [ALL]} if answer.full_list else {})
    for row in rows:
        if row.severity == PatientSeverity.NOT_SAID and row.still_there is None and row.began_at is None:
            continue
        severity = "" if row.severity == PatientSeverity.NOT_SAID else row.severity
        began = f"{row.began_at.astimezone(zone):%Y-%m-%dT%H:%M}" if row.began_at else ""
        still = {True: "yes", False: "no", None: ""}[row.still_there]
        steps[f"{PROBLEM}{row.symptom}"] = {"severity": [severity], "still_there": [still], "began_at": [began]}
    effects = [name for name in ("could_not_work", "could_not_do_daily", "got_care") if getattr(answer, name)]
    to_the_end = answer.got_care is not None
    if to_the_end:
        steps[DAY] = {"effects": effects}
    # Not every set of questions asks what it did to the day.
    if to_the_end or answer.care_sought:
        steps[CARE] = {"care_sought": [answer.care_sought]}
    if to_the_end or answer.comment:
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
