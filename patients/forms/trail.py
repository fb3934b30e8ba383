"""Which part of the audit trail is shown."""

from datetime import date, datetime, time, timedelta
from typing import Any

from crispy_forms.helper import FormHelper
from crispy_forms.layout import Column, Layout, Row
from django import forms
from django.db.models import Q
from django.utils import timezone

from patients.forms.fields import DateField, say_what_is_missing
from patients.models import AuditEvent, Clinic, Patient, StaffRole, User
from patients.models.append_only import AppendOnlyQuerySet

# What an act is of, by the beginnings of its names. What is none of these is a change.
KINDS = {
    "changes": ("What was recorded or changed", ()),
    "pages": ("Pages that were opened", ("page.read",)),
    "searches": ("Searches", ("page.searched",)),
    "files": ("Files that were taken away", ("page.exported",)),
    "refusals": ("Refusals", ("page.refused", "person.sign_in_failed", "person.second_step_failed")),
    "signing": ("Signing in and out", ("person.",)),
}
APART = tuple(act for _, acts in KINDS.values() for act in acts)


class TrailForm(forms.Form):
    """Filters, all of them optional. The clinics are those whose trail the user reads."""

    clinic = forms.ModelChoiceField(Clinic.objects.none(), required=False, empty_label="All of mine")
    by = forms.ModelChoiceField(User.objects.none(), required=False, label="By whom", empty_label="Everybody")
    kind = forms.ChoiceField(
        required=False,
        label="What",
        choices=[("", "Everything"), *((code, words) for code, (words, _) in KINDS.items())],
    )
    first_day = DateField(required=False, label="From")
    last_day = DateField(required=False, label="To")
    patient = forms.IntegerField(required=False, widget=forms.HiddenInput, min_value=1, max_value=2**62)

    def __init__(self, *args: Any, user: User, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.user = user
        self.clinics = Clinic.objects.audited_by(user)
        staff = User.objects.filter(roles__clinic__in=self.clinics).distinct().order_by("last_name", "first_name")
        choices: dict[str, Any] = {"clinic": self.clinics, "by": staff}
        for name, rows in choices.items():
            field: Any = self.fields[name]
            field.queryset = rows
        say_what_is_missing(self)
        self.helper = FormHelper()
        self.helper.form_tag = False
        # It only asks: a token would stand in the address.
        self.helper.disable_csrf = True
        self.helper.layout = Layout(
            "patient",
            Row(
                Column("kind", css_class="col-md-4"),
                Column("by", css_class="col-md-4"),
                Column("clinic", css_class="col-md-4"),
            ),
            Row(Column("first_day", css_class="col-6 col-md-4"), Column("last_day", css_class="col-6 col-md-4")),
        )

    def clean(self) -> dict[str, Any]:
        values = super().clean() or self.cleaned_data
        first, last = values.get("first_day"), values.get("last_day")
        if first and last and last < first:
            self.add_error("last_day", "This day lies before the first one.")
        return values

    def events(self) -> AppendOnlyQuerySet:
        """Events of the user's clinics, and of their staff where no clinic is named, as filtered; newest first.

        Of somebody who works elsewhere too only signing in and out: what they searched for may be of the other clinic.
        """
        found = AuditEvent.objects.order_by("-pk")
        if not self.user.is_superuser:
            staff = StaffRole.objects.filter(clinic__in=self.clinics).values("user")
            elsewhere = StaffRole.objects.exclude(clinic__in=self.clinics).values("user")
            theirs = Q(by__in=staff) & (~Q(by__in=elsewhere) | Q(act__startswith="person."))
            theirs |= Q(by=None, entity="patients.user", entity_id__in=staff)
            found = found.filter(Q(clinic__in=self.clinics) | Q(clinic=None) & theirs)
        asked = self.cleaned_data
        if asked.get("clinic"):
            found = found.filter(clinic=asked["clinic"])
        if asked.get("by"):
            found = found.filter(by=asked["by"])
        if asked.get("patient"):
            # What is told after an erasure is about the record, and under no patient's key.
            own = Q(entity="patients.patient", entity_id=asked["patient"])
            found = found.filter(Q(patient_id=asked["patient"]) | own)
        if asked.get("kind"):
            acts = KINDS[asked["kind"]][1]
            begins = Q(*(Q(act__startswith=act) for act in acts or APART), _connector=Q.OR)
            found = found.filter(begins) if acts else found.exclude(begins)
        if asked.get("first_day"):
            found = found.filter(at__gte=_midnight(asked["first_day"]))
        if asked.get("last_day"):
            found = found.filter(at__lt=_midnight(asked["last_day"], days=1))
        return found

    def chosen_patient(self) -> Patient | None:
        """Whose part is shown; None for everybody's, and for somebody of another clinic."""
        pk = self.cleaned_data.get("patient")
        return Patient.objects.filter(clinic__in=self.clinics, pk=pk).first() if pk else None


def _midnight(day: date, days: int = 0) -> datetime:
    """When the day begins, on the clocks in force; or so many days later."""
    return timezone.make_aware(datetime.combine(day + timedelta(days=days), time.min))
