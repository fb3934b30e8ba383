"""Recording, starting and correcting an infusion: its form, its rows and its safety card, handled as one."""

from datetime import timedelta
from typing import Any
from uuid import uuid4

from django import forms
from django.utils import timezone

from patients.forms.fields import Difference
from patients.models import Patient
from reactions import safety
from reactions.clinical.safety_card import NOT_FILLED_IN, CardItem
from reactions.forms.entry import Entry
from reactions.forms.infusion import COLUMNS, SAW_REACTION, InfusionForm
from reactions.forms.infusion_rows import PremedicationRows, VialRows
from reactions.forms.rows import BaseRows, forget_errors
from reactions.forms.safety import SafetyForm
from reactions.models import Course, Infusion
from reactions.recording import Acknowledgement
from reactions.vocabulary import PremedicationRecord

# A course booked for a day as close as this is the one that a new form proposes.
BOOKED_WITHIN = timedelta(days=7)
# After so long a new form does not propose the next day of a course that stopped early. Both are this project's own.
GOES_ON_WITHIN = timedelta(days=7)
# While one of these is refused, nobody knows the dose of the course.
DECIDE_THE_COURSES_DOSE = {"course", "day", "planned_days", "planned_g"}


class InfusionEntry(Entry):
    """The infusion's form with its rows, handled as one."""

    def __init__(
        self,
        data: Any = None,
        *,
        patient: Patient,
        infusion: Infusion | None = None,
        starting: bool = False,
    ) -> None:
        super().__init__(data)
        self.patient, self.infusion, self.starting = patient, infusion, starting
        initial = _stored_values(infusion) if infusion else _first_values(patient, starting=starting)
        self.form = InfusionForm(self.data, patient=patient, infusion=infusion, starting=starting, initial=initial)
        self.safety = SafetyForm(self.data)
        self.vials: BaseRows = VialRows(
            self.data,
            prefix="vials",
            initial=list(infusion.vials.values("pk", "lot", "expires_on", "grams", "expiry_confirmed"))
            if infusion
            else [],
        )
        self.premedications: BaseRows = PremedicationRows(
            self.data,
            prefix="premedications",
            initial=list(infusion.premedications.values("drug", "other_drug", "dose", "route", "minutes_before"))
            if infusion
            else [],
        )
        self.rows = {"Premedication": self.premedications, "Vials": self.vials}
        self.draft = self._draft(initial)
        self.card = self._card(being_filled_in=infusion is None and not self.is_sent)
        self.asked = self._asked()
        if self.only_asks:
            forget_errors(self.form, *self.rows.values())

    def is_valid(self) -> bool:
        if not self.is_sent:
            return False
        parts = [
            self.form.is_valid(),
            self.vials.is_valid(),
            self.premedications.is_valid(),
            self.safety.is_valid(),
        ]
        self._check_expiry()
        self._check_premedication()
        self._check_twice()
        self._check_card()
        return all(parts) and not self.failed

    def _card(self, *, being_filled_in: bool) -> tuple[CardItem, ...]:
        """The card of the infusion as far as it is filled in.

        Before it is sent, and where a field is refused, what is missing needs no remark.
        """
        items = safety.card_before(self.draft, now=timezone.now())
        is_unfinished = being_filled_in or (self.form.is_bound and bool(self.form.errors))
        return tuple(item for item in items if not is_unfinished or item.code not in NOT_FILLED_IN)

    def _draft(self, initial: dict[str, Any]) -> Infusion:
        """The infusion for the safety card, as it is typed or else stored; never saved."""
        values = initial
        if self.form.is_bound:
            self.form.is_valid()
            values = self.form.cleaned_data
            if DECIDE_THE_COURSES_DOSE & self.form.errors.keys():
                values = values | {"dose_g": None}
        elif self.infusion:
            return self.infusion
        course = self.infusion.course if self.infusion else values.get("course")
        if course is None:
            course = Course(
                patient=self.patient,
                planned_days=values.get("planned_days") or 1,
                planned_g=values.get("planned_g"),
            )
        infusion = Infusion(patient=self.patient, course=course, day=values.get("day") or 1)
        if self.infusion:
            # So that what is corrected is not counted as another one beside itself.
            infusion.pk = self.infusion.pk
        if values.get("product"):
            infusion.product = values["product"]
        names = ("submission_id", "started_at", "ended_at", "dose_g", "weight_kg", "planned_rate_ml_per_h")
        for name in names:
            setattr(infusion, name, values.get(name))
        infusion.indication = values.get("indication", "")
        if self.infusion and infusion.started_at is None:
            # Without a start everything up to now would count as earlier, this infusion's own sequel too.
            infusion.started_at = self.infusion.started_at
        return infusion

    def _asked(self) -> list[CardItem]:
        """What on the card needs an answer: every warning, and of a correction those that it brings in."""
        if self.infusion is None:
            return [item for item in self.card if safety.needs_answer(item)]
        if not self.form.is_bound:
            return []
        stored = safety.card_before(self.infusion, now=timezone.now())
        return safety.asked_by_correction(self.infusion, stored, self.card)

    def _check_card(self) -> None:
        """Everything that is asked was on the page that was sent, and is answered with a reason."""
        form = self.safety
        if not form.is_valid():
            return
        answer = form.cleaned_data
        open_items = safety.unanswered(self.asked, reason=answer["reason"], decided_by=answer["decided_by"])
        new = [item for item in self.asked if safety.mark(item) not in form.shown]
        if open_items and not safety.says_something(answer["reason"]):
            form.add_error("reason", "Read the card and write why the infusion goes on.")
        elif open_items:
            form.add_error("decided_by", "Write the name of the clinician who decided.")
        elif new:
            form.add_error("reason", "The card says more now than when you answered. Read it, then save again.")

    def refuse_card(self, items: tuple[CardItem, ...]) -> None:
        """The card warned of more at the moment of saving."""
        said = "; ".join(item.text for item in items)
        self.safety.add_error("reason", f"Not answered yet: {said}")

    @property
    def card_codes(self) -> str:
        """What stands on the card now, for the page to send back."""
        return " ".join(safety.mark(item) for item in self.card)

    @property
    def asked_by_correction(self) -> list[CardItem]:
        """What the page marks as new: of an infusion not recorded yet, all of it is."""
        return self.asked if self.infusion else []

    @property
    def shows_answer(self) -> bool:
        """There is something to answer, or something was answered already: what was typed is never hidden."""
        return bool(self.asked or self.safety.errors or self.safety.is_typed)

    def _check_expiry(self) -> None:
        started = self.form.cleaned_data.get("started_at")
        if started:
            day = started.astimezone(self.patient.clinic.zone).date()
            for vial in self.vials.filled_forms():
                vial.check_expiry(day)

    def _check_premedication(self) -> None:
        recorded = self.form.cleaned_data.get("premedication_record")
        rows = any(not form.is_blank() for form in self.premedications.forms)
        if recorded == PremedicationRecord.GIVEN and not rows:
            self.form.add_error("premedication_record", "Write at least one drug below, or choose another answer.")
        elif recorded and recorded != PremedicationRecord.GIVEN and rows:
            self.form.add_error("premedication_record", "Drugs are listed below: choose “Given”, or empty those rows.")

    def _check_twice(self) -> None:
        seen = set()
        for form in self.premedications.filled_forms():
            values = form.cleaned_data
            which = (values.get("drug"), values.get("other_drug", "").casefold(), values.get("minutes_before"))
            if which[0] and which in seen:
                form.add_error(
                    "drug", "This drug stands above already for the same time. Keep one row, or add its time."
                )
            seen.add(which)

    @property
    def saw_reaction(self) -> bool:
        return bool(self.form.cleaned_data.get("reaction_seen") == SAW_REACTION)

    @property
    def parts(self) -> tuple[forms.Form, ...]:
        """Every form of the page, in its order."""
        return (self.safety, self.form, *self.premedications.forms, *self.vials.forms)

    def differences(self, stored: Infusion) -> list[Difference]:
        """Every field and set of rows in which the form and the stored infusion disagree."""
        return self.differences_from(InfusionEntry(patient=self.patient, infusion=stored))

    def told(self) -> dict[str, Any]:
        """What every verb takes that records or corrects an infusion."""
        return {
            "details": self.form.details(),
            "vials": self.vials.filled(),
            "premedications": self.premedications.filled(),
            "acknowledged": Acknowledgement(**self.safety.cleaned_data),
        }


