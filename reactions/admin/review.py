"""Admin pages of what was decided about patients' reports, and of calls to patients who did not answer."""

from django.contrib import admin

from patients.admin.scoped import ClinicFilter, ScopedAdmin
from reactions.models import PhoneCall, ReviewDecision


@admin.register(ReviewDecision)
class ReviewDecisionAdmin(ScopedAdmin):
    clinic_path = "checkin__infusion__patient__clinic"
    list_display = ["decided_at", "patient_name", "verdict", "reject_reason", "decided_by", "version"]
    list_filter = [ClinicFilter, "verdict", "reject_reason"]
    list_select_related = ["checkin__infusion__patient", "decided_by"]
    date_hierarchy = "decided_at"

    @admin.display(description="patient")
    def patient_name(self, decision: ReviewDecision) -> str:
        return decision.patient.full_name


@admin.register(PhoneCall)
class PhoneCallAdmin(ScopedAdmin):
    clinic_path = "patient__clinic"
    list_display = ["called_at", "patient", "outcome", "called_by", "words"]
    list_filter = [ClinicFilter, "outcome"]
    list_select_related = ["patient", "called_by"]
    date_hierarchy = "called_at"
