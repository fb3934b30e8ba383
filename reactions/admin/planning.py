"""The admin page of a clinic's plan of check-ins."""

from collections import Counter
from typing import Any

from django import forms
from django.contrib import admin
from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import Model
from django.http import HttpRequest
from django.utils import timezone
from django.utils.html import format_html, format_html_join

from patients.access import signed_in
from patients.admin.scoped import ClinicFilter, OfOwnClinicAdmin
from reactions.clinical.questions import IN_ORDER, SETS
from reactions.models import CheckInPlan, PlanStep
from reactions.recording import plan_changed, plan_snapshot


class StepFormSet(forms.BaseInlineFormSet):
    """What is only seen with the steps side by side."""

    def clean(self) -> None:
        super().clean()
        if any(self.errors):
            return
        told = [form for form in self.forms if form.has_changed() or form.instance.pk]
        steps = [form.instance for form in told if form not in self.deleted_forms]
        active = [step for step in steps if step.is_active]
        twice = [step for step, times in Counter(step.after_end for step in active).items() if times > 1]
        if twice:
            labels = ", ".join(f"“{step.label}”" for step in active if step.after_end == twice[0])
            raise ValidationError(f"{labels} are asked at the same moment, and the patient would get only one of them.")


class StepInline(admin.TabularInline):
    """Whoever may change the plan may change its steps."""

    model = PlanStep
    formset = StepFormSet
    extra = 1
    # Ten columns side by side.
    formfield_overrides = {models.CharField: {"widget": forms.TextInput(attrs={"size": 12})}}

    def has_view_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return True

    def has_add_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return True

    def has_change_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return True

    def has_delete_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return True


@admin.register(CheckInPlan)
class CheckInPlanAdmin(OfOwnClinicAdmin):
    """A clinic's administrator writes its plan. What is changed reaches the courses that are open."""

    once = "checkin_plan"
    list_display = ["clinic", "quiet_from", "sends_from", "asks_same_evening"]
    list_filter = [ClinicFilter]
    search_fields = ["clinic__name"]
    inlines = [StepInline]
    # By the patient's clock: the admin's own widget offers the server's time.
    formfield_overrides = {models.TimeField: {"widget": forms.TimeInput(attrs={"type": "time"}, format="%H:%M")}}

    def get_readonly_fields(self, request: HttpRequest, obj: Model | None = None) -> list[str]:
        return [*super().get_readonly_fields(request, obj), "what_the_questions_are"]

    @admin.display(description="what the questions are")
    def what_the_questions_are(self, _plan: CheckInPlan) -> str:
        """The question sets that a step can have, when each fits, and how long its list is."""
        lines = (
            (one.label, one.purpose, f"{len(one.problems)} of {len(IN_ORDER)} problems listed") for one in SETS.values()
        )
        return format_html("<ul>{}</ul>", format_html_join("", "<li><strong>{}</strong>: {}. {}.</li>", lines))

    def get_inline_instances(self, request: HttpRequest, obj: Model | None = None) -> list[Any]:
        """A new plan is saved first: it then has the usual steps, to be changed."""
        return super().get_inline_instances(request, obj) if obj else []

    def save_model(self, request: HttpRequest, obj: CheckInPlan, form: Any, change: bool) -> None:
        form.before = plan_snapshot(CheckInPlan.objects.get(pk=obj.pk)) if change else {}
        super().save_model(request, obj, form, change)

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        super().save_related(request, form, formsets, change)
        plan_changed(form.instance, by=signed_in(request), before=form.before, now=timezone.now())
