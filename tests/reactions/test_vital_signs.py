"""Vital signs belong to their infusion: what lies a day before its start is a slip in the date."""

from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from patients.models import User
from reactions import recording
from reactions.models import Infusion, Vitals

pytestmark = pytest.mark.django_db

SAID = "This lies more than 24 hours before the infusion started. Check the date."


@pytest.fixture
def baseline(infusion: Infusion) -> Vitals:
    return infusion.vitals.create(
        at=infusion.started_at - timedelta(minutes=10), heart_rate_per_min=72, created_by=infusion.created_by
    )


def typed(infusion: Infusion, at: datetime) -> str:
    return timezone.localtime(at, infusion.zone).strftime("%Y-%m-%dT%H:%M")


def measure(page: Client, infusion: Infusion, at: datetime) -> Any:
    data = {"vitals-heart_rate_per_min": "80", "vitals-at": typed(infusion, at), "vitals-submission_id": uuid4()}
    return page.post(reverse("reactions:add_vitals", args=[infusion.pk]), data)


@pytest.mark.parametrize("before", [timedelta(hours=24, minutes=1), timedelta(days=3650)])
def test_vital_signs_of_another_day_are_refused_beside_their_time(
    page: Client, infusion: Infusion, before: timedelta
) -> None:
    answer = measure(page, infusion, infusion.started_at - before)
    assert answer.context["vitals_form"].errors["at"] == [SAID]
    shown = answer.content.decode()
    assert SAID in shown
    assert 'name="vitals-heart_rate_per_min" value="80"' in shown
    assert not Vitals.objects.exists()


def test_a_baseline_of_the_day_before_is_taken(page: Client, infusion: Infusion) -> None:
    at = infusion.started_at.replace(second=0, microsecond=0) - timedelta(hours=23)
    assert measure(page, infusion, at).status_code == 302
    assert Vitals.objects.get().at == at


def test_a_correction_moves_no_vital_signs_to_another_day(page: Client, infusion: Infusion, baseline: Vitals) -> None:
    at = typed(infusion, infusion.started_at - timedelta(days=1000))
    data = {"heart_rate_per_min": "72", "at": at, "reason": "Clock", "seen_version": "1"}
    answer = page.post(reverse("reactions:correct_vitals", args=[baseline.pk]), data)
    assert answer.context["form"].errors["at"] == [SAID]
    assert Vitals.objects.get().at == baseline.at


def test_nothing_records_vital_signs_of_another_day(infusion: Infusion, baseline: Vitals, nurse: User) -> None:
    """Whoever calls the verb: the start may have been corrected while the form was open."""
    at, values = infusion.started_at - timedelta(hours=25), {"heart_rate_per_min": 72}
    with pytest.raises(recording.MeasuredTooEarly, match="24 hours"):
        recording.record_vitals(infusion, by=nurse, at=at, values=values, submission_id=uuid4())
    with pytest.raises(recording.MeasuredTooEarly, match="24 hours"):
        recording.correct_vitals(baseline, by=nurse, details=values | {"at": at}, reason="x", seen_version=1)
    assert [(row.at, row.version) for row in Vitals.objects.all()] == [(baseline.at, 1)]
