"""What every admin page of a clinical record has in common: it shows the administrator's own clinics, and only shows.

Records are written through the staff pages, whose verbs keep the audit trail; here they are read.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import reduce
from typing import Any, ClassVar

from django.contrib import admin
from django.contrib.admin.views.main import SEARCH_VAR, ChangeList, ChangeListSearchForm
from django.db.models import Model, Q, QuerySet
from django.http import HttpRequest

from patients.access import signed_in
from patients.models import Clinic, Patient, difference, snapshot, write_event
from patients.origin import shows
from patients.sealing.query import reveal


class HiddenSearchForm(ChangeListSearchForm):
    """The words of a search stand sealed in the address (patients/sealing/query.py)."""

    def clean(self) -> dict[str, Any]:
        values = super().clean() or self.cleaned_data
        return values | {SEARCH_VAR: reveal(values.get(SEARCH_VAR, ""))}


class HiddenSearchList(ChangeList):
    search_form_class = HiddenSearchForm


class HiddenSearch(admin.ModelAdmin):
    """Nobody finds the names that were sought in a browser's history or a server's log."""

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return HiddenSearchList


class ScopedAdmin(HiddenSearch):
    """`clinic_path` leads from the model to its clinic, such as "patient__clinic"; empty when a row has none.

    `patient_paths` lead to its patients, where they are not on the way to the clinic. `in_words` leads from a field
    that holds codes to the method that tells it in words, which stands in its place.
    """

    clinic_path = "clinic"
    patient_paths: Sequence[str] = ()
    in_words: ClassVar[Mapping[str, str]] = {}
    list_per_page = 50
    show_full_result_count = False

    def get_queryset(self, request: HttpRequest) -> QuerySet:
        rows = super().get_queryset(request)
        if not self.clinic_path or signed_in(request).is_superuser:
            return rows
        return rows.filter(**{f"{self.clinic_path}__in": Clinic.objects.administered_by(signed_in(request))})

    def get_search_fields(self, request: HttpRequest) -> list[str]:
        """Names and numbers of patients are sealed, and sought by their marks; the field only shows the search box."""
        return list(self.search_fields or self.ways_to_patient())

    def get_search_results(self, request: HttpRequest, queryset: QuerySet, term: str) -> tuple[QuerySet, bool]:
        """Rows that have the words in a plain field, and those of a patient whom they name."""
        if not term or not self.ways_to_patient():
            return super().get_search_results(request, queryset, term)
        plain = super().get_search_results(request, queryset, term)[0] if self.search_fields else queryset.none()
        patients = Patient.objects.matching(term, Clinic.objects.administered_by(signed_in(request))).values("pk")
        found = Q(pk__in=plain.values("pk"))
        for path in self.ways_to_patient():
            found |= Q(**{f"{path}__in": patients})
        return queryset.filter(found), False

    def ways_to_patient(self) -> Sequence[str]:
        """From the model to its patients, such as "infusion__patient"; none when a row has none."""
        here, _, last = self.clinic_path.rpartition("__")
        on_the_way = [here] if last == "clinic" and here.endswith("patient") else []
        return self.patient_paths or on_the_way

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> Any:
        """The trail says of which patient a page shows something."""
        found = super().get_object(request, object_id, from_field)
        for path in self.ways_to_patient() if found else ():
            patient = found if path == "pk" else reduce(_attribute, path.split("__"), found)
            if patient:
                shows(patient.pk, patient.clinic_id)
        return found

    def get_fields(self, request: HttpRequest, obj: Model | None = None) -> list[Any]:
        told = set(self.in_words.values())
        names = [name for name in super().get_fields(request, obj) if name not in told]
        return [self.in_words.get(str(name), name) for name in names]

    def get_readonly_fields(self, request: HttpRequest, obj: Model | None = None) -> list[Any]:
        return [*super().get_readonly_fields(request, obj), *self.in_words.values()]

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


def _attribute(of: Any, name: str) -> Any:
    return getattr(of, name, None)


class AuditedAdmin(ScopedAdmin):
    """Rows whose changes go from here into the audit trail, under the name `called` or else the model's."""

    called = ""

    def save_model(self, request: HttpRequest, obj: Model, form: Any, change: bool) -> None:
        before = snapshot(type(obj)._default_manager.get(pk=obj.pk)) if change else {}
        super().save_model(request, obj, form, change)
        self.write("changed" if change else "added", request, obj, changes=difference(before, snapshot(obj)))

    def write(self, act: str, request: HttpRequest, obj: Model, *, changes: dict[str, list[Any]]) -> None:
        write_event(
            f"{self.called or obj._meta.model_name}.{act}",
            by=signed_in(request),
            about=obj,
            clinic=obj if isinstance(obj, Clinic) else getattr(obj, "clinic", None),
            changes=changes,
        )


class SetUpAdmin(AuditedAdmin):
    """Set-up that superusers write and administrators read."""

    def has_add_permission(self, request: HttpRequest, *args: Any) -> bool:
        return bool(signed_in(request).is_superuser)

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return bool(signed_in(request).is_superuser)


class OfOwnClinicAdmin(ScopedAdmin):
    """Rows that a clinic's administrator writes for the own clinics. The clinic of a row stays.

    `once` is the name by which a clinic has its only row, such as "protocol"; empty where it may have many.
    """

    list_select_related = ["clinic"]
    once = ""

    def has_add_permission(self, request: HttpRequest, *args: Any) -> bool:
        return self.free(request).exists()

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        if obj is not None:
            return self.mine(request).filter(pk=obj.clinic_id).exists()
        return self.has_module_permission(request)

    def get_readonly_fields(self, request: HttpRequest, obj: Model | None = None) -> list[Any]:
        return ["clinic"] if obj else []

    def formfield_for_foreignkey(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        if db_field.name == "clinic":
            kwargs |= {"queryset": self.free(request), "initial": self.free(request).first()}
        return super().formfield_for_foreignkey(db_field, request, **kwargs)

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> Any:
        """An empty list says what holds without a row."""
        without = [str(clinic) for clinic in self.free(request)] if self.once else []
        subtitle = f"Not set by {', '.join(without)}: there the usual settings hold." if without else None
        return super().changelist_view(request, {"subtitle": subtitle} | (extra_context or {}))

    def mine(self, request: HttpRequest) -> QuerySet[Clinic]:
        return Clinic.objects.administered_by(signed_in(request))

    def free(self, request: HttpRequest) -> QuerySet[Clinic]:
        """The own clinics for which one more row can be written."""
        return self.mine(request).filter(**{self.once: None}) if self.once else self.mine(request)


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


class InWordsFilter(admin.AllValuesFieldListFilter):
    """Every stored code of a field, told by `words`."""

    words: Callable[[str], str]

    def choices(self, changelist: Any) -> Iterator[Any]:
        stored = set(self.lookup_choices)
        for choice in super().choices(changelist):
            code = str(choice["display"])
            yield {**choice, "display": self.words(code)} if code in stored else choice


class VoidFilter(admin.SimpleListFilter):
    title = "void"
    parameter_name = "void"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("no", "In use"), ("yes", "Void")]

    def queryset(self, request: HttpRequest, queryset: QuerySet) -> QuerySet:
        return queryset if self.value() is None else queryset.filter(voided_at__isnull=self.value() == "no")
