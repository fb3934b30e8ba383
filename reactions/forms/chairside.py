"""The small forms of a running infusion. A time left empty is the moment at which the form is sent."""

from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import uuid4

from crispy_forms.helper import FormHelper
from crispy_forms.layout import Column, Layout, Row
from django import forms
from django.utils import timezone

from patients.forms.fields import (
    ClinicDateTimeField,
    DateField,
    NumberField,
    SeenField,
    SubmissionField,
    VersionForm,
    WholeNumberField,
    moment_of_tap,
    say_what_is_missing,
)
from reactions.clinical.barcode import UnreadableBarcode
from reactions.clinical.barcode import read as read_barcode
from reactions.clinical.flow import next_reasons
from reactions.clinical.infusion_checks import POSSIBLE_RATE_ML_PER_H, why_impossible_lot
from reactions.clinical.vitals_schedule import why_impossible_moment, why_impossible_vitals
from reactions.forms.drugs import DrugFields
from reactions.forms.infusion import CLOCK_SLACK
from reactions.models import Infusion, RateStep, Reaction, Treatment, Vitals
from reactions.vocabulary import RateReason

VITALS = (
    "temperature_c",
    "heart_rate_per_min",
    "systolic_mmhg",
    "diastolic_mmhg",
    "respiratory_rate_per_min",
    "spo2_percent",
)


class MomentForm(VersionForm):
    """A row at a moment of an infusion. `row` is the stored row that is corrected; without it a new one is made."""

    submission_id = SubmissionField()
    # When the button was tapped, where a script could tell: a form that waited for a connection keeps its time.
    tapped_at = forms.Field(required=False, widget=forms.HiddenInput)
    to_the_second = False

    def __init__(self, data: Any = None, *, infusion: Infusion, row: Any = None, **kwargs: Any) -> None:
        initial = {"submission_id": uuid4()} | (self.stored(row) if row else {})
        super().__init__(data, initial=initial, **kwargs)
        self.infusion, self.row = infusion, row
        self.fields["at"] = ClinicDateTimeField(
            zone=infusion.zone, required=row is not None, label="When", help_text="" if row else self.empty_time()
        )
        if row:
            self.fields["reason"] = forms.CharField(
                max_length=500, label="Reason for the correction", help_text="Kept with the record's history."
            )
        say_what_is_missing(self)
        self.helper = FormHelper()
        self.helper.form_tag = False
        self.helper.layout = self.layout()

    def stored(self, row: Any) -> dict[str, Any]:
        raise NotImplementedError

    def layout(self) -> Layout:
        raise NotImplementedError

    def values(self) -> dict[str, Any]:
        """Columns of the row but its time."""
        raise NotImplementedError

    def empty_time(self) -> str:
        """What it means to leave the time empty."""
        return "Empty: now."

    def clean_at(self) -> datetime:
        at: datetime | None = self.cleaned_data["at"]
        now = timezone.now()
        if at is None:
            tapped = moment_of_tap(str(self.data.get(self.add_prefix("tapped_at"), "")), now)
            return tapped if self.to_the_second else tapped.replace(second=0, microsecond=0)
        if at > now + CLOCK_SLACK:
            raise forms.ValidationError("This time lies in the future. Check it, or leave it empty for now.")
        # The control shows no parts of a second: what it shows unchanged is the stored time.
        return self.row.at if self.row and at == self.row.at.replace(microsecond=0) else at

    @property
    def at_left_open(self) -> bool:
        """Nobody typed a time."""
        return not str(self.data.get(self.add_prefix("at"), "")).strip()

    def moment(self) -> dict[str, Any]:
        """When it was, and which form said so, for the verb that records it."""
        names = ("at", "submission_id")
        return {name: self.cleaned_data[name] for name in names} | {"at_left_open": self.at_left_open}

    def details(self) -> dict[str, Any]:
        """Columns of the row, for the verb that corrects it."""
        return self.values() | {"at": self.cleaned_data["at"]}


