"""What was seen when anaphylaxis was suspected, and correcting the times that were tapped."""

from datetime import UTC, date, datetime
from typing import Any
from uuid import UUID

from django import forms
from django.utils import timezone

from patients.forms.fields import (
    ClinicDateTimeField,
    Difference,
    SubmissionField,
    VersionForm,
    WholeNumberField,
    differences,
    with_value,
)
from reactions.clinical.anaphylaxis import WORDS, Evidence, Exposure
from reactions.forms.infusion import CLOCK_SLACK
from reactions.forms.rows import forget_errors
from reactions.models import AnaphylaxisRecord
from reactions.vocabulary import MOMENT_LABELS

EXPOSURE_WORDS = {
    Exposure.NOT_KNOWN: "Not asked, or nobody can tell",
    Exposure.LIKELY: "No, but the infusion is the likely cause",
    Exposure.HIGHLY_PROBABLE: "Not known, but highly probable here: hardly anything else can be the cause",
    Exposure.KNOWN: "Yes: reacted to this product or another immune globulin before",
}
# The signs in the groups in which they are looked for, each with the measured values that belong to it.
GROUPS: tuple[tuple[str, tuple[str, ...], tuple[str, ...]], ...] = (
    (
        "Skin and mucosa",
        ("hives", "itch", "flushing", "swollen_lips_tongue_uvula", "periorbital_oedema", "angioedema"),
        (),
    ),
    (
        "Breathing and throat",
        (
            "dyspnoea",
            "wheeze",
            "stridor",
            "reduced_peak_flow",
            "cyanosis",
            "voice_change",
            "painful_swallowing",
            "chest_or_throat_tightness",
        ),
        ("spo2_percent",),
    ),
    (
        "Blood pressure and what comes of it",
        ("collapse", "syncope", "loss_of_consciousness", "incontinence", "presyncope", "diaphoresis", "confusion"),
        ("systolic_mmhg", "baseline_systolic_mmhg"),
    ),
    ("Stomach and bowel", ("nausea", "vomiting", "abdominal_pain", "persistent_gi", "severe_gi"), ()),
)
SIGNS = tuple(name for _, signs, _ in GROUPS for name in signs)
MEASURED = ("spo2_percent", "systolic_mmhg", "baseline_systolic_mmhg")
# Each of these comes after the one it names.
AFTER = {"ems_arrived_at": "ems_called_at"}


class SuspectForm(forms.Form):
    submission_id = SubmissionField()

    def submission(self) -> UUID:
        """The id that the page sent; a new one for a tap without: an emergency is never refused for that."""
        self.is_valid()
        given: UUID = self.cleaned_data["submission_id"]
        return given


