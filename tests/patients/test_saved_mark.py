"""Which answers tell the browser that a form is saved and its draft can go."""

from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from patients.access import SAVED_COOKIE
from patients.models import Patient, User

pytestmark = pytest.mark.django_db


def void(page: Client, patient: Patient, reason: str) -> tuple[int, str | None]:
    """Status, and what the answer marks as saved."""
    page.cookies.pop(SAVED_COOKIE, None)
    address = reverse("reactions:void_patient", args=[patient.pk])
    answer: Any = page.post(address, {"reason": reason, "seen_version": patient.version})
    mark = answer.cookies.get(SAVED_COOKIE)
    return answer.status_code, mark.value if mark else None


def test_what_is_saved_is_marked_and_what_is_refused_or_turned_away_is_not(
    client: Client, nurse: User, patient: Patient
) -> None:
    assert void(client, patient, "Twice") == (302, None)
    client.force_login(nurse)
    assert void(client, patient, "") == (200, None)
    assert void(client, patient, "Twice") == (302, reverse("reactions:void_patient", args=[patient.pk]))


def test_opening_a_page_marks_nothing(client: Client, nurse: User) -> None:
    client.force_login(nurse)
    assert SAVED_COOKIE not in client.get(reverse("home")).cookies
