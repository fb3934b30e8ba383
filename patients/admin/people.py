"""Admin pages of clinics, staff and patients."""

from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from allauth.usersessions.models import UserSession
from django.contrib import admin, messages
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.models import Group
from django.db.models import Model, Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from patients.access import signed_in
from patients.admin.scoped import ClinicFilter, HiddenSearch, ScopedAdmin, SetUpAdmin, VoidFilter
from patients.models import AuditEvent, Clinic, IgaResult, Patient, StaffRole, User, write_event
from patients.signing_in import second_step
from patients.signing_in.inviting import links_of

# Roles say who may do what; Django's groups are not used. What belongs to a person's sign-in is nobody else's business.
admin.site.unregister([Group, EmailAddress, Authenticator, UserSession])


@admin.register(Clinic)
class ClinicAdmin(SetUpAdmin):
    clinic_path = "pk"
    list_display = ["name", "slug", "time_zone", "phone", "ctcae_version"]
    search_fields = ["name", "slug"]
    prepopulated_fields = {"slug": ["name"]}

    def get_prepopulated_fields(self, request: HttpRequest, obj: Model | None = None) -> dict:
        return dict(self.prepopulated_fields) if obj is None and signed_in(request).is_superuser else {}

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """An administrator keeps their own clinic's details right."""
        mine = Clinic.objects.administered_by(signed_in(request))
        return mine.filter(pk=obj.pk).exists() if obj else bool(signed_in(request).administers_something)


class StaffRoleInline(admin.TabularInline):
    model = StaffRole
    extra = 1

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False


@admin.register(User)
class UserAdmin(HiddenSearch, DjangoUserAdmin):
    """Accounts, for superusers. A person who leaves is made inactive, never deleted."""

    actions = ["forget_second_step", "make_links"]
    inlines = [StaffRoleInline]
    list_display = ["username", "first_name", "last_name", "email", "is_active", "is_superuser"]
    list_filter = ["is_active", "is_superuser"]
    filter_horizontal = ()
    fieldsets = (
        (None, {"fields": ("username", "password")}),
        ("Person", {"fields": ("first_name", "last_name", "email")}),
        ("Access", {"fields": ("is_active", "is_superuser", "last_login", "date_joined")}),
    )

    def has_module_permission(self, request: HttpRequest) -> bool:
        return bool(signed_in(request).is_superuser)

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    @admin.action(description="Phone lost: let them set up a new second step")
    def forget_second_step(self, request: HttpRequest, queryset: QuerySet) -> None:
        for user in queryset:
            second_step.forget(user, by=signed_in(request), reason="asked for in the administration")
        self.message_user(
            request,
            f"{len(queryset)} signed out everywhere. At the next sign-in they set up a new second step.",
            messages.SUCCESS,
        )

    @admin.action(description="Password forgotten: make a link to choose a new one")
    def make_links(self, request: HttpRequest, queryset: QuerySet) -> HttpResponse:
        for user in queryset:
            write_event("person.link_made", by=signed_in(request), about=user)
        return render(request, "account/invited.html", {"links": links_of(queryset)})


@admin.register(StaffRole)
class StaffRoleAdmin(SetUpAdmin):
    list_display = ["user", "clinic", "role", "is_active"]
    list_filter = [ClinicFilter, "role", "is_active"]
    list_select_related = ["user", "clinic"]
    search_fields = ["user__username", "user__first_name", "user__last_name"]
    autocomplete_fields = ["user"]


@admin.register(Patient)
class PatientAdmin(ScopedAdmin):
    patient_paths = ("pk",)
    list_display = ["full_name", "mrn", "clinic", "birth_date", "sex", "diagnosis"]
    list_filter = [ClinicFilter, "sex", VoidFilter]
    list_select_related = ["clinic"]


@admin.register(IgaResult)
class IgaResultAdmin(ScopedAdmin):
    clinic_path = "patient__clinic"
    list_display = ["patient", "as_text", "status", "measured_on", "anti_iga"]
    list_filter = [ClinicFilter, "status", "anti_iga", VoidFilter]
    list_select_related = ["patient"]
    date_hierarchy = "in_force_from"


@admin.register(AuditEvent)
class AuditEventAdmin(ScopedAdmin):
    list_display = ["at", "by", "act", "entity", "entity_id", "patient_id", "came_from", "reason"]
    list_filter = [ClinicFilter, "act"]
    list_select_related = ["by", "key"]
    search_fields = ["by__username", "act"]
    exclude = ["key", "told"]
    readonly_fields = ["reason", "changes", "browser"]
    date_hierarchy = "at"

    def get_search_results(self, request: HttpRequest, queryset: QuerySet, term: str) -> tuple[QuerySet, bool]:
        """Numbers are looked for as record numbers, other words in names and acts. Reasons are sealed."""
        if not term:
            return queryset, False
        words = Q(by__username__icontains=term) | Q(act__icontains=term)
        if term.isdecimal() and len(term) < 18:
            words |= Q(patient_id=int(term)) | Q(entity_id=int(term))
        return queryset.filter(words), False
