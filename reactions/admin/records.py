"""Admin pages of products, infusions, reactions, check-ins, alerts and outgoing mail."""

from collections.abc import Mapping
from typing import ClassVar
from zoneinfo import ZoneInfo

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html

from patients.access import signed_in
from patients.admin.scoped import ClinicFilter, ScopedAdmin, SetUpAdmin, VoidFilter
from reactions import delivery
from reactions.clinical.seriousness import CRITERIA
from reactions.models import (
    Alert,
    Answer,
    AnswerSymptom,
    CheckIn,
    Course,
    Heartbeat,
    Infusion,
    OutboxMessage,
    Premedication,
    Product,
    ProductRate,
    RateStep,
    Reaction,
    Symptom,
    Treatment,
    Vial,
    Vitals,
)


class RowsInline(admin.TabularInline):
    """The rows of a record, to be read."""

    extra = 0
    can_delete = False

    def has_view_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return True

    def has_add_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return False


class VialInline(RowsInline):
    model = Vial


class PremedicationInline(RowsInline):
    model = Premedication


class WrittenRowsInline(RowsInline):
    """Rows that each have a writer, and may each be void."""

    readonly_fields = ["void_reason"]

    def get_queryset(self, request: HttpRequest) -> QuerySet:
        return super().get_queryset(request).select_related("created_by")


class RateStepInline(WrittenRowsInline):
    model = RateStep


class VitalsInline(WrittenRowsInline):
    model = Vitals


class TreatmentInline(WrittenRowsInline):
    model = Treatment

    def get_queryset(self, request: HttpRequest) -> QuerySet:
        return super().get_queryset(request).select_related("reaction", "infusion__product")


class SymptomInline(RowsInline):
    model = Symptom


class AnswerSymptomInline(RowsInline):
    model = AnswerSymptom


class ProductRateInline(admin.TabularInline):
    """What the label says for each indication: written by whoever may write the product."""

    model = ProductRate
    extra = 0

    def has_view_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return True

    def has_add_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return bool(signed_in(request).is_superuser)

    def has_change_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return bool(signed_in(request).is_superuser)

    def has_delete_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return bool(signed_in(request).is_superuser)


@admin.register(Product)
class ProductAdmin(SetUpAdmin):
    clinic_path = ""
    inlines = [ProductRateInline]
    list_display = [
        "name",
        "maker",
        "concentration_percent",
        "iga_max_ug_per_ml",
        "max_rate_ml_per_kg_h",
        "is_current",
        "is_verified",
        "source_date",
    ]
    list_filter = ["is_current", "is_intravenous", "is_verified"]
    search_fields = ["name", "maker"]


@admin.register(Course)
class CourseAdmin(ScopedAdmin):
    clinic_path = "patient__clinic"
    list_display = ["label", "patient", "planned_days", "planned_g", "planned_for"]
    list_filter = [ClinicFilter]
    date_hierarchy = "planned_for"
    list_select_related = ["patient"]
    search_fields = ["label"]


@admin.register(Infusion)
class InfusionAdmin(ScopedAdmin):
    clinic_path = "patient__clinic"
    list_display = ["started_at", "patient", "product", "dose_g", "setting", "premedication_record", "reaction_record"]
    list_filter = [ClinicFilter, "setting", "premedication_record", "reaction_record", "product", VoidFilter]
    list_select_related = ["patient", "product"]
    search_fields = ["vials__lot"]
    date_hierarchy = "started_at"
    inlines = [VialInline, PremedicationInline, RateStepInline, VitalsInline, TreatmentInline]


@admin.register(Vial)
class VialAdmin(ScopedAdmin):
    clinic_path = "infusion__patient__clinic"
    list_display = ["lot", "expires_on", "grams", "infusion", "patient"]
    list_filter = [ClinicFilter]
    list_select_related = ["infusion__patient", "infusion__product"]
    search_fields = ["lot"]

    @admin.display
    def patient(self, vial: Vial) -> str:
        return vial.infusion.patient.full_name