class StepForm(MomentForm):
    """A change of rate. Whether it goes up or down follows from the rate itself."""

    seen_step = SeenField()
    rate_ml_per_h = NumberField(
        required=False,
        max_digits=6,
        decimal_places=1,
        min_value=Decimal("0.1"),
        max_value=POSSIBLE_RATE_ML_PER_H,
        label="Rate (mL/h)",
    )
    # Seconds are kept: two taps within a minute are two steps.
    to_the_second = True

    def __init__(self, data: Any = None, *, infusion: Infusion, last: RateStep | None = None, **kwargs: Any) -> None:
        self.last = last
        super().__init__(data, infusion=infusion, **kwargs)
        self.fields["seen_step"].initial = last.pk if last else None

    def empty_time(self) -> str:
        if self.last is None:
            return f"Empty: the start, {_clock(self.infusion.started_at, self.infusion)}."
        if ended := self.infusion.ended_at:
            return f"Before the end, {_clock(ended, self.infusion)}."
        return super().empty_time()

    def stored(self, row: Any) -> dict[str, Any]:
        return {"at": row.at, "rate_ml_per_h": row.rate_ml_per_h or None, "seen_version": row.version}

    def layout(self) -> Layout:
        return Layout(
            "submission_id",
            "tapped_at",
            "seen_step",
            "seen_version",
            Row(Column("rate_ml_per_h", css_class="col-6"), Column("at", css_class="col-6")),
            *(["reason"] if self.row else []),
        )

    def clean(self) -> dict[str, Any]:
        values = super().clean() or self.cleaned_data
        if self.row:
            values["step"] = RateReason(self.row.reason)
        else:
            tapped = str(self.data.get(self.add_prefix("tap"), "rate"))
            values["step"] = self._step_of(tapped, values.get("rate_ml_per_h"))
        needs_rate = values["step"] not in {RateReason.PAUSE, RateReason.STOP}
        if needs_rate and values.get("rate_ml_per_h") is None and "rate_ml_per_h" not in self.errors:
            self.add_error("rate_ml_per_h", "Write the new rate.")
        if not needs_rate:
            values["rate_ml_per_h"] = Decimal(0)
        # What was recorded without steps has its start, and may have its end.
        ends = {RateReason.START: self.infusion.started_at, RateReason.STOP: self.infusion.ended_at}
        if self.at_left_open and (recorded := ends.get(values["step"])):
            values["at"] = recorded
        return values

    def values(self) -> dict[str, Any]:
        return {"rate_ml_per_h": self.cleaned_data["rate_ml_per_h"]}

    def _step_of(self, tapped: str, rate: Decimal | None) -> RateReason:
        """What the tapped button means here: a new rate is a start, a resumption, a step up or a slowing."""
        if tapped in {RateReason.PAUSE, RateReason.STOP}:
            return RateReason(tapped)
        last = RateReason(self.last.reason) if self.last else None
        if last is None:
            return RateReason.START
        if RateReason.RESUME in next_reasons(last):
            return RateReason.RESUME
        slower = self.last is not None and rate is not None and rate < self.last.rate_ml_per_h
        return RateReason.SLOW if slower else RateReason.STEP_UP


class VitalsForm(MomentForm):
    temperature_c = NumberField(required=False, max_digits=3, decimal_places=1, label="Temperature (°C)")
    heart_rate_per_min = WholeNumberField(required=False, min_value=0, label="Heart rate (/min)")
    systolic_mmhg = WholeNumberField(required=False, min_value=0, label="Systolic (mmHg)")
    diastolic_mmhg = WholeNumberField(required=False, min_value=0, label="Diastolic (mmHg)")
    respiratory_rate_per_min = WholeNumberField(required=False, min_value=0, label="Breaths (/min)")
    spo2_percent = WholeNumberField(required=False, min_value=0, label="SpO₂ (%)")

    def stored(self, row: Vitals) -> dict[str, Any]:
        return row.as_dict() | {"at": row.at, "seen_version": row.version}

    def layout(self) -> Layout:
        columns = [Column(name, css_class="col-6 col-sm-4") for name in VITALS]
        return Layout(
            "submission_id",
            "tapped_at",
            "seen_version",
            Row(*columns),
            Row(Column("at", css_class="col-12 col-sm-8")),
            *(["reason"] if self.row else []),
        )

    def clean_at(self) -> datetime:
        at = super().clean_at()
        if why := why_impossible_moment(at, self.infusion.started_at):
            raise forms.ValidationError(why)
        return at

    def clean(self) -> dict[str, Any]:
        values = super().clean() or self.cleaned_data
        for name, message in why_impossible_vitals({name: values.get(name) for name in VITALS}).items():
            if name not in self.errors:
                self.add_error(name, message)
        if not self.errors and all(values.get(name) is None for name in VITALS):
            self.add_error("temperature_c", "Write at least one value.")
        return values

    def values(self) -> dict[str, Any]:
        return {name: self.cleaned_data[name] for name in VITALS}


class TreatmentForm(DrugFields, MomentForm):
    def __init__(self, data: Any = None, *, infusion: Infusion, row: Treatment | None = None, **kwargs: Any) -> None:
        super().__init__(data, infusion=infusion, row=row, **kwargs)
        self.fields["drug"].required = True
        self.reactions = {str(one.pk): one for one in infusion.reactions.all() if row and not one.is_void}
        if self.reactions:
            named = [(pk, _reaction_in_words(one, infusion)) for pk, one in self.reactions.items()]
            self.fields["reaction"] = forms.ChoiceField(
                required=False, label="Given for", choices=[("", "No reaction"), *named]
            )
            self.helper.layout.insert(len(self.helper.layout) - 1, "reaction")

    def stored(self, row: Treatment) -> dict[str, Any]:
        names = ("at", "drug", "other_drug", "dose", "route")
        return {name: getattr(row, name) for name in names} | {
            "seen_version": row.version,
            "reaction": row.reaction_id or "",
        }

    def layout(self) -> Layout:
        return Layout(
            "submission_id",
            "tapped_at",
            "seen_version",
            Row(Column("drug", css_class="col-sm-6"), Column("other_drug", css_class="col-sm-6")),
            Row(
                Column("dose", css_class="col-6 col-sm-4"),
                Column("route", css_class="col-6 col-sm-4"),
                Column("at", css_class="col-12 col-sm-4"),
            ),
            *(["reason"] if self.row else []),
        )

    def clean_at(self) -> datetime:
        at, start = super().clean_at(), self.infusion.started_at
        # A start that was tapped has its seconds; what is typed has none.
        if at == start.replace(second=0, microsecond=0):
            return start
        if at < start:
            raise forms.ValidationError(
                "This lies before the start: what is given before belongs to the premedication, by correcting the"
                " infusion."
            )
        return at

    def values(self) -> dict[str, Any]:
        columns = {name: self.cleaned_data[name] for name in ("drug", "other_drug", "dose", "route")}
        return columns | ({"reaction": self.reactions.get(self.cleaned_data["reaction"])} if self.reactions else {})


