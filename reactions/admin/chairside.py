"""Admin pages of what a clinic decides for the chairside, and of what is noted and judged there."""

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

from django.contrib import admin
from django.utils.html import format_html_join
from django.utils.safestring import mark_safe

from patients.admin.scoped import AuditedAdmin, ClinicFilter, InWordsFilter, OfOwnClinicAdmin, ScopedAdmin, VoidFilter
from reactions.clinical.anaphylaxis import WORDS
from reactions.clinical.safety_card import Level
from reactions.forms.anaphylaxis import EXPOSURE_WORDS, stored_evidence
from reactions.models import (
    AnaphylaxisRecord,
    CausalityAssessment,
    ClinicProtocol,
    PatientRisk,
    RateStep,
    Reaction,
    ResponseMeasures,
    SafetyCheck,
    Signature,
    Treatment,
    Vitals,
    WorkItem,
)
from reactions.words import judgement_lines

LEVELS = {Level.CONTRAINDICATION: "Label contraindication", Level.CAUTION: "Caution", Level.NOTE: "Note"}


def _lines(texts: Iterable[str]) -> str:
    return format_html_join(mark_safe("<br>"), "{}", ((text,) for text in texts))


def _category(code: str) -> str:
    return code.replace("_", " ").capitalize() or "Unfinished"


@admin.register(ClinicProtocol)
class ClinicProtocolAdmin(OfOwnClinicAdmin, AuditedAdmin):
    """Set up once for a clinic and changed in place."""

    called = once = "protocol"
    list_display = ["clinic", "vitals_before_min", "vitals_first_min", "vitals_every_min", "vitals_after_end_min"]
    list_filter = [ClinicFilter]
    search_fields = ["clinic__name", "anaphylaxis_text"]


class OfInfusionAdmin(ScopedAdmin):
    """Something about an infusion."""

    clinic_path = "infusion__patient__clinic"
    list_select_related = ["infusion__patient", "infusion__product"]

    @admin.display(description="patient")
    def patient_name(self, record: Any) -> str:
        return record.infusion.patient.full_name


class OfReactionAdmin(ScopedAdmin):
    """Something about a reaction."""

    clinic_path = "reaction__infusion__patient__clinic"
    list_select_related = ["reaction__infusion__patient"]

    @admin.display(description="patient")
    def patient_name(self, record: Any) -> str:
        return record.reaction.patient.full_name


@admin.register(RateStep)
class RateStepAdmin(OfInfusionAdmin):
    list_display = ["at", "patient_name", "infusion", "reason", "rate_ml_per_h"]
    list_filter = [ClinicFilter, "reason", VoidFilter]
    date_hierarchy = "at"


@admin.register(Vitals)
class VitalsAdmin(OfInfusionAdmin):
    list_display = [
        "at",
        "patient_name",
        "temperature_c",
        "heart_rate_per_min",
        "systolic_mmhg",
        "diastolic_mmhg",
        "respiratory_rate_per_min",
        "spo2_percent",
    ]
    list_filter = [ClinicFilter, VoidFilter]
    date_hierarchy = "at"


@admin.register(Treatment)
class TreatmentAdmin(OfInfusionAdmin):
    list_display = ["at", "patient_name", "name", "dose", "route", "reaction"]
    list_filter = [ClinicFilter, "drug", VoidFilter]
    list_select_related = ["infusion__patient", "infusion__product", "reaction"]
    search_fields = ["drug", "other_drug"]
    date_hierarchy = "at"


@admin.register(SafetyCheck)
class SafetyCheckAdmin(OfInfusionAdmin):
    list_display = ["shown_at", "patient_name", "infusion", "worst", "acknowledged_by", "reason", "decided_by"]
    list_filter = [ClinicFilter, ("acknowledged_by", admin.EmptyFieldListFilter)]
    list_select_related = [*OfInfusionAdmin.list_select_related, "acknowledged_by"]
    date_hierarchy = "shown_at"
    in_words: ClassVar[Mapping[str, str]] = {"items": "card"}

    @admin.display(description="worst of the card")
    def worst(self, check: SafetyCheck) -> str:
        """The level of its first item: the card has the worst first."""
        return LEVELS[Level(check.items[0]["level"])] if check.items else "Nothing"

    @admin.display(description="card as it was shown")
    def card(self, check: SafetyCheck) -> str:
        return _lines(f"{LEVELS[Level(item['level'])]}: {item['text']}" for item in check.items)