@admin.register(Reaction)
class ReactionAdmin(ScopedAdmin):
    clinic_path = "infusion__patient__clinic"
    list_display = ["onset_at", "patient_name", "terms", "worst_grade", "outcome", "is_serious"]
    list_filter = [ClinicFilter, "outcome", "is_serious", "symptoms__grade", VoidFilter]
    list_select_related = ["infusion__patient"]
    search_fields = ["symptoms__term"]
    date_hierarchy = "onset_at"
    inlines = [SymptomInline, TreatmentInline]
    in_words: ClassVar[Mapping[str, str]] = {"treatment": "other_measures", "serious_criteria": "criteria_met"}

    def get_queryset(self, request: HttpRequest) -> QuerySet:
        return super().get_queryset(request).prefetch_related("symptoms")

    @admin.display(description="patient")
    def patient_name(self, reaction: Reaction) -> str:
        return reaction.patient.full_name

    @admin.display
    def other_measures(self, reaction: Reaction) -> str:
        return reaction.treatment or "None recorded"

    @admin.display(description="criteria of 21 CFR 600.80 that are met")
    def criteria_met(self, reaction: Reaction) -> str:
        met = [text.label for code, text in CRITERIA.items() if code in reaction.serious_criteria]
        return "; ".join(met) or "None recorded"

    @admin.display
    def terms(self, reaction: Reaction) -> str:
        return ", ".join(symptom.name for symptom in reaction.symptoms.all())

    @admin.display
    def worst_grade(self, reaction: Reaction) -> int | None:
        return reaction.max_grade


@admin.register(CheckIn)
class CheckInAdmin(ScopedAdmin):
    clinic_path = "infusion__patient__clinic"
    list_display = ["due_at", "patient_name", "kind", "state", "delivered"]
    list_filter = [ClinicFilter, "state", "kind"]
    list_select_related = ["infusion__patient__clinic"]
    date_hierarchy = "due_at"
    exclude = ["link_hash"]
    readonly_fields = ["delivered"]

    def get_queryset(self, request: HttpRequest) -> QuerySet:
        return super().get_queryset(request).prefetch_related("mails")

    @admin.display(description="delivery")
    def delivered(self, checkin: CheckIn) -> str:
        return delivery.of_checkin(checkin, timezone.now()).text

    @admin.display(description="patient")
    def patient_name(self, checkin: CheckIn) -> str:
        return checkin.patient.full_name


@admin.register(Answer)
class AnswerAdmin(ScopedAdmin):
    clinic_path = "checkin__infusion__patient__clinic"
    list_display = ["submitted_at", "patient_name", "of_checkin", "version", "has_problem", "care_sought"]
    list_filter = [ClinicFilter, "has_problem", "care_sought"]
    list_select_related = ["checkin__infusion__patient"]
    date_hierarchy = "submitted_at"
    inlines = [AnswerSymptomInline]
    in_words: ClassVar[Mapping[str, str]] = {"checkin": "of_checkin"}

    @admin.display(description="patient")
    def patient_name(self, answer: Answer) -> str:
        return answer.checkin.patient.full_name

    @admin.display(description="check-in", ordering="checkin")
    def of_checkin(self, answer: Answer) -> str:
        address = reverse("admin:reactions_checkin_change", args=[answer.checkin_id])
        return format_html('<a href="{}">{}</a>', address, answer.checkin)


@admin.register(Alert)
class AlertAdmin(ScopedAdmin):
    clinic_path = "patient__clinic"
    list_display = ["raised_at", "patient", "level", "why", "acknowledged_at", "acknowledged_by"]
    list_filter = [ClinicFilter, "level", ("acknowledged_at", admin.EmptyFieldListFilter)]
    list_select_related = ["patient", "acknowledged_by"]
    date_hierarchy = "raised_at"


@admin.register(OutboxMessage)
class OutboxMessageAdmin(ScopedAdmin):
    """Mail of every clinic, for superusers: a row alone does not say whose it is."""

    clinic_path = ""
    list_display = ["due_at", "kind", "state", "attempts", "in_doubt", "delivered"]
    list_filter = ["state", "kind", "in_doubt"]
    search_fields = ["message_id", "idempotency_key"]
    date_hierarchy = "due_at"

    @admin.display(description="delivery")
    def delivered(self, message: OutboxMessage) -> str:
        zone = ZoneInfo(timezone.get_current_timezone_name())
        return delivery.of_mail(message, zone, timezone.now()).text

    def has_module_permission(self, request: HttpRequest) -> bool:
        return bool(signed_in(request).is_superuser)


@admin.register(Heartbeat)
class HeartbeatAdmin(ScopedAdmin):
    """Who was last seen at work on the mail, for whoever runs the service."""

    clinic_path = ""
    list_display = ["part", "host", "seen_at", "done_at", "failing_since", "trouble"]

    def has_module_permission(self, request: HttpRequest) -> bool:
        return bool(signed_in(request).is_superuser)