def _reaction_in_words(reaction: Reaction, infusion: Infusion) -> str:
    symptoms = ", ".join(symptom.name for symptom in reaction.symptoms.all())
    return f"{symptoms}, {_clock(reaction.onset_at, infusion)}" if reaction.onset_at else symptoms


def _clock(at: datetime, infusion: Infusion) -> str:
    return f"{timezone.localtime(at, infusion.zone):%H:%M}"


class VialScanForm(forms.Form):
    """One vial, from its barcode or typed. What is typed beside a scan must agree with it."""

    # Our own words say more than the browser's, and beside every field at once.
    use_required_attribute = False

    submission_id = SubmissionField()
    scan = forms.CharField(
        required=False,
        max_length=200,
        label="Scan the vial's square code",
        strip=False,
        widget=forms.TextInput(attrs={"autocomplete": "off", "inputmode": "none"}),
        help_text="A scanner types it by itself. Without one, fill in below.",
    )
    lot = forms.CharField(required=False, max_length=20)
    expires_on = DateField(required=False, label="Expiry")
    grams = NumberField(required=False, max_digits=6, decimal_places=2, label="Grams", min_value=Decimal("0.01"))
    expiry_confirmed = forms.BooleanField(required=False, label="Given although expired")

    def __init__(self, data: Any = None, *, infusion: Infusion, **kwargs: Any) -> None:
        super().__init__(data, initial={"submission_id": uuid4()}, **kwargs)
        self.infusion = infusion
        self.warnings: tuple[str, ...] = ()
        self.asks_confirmation = False
        self.helper = FormHelper()
        self.helper.form_tag = False

    def clean_lot(self) -> str:
        lot: str = self.cleaned_data["lot"]
        if lot and (why := why_impossible_lot(lot)):
            raise forms.ValidationError(why)
        return lot

    def clean(self) -> dict[str, Any]:
        values = super().clean() or self.cleaned_data
        values |= {"gtin": "", "serial": ""}
        if text := values.get("scan", "").strip(" \r\n"):
            self._read(text, values)
        if not values.get("lot") and not self.errors:
            self.add_error("lot", "Scan the vial, or write its lot.")
        self._check_expiry(values)
        self._check_serial(values)
        return values

    def _read(self, text: str, values: dict[str, Any]) -> None:
        try:
            scan = read_barcode(text, today=timezone.localdate())
        except UnreadableBarcode as error:
            self.add_error("scan", str(error))
            return
        self.warnings = scan.warnings
        for name, scanned in (("lot", scan.lot), ("expires_on", scan.expires_on)):
            if scanned and values.get(name) and values[name] != scanned:
                self.add_error(name, f"The code says {scanned}. Correct this, or empty it.")
            values[name] = scanned or values.get(name)
        values["gtin"], values["serial"] = scan.gtin or "", scan.serial or ""

    def _check_expiry(self, values: dict[str, Any]) -> None:
        expiry, zone = values.get("expires_on"), self.infusion.zone
        if not expiry or expiry >= self.infusion.started_at.astimezone(zone).date():
            values["expiry_confirmed"] = False
            return
        self.asks_confirmation = True
        if not values.get("expiry_confirmed"):
            self.add_error(
                "expires_on", f"Expired on {expiry}, before the infusion. Correct the date, or tick that it was given."
            )

    def _check_serial(self, values: dict[str, Any]) -> None:
        """One vial has one serial number: a second scan of it is the same vial."""
        if not values["gtin"] or not values["serial"]:
            return
        same = self.infusion.vials.filter(gtin=values["gtin"], serial=values["serial"])
        if same.exclude(submission_id=values.get("submission_id")).exists():
            self.add_error("scan", "This very vial is recorded already: same code, same serial number.")

    def values(self) -> dict[str, Any]:
        """Columns of Vial."""
        names = ("lot", "expires_on", "grams", "gtin", "serial", "expiry_confirmed")
        return {name: self.cleaned_data[name] for name in names}
