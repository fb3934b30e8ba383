"""Recording and correcting an infusion, with its vials and its premedication."""

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

from patients.forms.fields import ClinicDateTimeField, DateField, say_what_is_missing, with_value
from patients.models import Patient
from reactions.clinical.infusion_checks import (
    why_impossible_dose,
    why_impossible_drug_dose,
    why_impossible_lot,
    why_impossible_weight,
)
from reactions.forms.rows import BaseRows, OwnWordsField, RowForm, forget_errors, rows_of, with_one_more
from reactions.models import Infusion, Product
from reactions.vocabulary import DRUGS, PremedicationRecord, ReactionRecord, Route, Setting, choices

# A nurse's watch may be ahead of the server's.
CLOCK_SLACK = timedelta(minutes=10)
RECENT_COURSES = 6
MOST_MINUTES_BEFORE = 24 * 60

SAW_REACTION = "reaction"


class InfusionForm(forms.Form):
    """The infusion itself. Times are on the clinic's clocks."""

    submission_id = forms.UUIDField(widget=forms.HiddenInput)
    seen_version = forms.IntegerField(required=False, widget=forms.HiddenInput)
    planned_days = forms.IntegerField(min_value=1, max_value=5, initial=1, label="Days in the course")
    day = forms.IntegerField(min_value=1, max_value=5, initial=1, label="This is day")
    setting = forms.ChoiceField(choices=choices(Setting))
    dose_g = forms.DecimalField(label="Dose (g)", max_digits=6, decimal_places=2)
    weight_kg = forms.DecimalField(label="Weight (kg)", max_digits=5, decimal_places=1, required=False)
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

    def __init__(self, *args: Any, patient: Patient, infusion: Infusion | None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.patient, self.infusion = patient, infusion
        zone = patient.clinic.zone
        self.fields["started_at"] = ClinicDateTimeField(zone=zone, label="Start")
        self.fields["ended_at"] = ClinicDateTimeField(
            zone=zone, label="End", required=False, help_text="Leave empty while it is running."
        )
        offered = Q(pk__in=Product.objects.for_infusion())
        products = Product.objects.filter(offered | Q(pk=infusion.product_id) if infusion else offered)
        self.fields["product"] = forms.ModelChoiceField(products.order_by("name"), empty_label="Choose")
        recent = list(patient.courses.order_by("-pk").values_list("pk", flat=True)[:RECENT_COURSES])
        courses = patient.courses.filter(pk__in=recent)
        self.fields["course"] = forms.ModelChoiceField(courses, required=False, empty_label="New course")
        if infusion is None:
            del self.fields["reason"]
        else:
            for name in ("course", "planned_days"):
                del self.fields[name]
            self.fields["reason"].required = True
            self.fields["reaction_seen"] = forms.ChoiceField(
                label="Was the patient watched for reactions?",
                choices=choices(ReactionRecord),
                widget=forms.RadioSelect,
            )
        say_what_is_missing(self)
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
                    Column("ended_at", css_class="col-sm-6"),
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
                Row(Column("dose_g", css_class="col-6"), Column("weight_kg", css_class="col-6")),
            ),
            Div(InlineRadios("premedication_record"), css_class="choices"),
            Div(InlineRadios("reaction_seen"), css_class="choices"),
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
        started, ended = values.get("started_at"), values.get("ended_at")
        soon = timezone.now() + CLOCK_SLACK
        if started and started > soon:
            self.add_error("started_at", "This start lies in the future. Record the infusion when it has begun.")
        if ended and ended > soon:
            self.add_error("ended_at", "This end lies in the future. Leave it empty until the infusion is over.")
        if started and ended and ended <= started:
            self.add_error("ended_at", "The end must be after the start.")
        born = self.patient.birth_date
        if started and born and started.astimezone(self.patient.clinic.zone).date() < born:
            self.add_error("started_at", "This start lies before the patient was born. Check the year.")
        self._refuse_same_start(started)
        self._check_day(values)
        return values

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

    def _check_day(self, values: dict[str, Any]) -> None:
        day, course = values.get("day"), values.get("course") or (self.infusion.course if self.infusion else None)
        days = course.planned_days if course else values.get("planned_days")
        if day and days and day > days:
            self.add_error("day", f"Day {day} of a course of {days} {'day' if days == 1 else 'days'} cannot be.")

    def details(self) -> dict[str, Any]:
        """Columns of Infusion as typed, for the verb."""
        names = (
            "day",
            "product",
            "setting",
            "started_at",
            "ended_at",
            "dose_g",
            "weight_kg",
            "premedication_record",
            "notes",
        )
        details = {name: self.cleaned_data[name] for name in names}
        seen = self.cleaned_data["reaction_seen"]
        details["reaction_record"] = (
            ReactionRecord.NOT_RECORDED if seen == ReactionRecord.NOT_RECORDED else ReactionRecord.OBSERVED
        )
        return details


