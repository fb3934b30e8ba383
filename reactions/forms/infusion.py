"""Recording, starting and correcting an infusion, with its vials, its premedication and its safety card."""

from datetime import timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

from crispy_forms.bootstrap import InlineRadios
from crispy_forms.helper import FormHelper
from crispy_forms.layout import Column, Div, Fieldset, Layout, Row
from django import forms
from django.db.models import Q
from django.utils import timezone

from patients.forms.fields import (
    ClinicDateTimeField,
    DateField,
    Difference,
    NumberField,
    WholeNumberField,
    differences,
    say_what_is_missing,
    with_value,
)
from patients.models import Patient
from reactions import safety
from reactions.clinical.infusion_checks import (
    POSSIBLE_RATE_ML_PER_H,
    why_impossible_dose,
    why_impossible_drug_dose,
    why_impossible_lot,
    why_impossible_weight,
)
from reactions.clinical.safety_card import CardItem, Level
from reactions.forms.rows import BaseRows, OwnWordsField, RowForm, forget_errors, rows_of, with_one_more
from reactions.models import Course, Infusion, Product
from reactions.recording import Acknowledgement
from reactions.vocabulary import DRUGS, Indication, PremedicationRecord, ReactionRecord, Route, Setting, choices

# A nurse's watch may be ahead of the server's.
CLOCK_SLACK = timedelta(minutes=10)
# What is started at the chairside began at most so long ago; the safety card shows what is known now.
STARTED_AT_MOST = timedelta(hours=24)
RECENT_COURSES = 6
MOST_MINUTES_BEFORE = 24 * 60
# A course that was booked this long ago and not given is still the one to begin.
BOOKED_UP_TO = timedelta(days=14)

SAW_REACTION = "reaction"

# Columns of Infusion that every mode of the form fills.
COLUMNS = (
    "day",
    "product",
    "setting",
    "dose_g",
    "weight_kg",
    "indication",
    "planned_rate_ml_per_h",
    "premedication_record",
    "notes",
)


