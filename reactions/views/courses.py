"""Booking a patient's next course, and taking a booking off."""

from datetime import date
from typing import Any

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.http import require_http_methods

from patients.access import StaffRequest, posted
from patients.forms.fields import differences
from patients.views.patients import find_patient_to_change
from reactions import recording
from reactions.forms.course import BookingForm, UnbookForm
from reactions.models import Course


@require_http_methods(["GET", "HEAD", "POST"])
def book_course(request: StaffRequest, pk: int) -> HttpResponse:
    patient = find_patient_to_change(request.user, pk)
    form = BookingForm(posted(request), patient=patient)
    context: dict[str, Any] = {"form": form, "patient": patient, "booked": patient.courses.booked(timezone.localdate())}
    if form.is_valid():
        try:
            course = recording.book_course(by=request.user, patient=patient, **form.plan())
        except recording.AlreadyBooked as error:
            form.accept_plan(error.stored.plan)
            context["differences"] = differences(BookingForm(patient=patient, stored=error.stored), form)
            return render(request, "reactions/book_course.html", context, status=409)
        messages.success(request, f"Booked: {course.planned_for}, {course.plan}.")
        for day in form.close_bookings():
            messages.warning(request, f"Saved; please check: another course is booked for {day}.")
        return redirect("reactions:patient", pk)
    return render(request, "reactions/book_course.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
def unbook_course(request: StaffRequest, pk: int) -> HttpResponse:
    course = get_object_or_404(Course.objects.visible_to(request.user).booked(date.min), pk=pk)
    patient = find_patient_to_change(request.user, course.patient_id)
    form = UnbookForm(posted(request))
    if form.is_valid():
        try:
            recording.unbook_course(course, by=request.user, reason=form.cleaned_data["reason"])
        except recording.NotBooked:
            messages.warning(request, "Nothing was changed: the course was given, or taken off, in the meantime.")
        else:
            messages.success(request, f"The booking for {course.planned_for} is taken off.")
        return redirect("reactions:patient", patient.pk)
    return render(request, "reactions/unbook_course.html", {"form": form, "course": course, "patient": patient})