class VialForm(RowForm):
    meaningful = ("lot", "expires_on", "grams")

    lot = forms.CharField(max_length=20, required=False)
    expires_on = DateField(required=False, label="Expiry")
    grams = forms.DecimalField(required=False, max_digits=6, decimal_places=2, label="Grams")
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
    minutes_before = forms.IntegerField(
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


VialRows = rows_of(VialForm, spare=3)
PremedicationRows = rows_of(PremedicationForm, spare=3)


class InfusionEntry:
    """The infusion's form with its rows, handled as one."""

    def __init__(
        self, data: Any = None, *, patient: Patient, infusion: Infusion | None = None, add_row: str = ""
    ) -> None:
        self.patient, self.infusion = patient, infusion
        if add_row in {"vials", "premedications"}:
            data = with_one_more(data, add_row)
        initial = _stored_values(infusion) if infusion else _first_values(patient)
        self.form = InfusionForm(data, patient=patient, infusion=infusion, initial=initial)
        self.vials: BaseRows = VialRows(
            data,
            prefix="vials",
            initial=list(infusion.vials.values("lot", "expires_on", "grams", "expiry_confirmed")) if infusion else [],
        )
        self.premedications: BaseRows = PremedicationRows(
            data,
            prefix="premedications",
            initial=list(infusion.premedications.values("drug", "other_drug", "dose", "route", "minutes_before"))
            if infusion
            else [],
        )
        if add_row:
            forget_errors(self.form, self.vials, self.premedications)

    def is_valid(self) -> bool:
        parts = [self.form.is_valid(), self.vials.is_valid(), self.premedications.is_valid()]
        self._check_expiry()
        self._check_premedication()
        return all(parts) and not self.form.errors and not any(form.errors for form in self.vials.forms)

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

    @property
    def saw_reaction(self) -> bool:
        return bool(self.form.cleaned_data.get("reaction_seen") == SAW_REACTION)

    @property
    def failed(self) -> bool:
        """Something typed was refused."""
        return bool(self.form.errors) or any(form.errors for form in (*self.vials.forms, *self.premedications.forms))

    def accept_version(self, version: int) -> None:
        """Take the stored version as seen: the next saving of what was typed replaces it."""
        self.form.data = with_value(self.form.data, "seen_version", str(version))

    @property
    def submission_id(self) -> UUID:
        submission: UUID = self.form.cleaned_data["submission_id"]
        return submission


def _first_values(patient: Patient) -> dict[str, Any]:
    """What a new form starts with: the patient's last product, weight and setting, and the course that is under way."""
    values: dict[str, Any] = {"submission_id": uuid4()}
    last = patient.infusions.current().select_related("course", "product").first()
    if last is None:
        return values
    values |= {"weight_kg": last.weight_kg, "setting": last.setting, "planned_days": last.course.planned_days}
    if last.product.is_current and last.product.is_intravenous:
        values["product"] = last.product_id
    if last.day < last.course.planned_days:
        values |= {"course": last.course_id, "day": last.day + 1, "dose_g": last.dose_g}
    return values


def _stored_values(infusion: Infusion) -> dict[str, Any]:
    names = ("day", "setting", "started_at", "ended_at", "dose_g", "weight_kg", "premedication_record", "notes")
    return {name: getattr(infusion, name) for name in names} | {
        "submission_id": uuid4(),
        "seen_version": infusion.version,
        "product": infusion.product_id,
        "reaction_seen": infusion.reaction_record,
    }