class RiskFilter(InWordsFilter):
    @staticmethod
    def words(code: str) -> str:
        return PatientRisk(factor=code).label


@admin.register(PatientRisk)
class PatientRiskAdmin(ScopedAdmin):
    clinic_path = "patient__clinic"
    list_display = ["patient", "risk", "note", "created_by", "created_at"]
    list_filter = [ClinicFilter, ("factor", RiskFilter), VoidFilter]
    in_words: ClassVar[Mapping[str, str]] = {"factor": "risk"}
    list_select_related = ["patient", "created_by"]
    search_fields = ["factor"]

    @admin.display(ordering="factor")
    def risk(self, risk: PatientRisk) -> str:
        return risk.label


@admin.register(ResponseMeasures)
class ResponseMeasuresAdmin(ScopedAdmin):
    clinic_path = "patient__clinic"
    list_display = ["measured_on", "patient", "mmt8", "ck_u_per_l", "walk_m", "patient_global", "physician_global"]
    list_filter = [ClinicFilter, VoidFilter]
    list_select_related = ["patient"]
    date_hierarchy = "measured_on"


@admin.register(AnaphylaxisRecord)
class AnaphylaxisRecordAdmin(OfReactionAdmin):
    list_display = ["created_at", "patient_name", "criteria_met", "brown_grade", "reaction__resolved_at"]
    list_filter = [ClinicFilter, "brown_grade", VoidFilter]
    date_hierarchy = "created_at"
    in_words: ClassVar[Mapping[str, str]] = {"criteria": "criteria_met", "evidence": "seen"}

    @admin.display
    def criteria_met(self, record: AnaphylaxisRecord) -> str:
        if not record.is_judged and not record.criteria:
            return "Not judged yet"
        return ", ".join(record.criteria) or "None"

    @admin.display(description="what was seen")
    def seen(self, record: AnaphylaxisRecord) -> str:
        if not record.is_judged and not record.evidence:
            return "Not recorded yet"
        evidence = stored_evidence(record)
        measured = {
            "Lowest systolic pressure {} mmHg": evidence.systolic_mmhg,
            "Systolic pressure before {} mmHg": evidence.baseline_systolic_mmhg,
            "Lowest SpO₂ {} %": evidence.spo2_percent,
        }
        return _lines(
            [
                *(words.capitalize() for name, words in WORDS.items() if getattr(evidence, name)),
                *(words.format(value) for words, value in measured.items() if value is not None),
                *([] if evidence.acute_onset else ["Not within minutes to several hours"]),
                f"Known to react? {EXPOSURE_WORDS[evidence.exposure]}",
            ]
        )


class CategoryFilter(InWordsFilter):
    @staticmethod
    def words(code: str) -> str:
        return _category(code)


@admin.register(CausalityAssessment)
class CausalityAssessmentAdmin(OfReactionAdmin):
    list_display = ["judged_at", "patient_name", "scale", "judged", "score", "judged_by"]
    list_filter = [ClinicFilter, "scale", ("category", CategoryFilter)]
    list_select_related = [*OfReactionAdmin.list_select_related, "judged_by"]
    date_hierarchy = "judged_at"
    in_words: ClassVar[Mapping[str, str]] = {"category": "judged", "answers": "rests_on"}

    @admin.display(description="category", ordering="category")
    def judged(self, cause: CausalityAssessment) -> str:
        return _category(cause.category)

    @admin.display(description="what it rests on")
    def rests_on(self, cause: CausalityAssessment) -> str:
        return _lines(judgement_lines(cause)) or "Nothing ticked"


@admin.register(Signature)
class SignatureAdmin(OfReactionAdmin):
    list_display = ["signed_at", "patient_name", "printed_name", "meaning", "version"]
    list_filter = [ClinicFilter, "meaning"]
    search_fields = ["printed_name"]
    date_hierarchy = "signed_at"


@admin.register(WorkItem)
class WorkItemAdmin(ScopedAdmin):
    patient_paths = ("patient", "reaction__infusion__patient")
    list_display = ["opened_at", "patient_name", "kind", "closed_at", "closed_because"]
    list_filter = [ClinicFilter, "kind", ("closed_at", admin.EmptyFieldListFilter)]
    list_select_related = ["reaction__infusion__patient", "patient"]
    date_hierarchy = "opened_at"

    @admin.display(description="patient")
    def patient_name(self, item: WorkItem) -> str:
        about: Reaction | WorkItem = item.reaction or item
        return about.patient.full_name if about.patient else ""
