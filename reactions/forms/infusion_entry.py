"""Recording, starting and correcting an infusion: its form, its rows and its safety card, handled as one."""

from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

from django import forms
from django.utils import timezone

from patients.forms.fields import Difference, differences, with_value
from patients.models import Patient
from reactions import safety
from reactions.clinical.safety_card import CardItem, Level
from reactions.forms.infusion import COLUMNS, SAW_REACTION, InfusionForm
from reactions.forms.infusion_rows import PremedicationRows, VialRows
from reactions.forms.rows import BaseRows, forget_errors, with_one_more
from reactions.forms.safety import SafetyForm
from reactions.models import Course, Infusion
from reactions.recording import Acknowledgement
from reactions.vocabulary import PremedicationRecord

# A course that was booked this long ago and not given is still the one to begin.
BOOKED_UP_TO = timedelta(days=14)


class InfusionEntry:
    """The infusion's form with its rows, handled as one."""

    def __init__(
        self,
        data: Any = None,
        *,
        patient: Patient,
        infusion: Infusion | None = None,
        starting: bool = False,
        add_row: str = "",
    ) -> None:
        self.patient, self.infusion, self.starting = patient, infusion, starting
        if add_row in {"vials", "premedications"}:
            data = with_one_more(data, add_row)
        initial = _stored_values(infusion) if infusion else _first_values(patient)
        self.form = InfusionForm(data, patient=patient, infusion=infusion, starting=starting, initial=initial)
        self.safety = SafetyForm(data)
        self.vials: BaseRows = VialRows(
            data,
            prefix="vials",
            initial=list(infusion.vials.values("pk", "lot", "expires_on", "grams", "expiry_confirmed"))
            if infusion
            else [],
        )
        self.premedications: BaseRows = PremedicationRows(
            data,
            prefix="premedications",
            initial=list(infusion.premedications.values("drug", "other_drug", "dose", "route", "minutes_before"))
            if infusion
            else [],
        )
        self.card = () if infusion else self._card(initial, only_warnings=data is None or bool(add_row))
        if add_row:
            forget_errors(self.form, self.vials, self.premedications)

    def is_valid(self) -> bool:
        parts = [
            self.form.is_valid(),
            self.vials.is_valid(),
            self.premedications.is_valid(),
            self.safety.is_valid(),
        ]
        self._check_expiry()
        self._check_premedication()
        self._check_twice()
        if self.infusion is None:
            self._check_card()
        return all(parts) and not self.failed

    def _card(self, initial: dict[str, Any], *, only_warnings: bool) -> tuple[CardItem, ...]:
        """The card of the infusion as far as it is filled in. Before it is sent, what is missing needs no remark."""
        values = initial
        if self.form.is_bound:
            self.form.is_valid()
            values = self.form.cleaned_data
        items = safety.card_before(self._draft(values), now=timezone.now())
        return tuple(item for item in items if not only_warnings or item.level != Level.NOTE)

    def _draft(self, values: dict[str, Any]) -> Infusion:
        """The infusion for the safety card; never saved."""
        course = values.get("course")
        if course is None:
            course = Course(
                patient=self.patient,
                planned_days=values.get("planned_days") or 1,
                planned_g=values.get("planned_g"),
            )
        infusion = Infusion(patient=self.patient, course=course, day=values.get("day") or 1)
        if values.get("product"):
            infusion.product = values["product"]
        for name in ("started_at", "dose_g", "weight_kg", "planned_rate_ml_per_h"):
            setattr(infusion, name, values.get(name))
        infusion.indication = values.get("indication", "")
        return infusion

    def _check_card(self) -> None:
        """Every warning was on the page that was sent, and is answered with a reason."""
        form = self.safety
        if not form.is_valid():
            return
        answer = form.cleaned_data
        warnings = [item for item in self.card if safety.needs_answer(item)]
        open_items = safety.unanswered(self.card, reason=answer["reason"], decided_by=answer["decided_by"])
        new = [item for item in warnings if safety.mark(item) not in form.shown]
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
    def acknowledged(self) -> Acknowledgement:
        """The answer to the card, for the verb."""
        return Acknowledgement(**self.safety.cleaned_data)

    @property
    def card_codes(self) -> str:
        """What stands on the card now, for the page to send back."""
        return " ".join(safety.mark(item) for item in self.card)

    @property
    def warns(self) -> bool:
        return any(safety.needs_answer(item) for item in self.card)

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

    @property
    def failed(self) -> bool:
        """Something typed was refused."""
        return any(form.errors for form in self.parts)

    def accept_version(self, version: int) -> None:
        """Take the stored version as seen: the next saving of what was typed replaces it."""
        self.form.data = with_value(self.form.data, "seen_version", str(version))

    def differences(self, stored: Infusion) -> list[Difference]:
        """Every field and set of rows in which the form and the stored infusion disagree."""
        fresh = InfusionEntry(patient=self.patient, infusion=stored)
        found = differences(fresh.form, self.form)
        for label, there, here in (
            ("Premedication", fresh.premedications, self.premedications),
            ("Vials", fresh.vials, self.vials),
        ):
            if there.in_lines() != here.in_lines():
                found.append(Difference(label, there.in_lines(), here.in_lines()))
        return found

    @property
    def submission_id(self) -> UUID:
        submission: UUID = self.form.cleaned_data["submission_id"]
        return submission


def _first_values(patient: Patient) -> dict[str, Any]:
    """What a new form starts with: the patient's last product, weight and setting, and the course to go on with."""
    values: dict[str, Any] = {"submission_id": uuid4()}
    if booked := patient.courses.booked(timezone.localdate() - BOOKED_UP_TO).first():
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
    if last.day < last.course.planned_days:
        values |= {"course": last.course, "day": last.day + 1, "dose_g": last.dose_g}
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