class InfusionForm(forms.Form):
    """The infusion itself. Times are on the clinic's clocks."""

    submission_id = forms.UUIDField(widget=forms.HiddenInput)
    seen_version = forms.IntegerField(required=False, widget=forms.HiddenInput)
    planned_days = WholeNumberField(min_value=1, max_value=5, initial=1, label="Days in the course")
    day = WholeNumberField(min_value=1, max_value=5, initial=1, label="This is day")
    setting = forms.ChoiceField(choices=choices(Setting))
    dose_g = NumberField(label="Dose (g)", max_digits=6, decimal_places=2)
    weight_kg = NumberField(label="Weight (kg)", max_digits=5, decimal_places=1, required=False)
    indication = forms.ChoiceField(
        label="Given for", required=False, choices=[("", "Not recorded"), *choices(Indication)]
    )
    planned_rate_ml_per_h = NumberField(
        label="Highest rate planned (mL/h)",
        max_digits=6,
        decimal_places=1,
        min_value=Decimal("0.1"),
        max_value=POSSIBLE_RATE_ML_PER_H,
        required=False,
        help_text="Compared with the label's maximum.",
    )
    start_rate_ml_per_h = NumberField(
        label="Rate at the start (mL/h)",
        max_digits=6,
        decimal_places=1,
        min_value=Decimal("0.1"),
        max_value=POSSIBLE_RATE_ML_PER_H,
    )
    premedication_record = forms.ChoiceField(
        label="Drugs given before the start, to prevent a reaction",
        choices=choices(PremedicationRecord),
        widget=forms.RadioSelect,
    )
    reaction_seen = forms.ChoiceField(
        label="Any reaction so far?",
        choices=[
            (ReactionRecord.OBSERVED, "Watched, none seen"),
            (SAW_REACTION, "Yes: record it next"),
            (ReactionRecord.NOT_RECORDED, "Not recorded"),
        ],
        widget=forms.RadioSelect,
    )
    notes = forms.CharField(required=False, max_length=10_000, widget=forms.Textarea(attrs={"rows": 3}))
    reason = forms.CharField(
        max_length=500, required=False, label="Reason for the correction", help_text="Kept with the record's history."
    )

    def __init__(
        self, *args: Any, patient: Patient, infusion: Infusion | None, starting: bool = False, **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        self.patient, self.infusion, self.starting = patient, infusion, starting
        zone = patient.clinic.zone
        self.fields["started_at"] = ClinicDateTimeField(zone=zone, label="Start")
        self.fields["ended_at"] = ClinicDateTimeField(
            zone=zone, label="End", required=False, help_text="Or tick that it is still running."
        )
        self.fields["still_running"] = forms.BooleanField(required=False, label="It is still running")
        offered = Q(pk__in=Product.objects.for_infusion())
        products = Product.objects.filter(offered | Q(pk=infusion.product_id) if infusion else offered)
        self.fields["product"] = forms.ModelChoiceField(products.order_by("name"), empty_label="Choose")
        recent = list(patient.courses.order_by("-pk").values_list("pk", flat=True)[:RECENT_COURSES])
        courses = patient.courses.filter(pk__in=recent)
        self.fields["course"] = forms.ModelChoiceField(courses, required=False, empty_label="New course")
        if infusion is None:
            del self.fields["reason"]
            self.fields["planned_g"] = NumberField(
                label="Dose of the whole course (g)",
                max_digits=6,
                decimal_places=2,
                min_value=Decimal("0.01"),
                required=False,
                help_text="All days together, when it is a new course.",
            )
        else:
            for name in ("course", "planned_days"):
                del self.fields[name]
            self.fields["reason"].required = True
            self.fields["reaction_seen"] = forms.ChoiceField(
                label="Was the patient watched for reactions?",
                choices=choices(ReactionRecord),
                widget=forms.RadioSelect,
            )
        if starting:
            self.fields["started_at"].required = False
            self.fields["started_at"].help_text = "Leave empty to start now."
            for name in ("ended_at", "still_running", "reaction_seen"):
                del self.fields[name]
        else:
            del self.fields["start_rate_ml_per_h"]
        say_what_is_missing(self)
        self.fields["premedication_record"].error_messages["required"] = (
            "Choose whether drugs were given before the start."
        )
        self.helper = FormHelper()
        self.helper.form_tag = False
        self._lay_out()

    def _lay_out(self) -> None:
        new = self.infusion is None
        self.helper.layout = Layout(
            "submission_id",
            "seen_version",
            Fieldset(
                "When",
                Row(
                    Column("started_at", css_class="col-sm-6"),
                    *([] if self.starting else [Column("ended_at", "still_running", css_class="col-sm-6")]),
                ),
                Row(
                    *([Column("course", css_class="col-sm-6 col-md-4")] if new else []),
                    *([Column("planned_days", css_class="col-6 col-md-4")] if new else []),
                    Column("day", css_class="col-6 col-md-4"),
                ),
            ),
            Fieldset(
                "What",
                Row(
                    Column("product", css_class="col-sm-6"),
                    Column("setting", css_class="col-sm-6"),
                ),
                Row(
                    Column("dose_g", css_class="col-6 col-md-4"),
                    *([Column("planned_g", css_class="col-6 col-md-4")] if new else []),
                    Column("weight_kg", css_class="col-6 col-md-4"),
                ),
                Row(
                    Column("indication", css_class="col-sm-6 col-md-4"),
                    Column("planned_rate_ml_per_h", css_class="col-6 col-md-4"),
                    *([Column("start_rate_ml_per_h", css_class="col-6 col-md-4")] if self.starting else []),
                ),
            ),
            Div(InlineRadios("premedication_record"), css_class="choices"),
            *([] if self.starting else [Div(InlineRadios("reaction_seen"), css_class="choices")]),
            "notes",
            *([] if new else ["reason"]),
        )

    def clean_dose_g(self) -> Decimal:
        dose: Decimal = self.cleaned_data["dose_g"]
        if why := why_impossible_dose(dose):
            raise forms.ValidationError(why)
        return dose

    def clean_weight_kg(self) -> Decimal | None:
        weight: Decimal | None = self.cleaned_data["weight_kg"]
        if weight is not None and (why := why_impossible_weight(weight)):
            raise forms.ValidationError(why)
        return weight

    def clean(self) -> dict[str, Any]:
        values = super().clean() or self.cleaned_data
        if self.starting and values.get("started_at") is None and "started_at" not in self.errors:
            values["started_at"] = timezone.now().replace(second=0, microsecond=0)
        started, ended = values.get("started_at"), values.get("ended_at")
        soon = timezone.now() + CLOCK_SLACK
        if self.starting and started and started < timezone.now() - STARTED_AT_MOST:
            self.add_error("started_at", "It began long ago: use “Record an infusion” for it.")
        if started and started > soon:
            self.add_error("started_at", "This start lies in the future. Record the infusion when it has begun.")
        if ended and ended > soon:
            self.add_error("ended_at", "This end lies in the future. Leave it empty until the infusion is over.")
        if not self.starting:
            self._check_running(ended, still_running=bool(values.get("still_running")))
        if started and ended and ended <= started:
            self.add_error("ended_at", "The end must be after the start.")
        born = self.patient.birth_date
        if started and born and started.astimezone(self.patient.clinic.zone).date() < born:
            self.add_error("started_at", "This start lies before the patient was born. Check the year.")
        self._refuse_same_start(started)
        self._refuse_start_after_onset(started)
        self._check_day(values)
        return values

    def _check_running(self, ended: Any, *, still_running: bool) -> None:
        """No end is a statement too: without it nobody is asked how the patient is."""
        if ended is None and not still_running and "ended_at" not in self.errors:
            self.add_error("ended_at", "Write the end, or tick that it is still running.")
        elif ended and still_running:
            self.add_error("ended_at", "Empty the end, or untick that it is still running.")

    def _refuse_same_start(self, started: Any) -> None:
        if not started:
            return
        same = Infusion.objects.current().filter(patient=self.patient, started_at=started)
        if self.infusion:
            same = same.exclude(pk=self.infusion.pk)
        else:
            # The same form sent again is not a second infusion: the verb gives back the first.
            same = same.exclude(submission_id=self.cleaned_data.get("submission_id"))
        if same.exists():
            self.add_error("started_at", "An infusion of this patient with the same start is already recorded.")

    def _refuse_start_after_onset(self, started: Any) -> None:
        if not started or self.infusion is None:
            return
        reactions = self.infusion.reactions.current().filter(onset_at__lt=started)
        if first := reactions.order_by("onset_at").first():
            began = timezone.localtime(first.onset_at, self.patient.clinic.zone)
            self.add_error(
                "started_at",
                f"A reaction to this infusion began at {began:%Y-%m-%d %H:%M}, before this start. Correct that first.",
            )

    def _check_day(self, values: dict[str, Any]) -> None:
        day, course = values.get("day"), values.get("course") or (self.infusion.course if self.infusion else None)
        days = course.planned_days if course else values.get("planned_days")
        if day and days and day > days:
            self.add_error("day", f"Day {day} of a course of {days} {'day' if days == 1 else 'days'} cannot be.")

    def details(self) -> dict[str, Any]:
        """Columns of Infusion as typed, for the verb."""
        names = (*COLUMNS, "started_at") if self.starting else (*COLUMNS, "started_at", "ended_at")
        details = {name: self.cleaned_data[name] for name in names}
        if self.starting:
            return details
        seen = self.cleaned_data["reaction_seen"]
        details["reaction_record"] = ReactionRecord.SEEN if seen == SAW_REACTION else seen
        return details


class SafetyForm(forms.Form):
    """The answer to the safety card."""

    reason = forms.CharField(
        label="Why the infusion goes on",
        required=False,
        max_length=500,
        widget=forms.TextInput(attrs={"list": "safety-reasons", "autocomplete": "off"}),
        help_text="Your name is kept with it.",
    )
    decided_by = forms.CharField(
        label="Clinician who decided",
        required=False,
        max_length=150,
        help_text="Needed where the label names a contraindication.",
    )

    prefix = "safety"

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.helper = FormHelper()
        self.helper.form_tag = False
        self.helper.layout = Layout(
            Row(Column("reason", css_class="col-md-8"), Column("decided_by", css_class="col-md-4"))
        )

    @property
    def shown(self) -> set[str]:
        """The codes that stood on the card when the form was sent."""
        return set(str(self.data.get("safety-shown", "")).split())


class VialForm(RowForm):
    meaningful = ("lot", "expires_on", "grams")

    # The stored vial that this row corrects: what its barcode said stays with it.
    pk = forms.IntegerField(required=False, widget=forms.HiddenInput)
    lot = forms.CharField(max_length=20, required=False)
    expires_on = DateField(required=False, label="Expiry")
    grams = NumberField(required=False, max_digits=6, decimal_places=2, label="Grams")
    expiry_confirmed = forms.BooleanField(required=False, label="Given although expired")
    asks_confirmation = False

    def clean_lot(self) -> str:
        lot: str = self.cleaned_data["lot"]
        if lot and (why := why_impossible_lot(lot)):
            raise forms.ValidationError(why)
        return lot

    def clean(self) -> dict[str, Any]:
        values = super().clean() or self.cleaned_data
        self.need("lot", "Write the lot, or empty this row.")
        if values.get("grams") is not None and values["grams"] <= 0:
            self.add_error("grams", "The grams must be more than 0.")
        if values.get("pk") is None:
            values.pop("pk", None)
        return values

    def check_expiry(self, infusion_day: Any) -> None:
        """A vial that had expired on the day is recorded only when somebody confirms that it was given."""
        expiry = self.cleaned_data.get("expires_on")
        if expiry is None or expiry >= infusion_day:
            self.cleaned_data["expiry_confirmed"] = False
            return
        self.asks_confirmation = True
        if not self.cleaned_data.get("expiry_confirmed"):
            self.add_error(
                "expires_on", f"Expired on {expiry}, before the infusion. Correct the date, or tick that it was given."
            )


class PremedicationForm(RowForm):
    meaningful = ("drug", "other_drug", "dose", "minutes_before")

    drug = forms.ChoiceField(
        required=False, choices=[("", "Choose"), *((code, label) for code, (label, _) in DRUGS.items())]
    )
    other_drug = OwnWordsField(required=False, max_length=100, label="Name, if other")
    dose = forms.CharField(required=False, max_length=40)
    route = forms.ChoiceField(required=False, choices=[("", "Not recorded"), *choices(Route)[:-1]])
    minutes_before = WholeNumberField(
        required=False, min_value=0, max_value=MOST_MINUTES_BEFORE, label="Minutes before start"
    )

    def clean_dose(self) -> str:
        dose: str = self.cleaned_data["dose"]
        if why := why_impossible_drug_dose(dose):
            raise forms.ValidationError(why)
        return dose

    def clean(self) -> dict[str, Any]:
        values = super().clean() or self.cleaned_data
        self.need("drug", "Choose the drug, or empty this row.")
        if values.get("drug") == "other":
            self.need("other_drug", "Write the drug's name.")
        elif values.get("other_drug") and values.get("drug"):
            self.add_error("other_drug", "Choose “Another drug”, or empty this name.")
        return values


VialRows = rows_of(VialForm, spare=1)
PremedicationRows = rows_of(PremedicationForm, spare=1)


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