class EvidenceForm(VersionForm):
    """One box a sign of clinical.anaphylaxis.Evidence, the measured values, and the record's own moments to correct."""

    # Our own words say more than the browser's, and beside every field at once.
    use_required_attribute = False

    acute_onset = forms.BooleanField(
        required=False,
        label="The signs came within minutes to several hours",
        widget=forms.CheckboxInput(attrs={"class": "form-check-input"}),
    )
    exposure = forms.ChoiceField(
        label="Was this patient known to react to immune globulin, or is it highly probable here?",
        choices=[(str(code), words) for code, words in EXPOSURE_WORDS.items()],
        widget=forms.RadioSelect(attrs={"class": "form-check-input"}),
        error_messages={"required": "Choose an answer; “Not asked” is one."},
    )
    spo2_percent = WholeNumberField(required=False, min_value=1, max_value=100, label="Lowest SpO₂ (%)")
    systolic_mmhg = WholeNumberField(
        required=False, min_value=1, max_value=300, label="Lowest systolic pressure (mmHg)"
    )
    baseline_systolic_mmhg = WholeNumberField(
        required=False, min_value=1, max_value=300, label="Systolic pressure before (mmHg)"
    )

    def __init__(self, data: Any = None, *, record: AnaphylaxisRecord, **kwargs: Any) -> None:
        self.record, self.infusion = record, record.reaction.infusion
        super().__init__(data, prefix="evidence", initial=_stored(record), **kwargs)
        for name in SIGNS:
            words = WORDS[name]
            box = forms.CheckboxInput(attrs={"class": "form-check-input"})
            self.fields[name] = forms.BooleanField(required=False, label=words[0].upper() + words[1:], widget=box)
        for name in AnaphylaxisRecord.OWN_MOMENTS:
            label = MOMENT_LABELS[name]
            self.fields[name] = ClinicDateTimeField(zone=self.infusion.zone, required=False, label=label)
            self.fields[seen(name)] = forms.CharField(required=False, max_length=40, widget=forms.HiddenInput)

    @property
    def groups(self) -> list[tuple[str, list[forms.BoundField], list[forms.BoundField]]]:
        """Heading, tick-boxes and values of each group."""
        return [
            (heading, [self[name] for name in signs], [self[name] for name in values])
            for heading, signs, values in GROUPS
        ]

    @property
    def moment_fields(self) -> list[tuple[forms.BoundField, forms.BoundField]]:
        """Each moment with what was seen of it."""
        return [(self[name], self[seen(name)]) for name in AnaphylaxisRecord.OWN_MOMENTS]

    def clean(self) -> dict[str, Any]:
        values = super().clean() or self.cleaned_data
        started = self.infusion.started_at.replace(second=0, microsecond=0)
        for name in AnaphylaxisRecord.OWN_MOMENTS:
            at = values.get(name)
            if at and at < started:
                shown = timezone.localtime(started, self.infusion.zone)
                self.add_error(name, f"This lies before the infusion, which started {shown:%Y-%m-%d %H:%M}.")
            elif at and at > timezone.now() + CLOCK_SLACK:
                self.add_error(name, "This time lies in the future. Check the date.")
        for name, before in AFTER.items():
            if values.get(name) and values.get(before) and values[name] < values[before]:
                self.add_error(name, f"This lies before “{self.fields[before].label}”.")
        return values

    def evidence(self) -> Evidence:
        """What was ticked and measured; the age is counted from the birth date."""
        given = {name: self.cleaned_data[name] for name in ("acute_onset", *SIGNS, *MEASURED)}
        return Evidence(**given, exposure=Exposure(self.cleaned_data["exposure"]), age_years=age_in_years(self.record))

    def corrected_moments(self) -> dict[str, tuple[datetime | None, datetime | None]]:
        """The moments that were changed by hand: as they were seen, and as they shall be."""
        changed = {}
        for name in AnaphylaxisRecord.OWN_MOMENTS:
            stood, at = _moment(self.cleaned_data[seen(name)]), self.cleaned_data[name]
            if at != stood:
                changed[name] = (stood, at)
        return changed

    def holds_something_new(self) -> bool:
        """Something was typed that is not stored yet."""
        was_sent = self.add_prefix("seen_version") in self.data
        return was_sent and any(name in self.changed_data for name in (*SIGNS, *MEASURED, *OTHERS))

    def show_unjudged(self) -> None:
        """Show what was typed as it was typed."""
        forget_errors(self)

    def differences(self, stored: AnaphylaxisRecord) -> list[Difference]:
        """Every box and value in which the form and the stored record disagree."""
        return differences(EvidenceForm(record=stored), self)

    def accept(self, stored: AnaphylaxisRecord) -> None:
        """Take what is stored as seen: the next saving of what was typed replaces it."""
        self.accept_version(stored.version)
        for name in AnaphylaxisRecord.OWN_MOMENTS:
            self.take(stored, name)

    def take(self, stored: AnaphylaxisRecord, name: str) -> None:
        """Take one moment as it is stored as seen, and show it where none was typed."""
        at = getattr(stored, name)
        self.data = with_value(self.data, self.add_prefix(seen(name)), at.astimezone(UTC).isoformat() if at else "")
        if at and not self.data.get(self.add_prefix(name)):
            shown = at.astimezone(self.infusion.zone).strftime("%Y-%m-%dT%H:%M")
            self.data = with_value(self.data, self.add_prefix(name), shown)


# What can be typed besides the signs and the measured values.
OTHERS = ("acute_onset", "exposure", *AnaphylaxisRecord.OWN_MOMENTS)


def seen(name: str) -> str:
    """The field that holds a moment as it stood when the page was opened."""
    return f"seen_{name}"


def stored_evidence(record: AnaphylaxisRecord) -> Evidence:
    """The evidence as it was judged."""
    known = {name: value for name, value in record.evidence.items() if name in Evidence.__dataclass_fields__}
    return Evidence(**known | {"exposure": Exposure(known.get("exposure", Exposure.NOT_KNOWN))})


def age_in_years(record: AnaphylaxisRecord) -> float | None:
    """The age on the day of the reaction in whole months, as years; None without a birth date."""
    born: date | None = record.patient.birth_date
    if born is None:
        return None
    onset = record.reaction.onset_at or record.created_at
    day = onset.astimezone(record.reaction.infusion.zone).date()
    months = (day.year - born.year) * 12 + day.month - born.month - (day.day < born.day)
    return max(months, 0) / 12


def _stored(record: AnaphylaxisRecord) -> dict[str, Any]:
    moments = {name: getattr(record, name) for name in AnaphylaxisRecord.OWN_MOMENTS}
    stood = {seen(name): at.astimezone(UTC).isoformat() if at else "" for name, at in moments.items()}
    evidence = stored_evidence(record)
    given = {name: getattr(evidence, name) for name in ("acute_onset", *SIGNS, *MEASURED)}
    # The question is asked, never answered for anybody: nothing is chosen until somebody has judged.
    exposure = {"exposure": str(evidence.exposure)} if record.is_judged else {}
    return {"seen_version": record.version} | given | exposure | moments | stood


def _moment(text: str) -> datetime | None:
    """None for an empty or meaningless text."""
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return None