def _first_values(patient: Patient, *, starting: bool) -> dict[str, Any]:
    """What a new form starts with: the patient's last product, weight and setting, and the course to go on with."""
    values: dict[str, Any] = {"submission_id": uuid4()}
    today = timezone.localdate()
    bookings = patient.courses.booked(today - BOOKED_WITHIN).filter(planned_for__lte=today + BOOKED_WITHIN)
    if booked := min(bookings, key=lambda course: abs((course.planned_for or today) - today), default=None):
        values |= {"course": booked, "planned_days": booked.planned_days, "planned_g": booked.planned_g}
    last = patient.infusions.current().select_related("course", "product").first()
    if last is None:
        return values
    values |= {
        "weight_kg": last.weight_kg,
        "setting": last.setting,
        "indication": last.indication,
        "planned_rate_ml_per_h": last.planned_rate_ml_per_h,
    }
    values.setdefault("planned_days", last.course.planned_days)
    if last.product.is_current and last.product.is_intravenous:
        values["product"] = last.product
    # A day that was left out long ago is not the one that starts now; it may be what is written down afterwards.
    is_recent = timezone.now() - last.started_at <= GOES_ON_WITHIN
    if last.day < last.course.planned_days and (is_recent or not (starting or booked)):
        values |= {"course": last.course, "day": last.day + 1, "dose_g": last.dose_g}
        values |= {"planned_days": last.course.planned_days, "planned_g": last.course.planned_g}
    return values


def _stored_values(infusion: Infusion) -> dict[str, Any]:
    names = (*(name for name in COLUMNS if name != "product"), "started_at", "ended_at")
    return {name: getattr(infusion, name) for name in names} | {
        "submission_id": uuid4(),
        "seen_version": infusion.version,
        "still_running": infusion.ended_at is None,
        "product": infusion.product_id,
        "reaction_seen": infusion.reaction_record,
    }
