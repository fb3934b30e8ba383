"""Admin lists of signals and of what was decided about them; the pages to work with are views/signals.py."""

from django.contrib import admin

from patients.admin.scoped import ClinicFilter, ScopedAdmin
from reactions.models import Signal, SignalDecision


@admin.register(Signal)
class SignalAdmin(ScopedAdmin):
    list_display = ["raised_at", "what", "words", "stands_out", "decided_at", "clinic"]
    list_filter = [ClinicFilter, "kind", "stands_out"]
    list_select_related = ["clinic"]
    search_fields = ["what", "lot", "product"]
    date_hierarchy = "raised_at"


@admin.register(SignalDecision)
class SignalDecisionAdmin(ScopedAdmin):
    clinic_path = "signal__clinic"
    list_display = ["decided_at", "signal", "verdict", "words", "decided_by"]
    list_filter = [ClinicFilter, "verdict"]
    list_select_related = ["signal", "decided_by"]
    search_fields = ["signal__what", "words"]
    date_hierarchy = "decided_at"
