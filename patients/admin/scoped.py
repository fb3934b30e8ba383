"""What every admin page of a clinical record has in common: it shows the administrator's own clinics, and only shows.

Records are written through the staff pages, whose verbs keep the audit trail; here they are read.
"""

from typing import Any

from django.contrib import admin
from django.db.models import Model, QuerySet
from django.http import HttpRequest

from patients.access import signed_in
from patients.models import Clinic, difference, snapshot, write_event


class ScopedAdmin(admin.ModelAdmin):
    """`clinic_path` leads from the model to its clinic, such as "patient__clinic"; empty when a row has none."""

    clinic_path = "clinic"
    list_per_page = 50
    show_full_result_count = False

    def get_queryset(self, request: HttpRequest) -> QuerySet:
        rows = super().get_queryset(request)
        if not self.clinic_path or signed_in(request).is_superuser:
            return rows
        return rows.filter(**{f"{self.clinic_path}__in": Clinic.objects.administered_by(signed_in(request))})

    def has_module_permission(self, request: HttpRequest) -> bool:
        return bool(signed_in(request).is_active and signed_in(request).administers_something)

    def has_view_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return self.has_module_permission(request)

    def has_add_permission(self, request: HttpRequest, *args: Any) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False


class SetUpAdmin(ScopedAdmin):
    """Set-up that superusers write and administrators read. What they write is in the audit trail."""

    def save_model(self, request: HttpRequest, obj: Model, form: Any, change: bool) -> None:
        before = snapshot(type(obj)._default_manager.get(pk=obj.pk)) if change else {}
        super().save_model(request, obj, form, change)
        write_event(
            f"{obj._meta.model_name}.{'changed' if change else 'added'}",
            by=signed_in(request),
            about=obj,
            clinic=obj if isinstance(obj, Clinic) else getattr(obj, "clinic", None),
            changes=difference(before, snapshot(obj)),
        )

    def has_add_permission(self, request: HttpRequest, *args: Any) -> bool:
        return bool(signed_in(request).is_superuser)

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return bool(signed_in(request).is_superuser)


class ClinicFilter(admin.SimpleListFilter):
    """The administrator's own clinics, not everybody's."""

    title = "clinic"
    parameter_name = "clinic"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        clinics = Clinic.objects.administered_by(signed_in(request))
        return [(clinic.slug, clinic.name) for clinic in clinics]

    def queryset(self, request: HttpRequest, queryset: QuerySet) -> QuerySet:
        path = getattr(self.model_admin, "clinic_path", "clinic")
        return queryset.filter(**{f"{path}__slug": self.value()}) if self.value() else queryset

    def __init__(self, request: HttpRequest, params: Any, model: Any, model_admin: Any) -> None:
        self.model_admin = model_admin
        super().__init__(request, params, model, model_admin)


class VoidFilter(admin.SimpleListFilter):
    title = "void"
    parameter_name = "void"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("no", "In use"), ("yes", "Void")]

    def queryset(self, request: HttpRequest, queryset: QuerySet) -> QuerySet:
        return queryset if self.value() is None else queryset.filter(voided_at__isnull=self.value() == "no")
