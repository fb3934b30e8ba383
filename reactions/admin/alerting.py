"""Admin pages of what a clinic decides about alerts: how soon, how often, and who is on call."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.utils import timezone

from patients.admin.scoped import AuditedAdmin, ClinicFilter, OfOwnClinicAdmin
from patients.models import Clinic, User, snapshot
from reactions.models import AlertPolicy, OnCallShift


@admin.register(AlertPolicy)
class AlertPolicyAdmin(OfOwnClinicAdmin, AuditedAdmin):
    """Set up once for a clinic and changed in place; without it the defaults apply."""

    called = once = "alert_policy"
    list_display = ["clinic", "red_within_min", "red_every_min", "amber_within_min", "works_from", "works_until"]
    list_filter = [ClinicFilter]
    search_fields = ["clinic__name"]


@admin.register(OnCallShift)
class OnCallShiftAdmin(OfOwnClinicAdmin, AuditedAdmin):
    """The rota. Times are the clinic's, wherever the administrator works; who is no longer to come is taken off."""

    called = "on_call"
    list_display = ["from_to", "person", "rung", "clinic"]
    list_filter = [ClinicFilter, "rung"]
    list_select_related = ["clinic", "person"]
    search_fields = ["person__username", "person__first_name", "person__last_name", "clinic__name"]
    date_hierarchy = "starts_at"
    ordering = ["-starts_at", "rung"]
    # The action of the list takes rows off without asking for each.
    actions = None

    @admin.display(description="from, until", ordering="starts_at")
    def from_to(self, shift: OnCallShift) -> str:
        begins, ends = (moment.astimezone(shift.clinic.zone) for moment in (shift.starts_at, shift.ends_at))
        return f"{begins:%a %Y-%m-%d %H:%M} – {ends:%a %Y-%m-%d %H:%M}"

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self.has_change_permission(request, obj)

    def changeform_view(self, request: HttpRequest, object_id: str | None = None, *args: Any, **kwargs: Any) -> Any:
        """The form reads and shows times on the clocks of the shift's clinic."""
        if zone_of := self._clinic_of(request, object_id):
            timezone.activate(zone_of.zone)
        return super().changeform_view(request, object_id, *args, **kwargs)

    def formfield_for_foreignkey(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        if db_field.name == "person":
            works_there = User.objects.filter(
                is_active=True, roles__is_active=True, roles__clinic__in=self.mine(request)
            )
            kwargs["queryset"] = works_there.exclude(email="").distinct()
        return super().formfield_for_foreignkey(db_field, request, **kwargs)

    def delete_model(self, request: HttpRequest, obj: OnCallShift) -> None:
        gone = {name: [value, None] for name, value in snapshot(obj).items()}
        self.write("removed", request, obj, changes=gone)
        super().delete_model(request, obj)

    def _clinic_of(self, request: HttpRequest, object_id: str | None) -> Clinic | None:
        mine = self.mine(request)
        if object_id:
            shifts = OnCallShift.objects.filter(pk=object_id) if object_id.isdecimal() else OnCallShift.objects.none()
            return mine.filter(pk__in=shifts.values("clinic")).first()
        chosen = request.POST.get("clinic", "")
        return mine.filter(pk=chosen).first() if chosen.isdecimal() else mine.first()
