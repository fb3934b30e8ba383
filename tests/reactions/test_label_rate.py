"""A rate above the label's maximum while an infusion runs: seen on its page, said when it is saved, never refused."""

from datetime import date, timedelta
from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from patients.models import Patient, User
from reactions.models import Infusion, RateStep
from tests.support.factories import make_infusion, make_reaction
from tests.support.forms import infusion_form

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("no_broker")]

# Privigen for CIDP: 4.8 mL/kg/h, at 70 kg 336 mL/h.
ABOVE = "The rate of 350 mL/h is 5 mL/kg/h, above the label&#x27;s 4.8 mL/kg/h for this product and indication"
SAVED = (
    f"Saved; please check: {ABOVE} (336 mL/h at 70 kg). The product&#x27;s label, as in the clinic&#x27;s product table"
)
NOTICE = f'<p class="mb-1">{ABOVE}'
SOURCE = '<p class="source mb-0">The product&#x27;s label, as in the clinic&#x27;s product table</p>'


@pytest.fixture
def infusion(patient: Patient, nurse: User) -> Infusion:
    """Running for an hour at 42 mL/h, 70 kg, for CIDP, planned up to 400 mL/h."""
    started_at = timezone.now() - timedelta(hours=1)
    running = make_infusion(
        patient, started_at=started_at, ended_at=None, indication="cidp", planned_rate_ml_per_h=Decimal(400)
    )
    running.rate_steps.create(at=started_at, rate_ml_per_h=42, reason="start", created_by=nurse)
    return running


@pytest.fixture
def running(infusion: Infusion) -> str:
    return reverse("reactions:running", args=[infusion.pk])


def send(page: Client, infusion: Infusion, rate: str, **changes: Any) -> Any:
    latest = infusion.rate_steps.latest("at")
    data = {"submission_id": uuid4(), "seen_step": latest.pk, "rate_ml_per_h": rate, "tap": "rate"} | changes
    address = reverse("reactions:change_rate", args=[infusion.pk])
    return page.post(address, {f"step-{name}": value for name, value in data.items()}, follow=True)


def set_rate(infusion: Infusion, rate: int) -> None:
    infusion.rate_steps.update(rate_ml_per_h=rate)


def test_a_step_above_the_label_is_saved_and_said_and_stands_on_the_page(
    page: Client, infusion: Infusion, running: str
) -> None:
    text = send(page, infusion, "350").content.decode()
    assert infusion.rate_steps.latest("at").rate_ml_per_h == 350
    assert SAVED in text
    assert NOTICE in text
    assert SOURCE in text
    assert "that were planned" not in text
    # The message is said once, the notice stays until the rate is lower.
    text = page.get(running).content.decode()
    assert "Saved; please check" not in text
    assert NOTICE in text
    assert NOTICE not in send(page, infusion, "336").content.decode()


@pytest.mark.parametrize("rate", ["84", "336"])
def test_a_step_up_to_the_labels_maximum_is_not_remarked_upon(page: Client, infusion: Infusion, rate: str) -> None:
    text = send(page, infusion, rate).content.decode()
    assert infusion.rate_steps.latest("at").rate_ml_per_h == Decimal(rate)
    assert "above the label" not in text


def test_a_typed_rate_above_the_label_is_remarked_upon_when_it_was_not_saved(page: Client, infusion: Infusion) -> None:
    text = send(page, infusion, "350", at="2150-01-01T10:00").content.decode()
    assert "lies in the future" in text
    assert NOTICE in text
    assert "Saved; please check" not in text
    assert infusion.rate_steps.count() == 1


@pytest.mark.parametrize(
    ("change", "is_above"),
    [({}, True), ({"weight_kg": None}, False), ({"weight_kg": 80}, False), ({"indication": ""}, False)],
)
def test_the_notice_follows_what_is_known(
    page: Client, infusion: Infusion, running: str, change: dict[str, Any], is_above: bool
) -> None:
    set_rate(infusion, 350)
    Infusion.objects.filter(pk=infusion.pk).update(**change)
    assert ("above the label" in page.get(running).content.decode()) is is_above


def test_the_notice_ends_with_the_infusion(page: Client, infusion: Infusion, running: str) -> None:
    """Also where the end was written down without a stop."""
    set_rate(infusion, 350)
    Infusion.objects.filter(pk=infusion.pk).update(ended_at=timezone.now())
    assert "above the label" not in page.get(running).content.decode()


def test_a_table_without_a_limit_for_the_risk_is_said_with_the_usual_maximum(
    page: Client, infusion: Infusion, running: str, nurse: User
) -> None:
    set_rate(infusion, 350)
    assert "holds no limit for patients at risk" not in page.get(running).content.decode()
    infusion.patient.risks.create(factor="diabetes", created_by=nurse)
    assert "(336 mL/h at 70 kg). The table holds no limit for patients at risk" in page.get(running).content.decode()


@pytest.fixture
def lower_at_risk(infusion: Infusion) -> None:
    """The label gives 2 mL/kg/h, at 70 kg 140 mL/h, where there is a risk."""
    infusion.product.rates.filter(indication="cidp").update(at_risk_max_ml_per_kg_h=2)
    set_rate(infusion, 150)


@pytest.mark.usefixtures("lower_at_risk")
def test_a_risk_noted_while_it_runs_lowers_the_maximum(
    page: Client, infusion: Infusion, running: str, nurse: User
) -> None:
    assert "above the label" not in page.get(running).content.decode()
    risk = infusion.patient.risks.create(factor="prior_thrombosis", created_by=nurse)
    text = page.get(running).content.decode()
    assert "above the label&#x27;s 2 mL/kg/h for this product and indication, lowered for patients at risk" in text
    risk.voided_at, risk.voided_by, risk.void_reason = timezone.now(), nurse, "Not so"
    risk.save()
    assert "above the label" not in page.get(running).content.decode()


@pytest.mark.usefixtures("lower_at_risk")
@pytest.mark.parametrize(("born", "is_above"), [(date(1950, 1, 1), True), (date(1990, 1, 1), False), (None, False)])
def test_age_lowers_the_maximum(
    page: Client, infusion: Infusion, running: str, born: date | None, is_above: bool
) -> None:
    infusion.patient.birth_date = born
    infusion.patient.save()
    assert ("above the label&#x27;s 2 mL/kg/h" in page.get(running).content.decode()) is is_above


def test_a_step_corrected_to_above_the_label_is_said(page: Client, infusion: Infusion) -> None:
    first: RateStep = infusion.rate_steps.get()
    at = timezone.localtime(first.at, infusion.zone).strftime("%Y-%m-%dT%H:%M:%S")
    data = {"submission_id": uuid4(), "seen_version": 1, "at": at, "reason": "Misread", "rate_ml_per_h": "350"}
    answer = page.post(reverse("reactions:correct_step", args=[first.pk]), data, follow=True)
    assert SAVED in answer.content.decode()
    assert infusion.rate_steps.get().rate_ml_per_h == 350


def test_a_start_above_the_label_is_said(page: Client, patient: Patient) -> None:
    data = infusion_form(started_at="", start_rate_ml_per_h="350", indication="cidp")
    answer = page.post(reverse("reactions:start_infusion", args=[patient.pk]), data, follow=True)
    assert SAVED in answer.content.decode()
    assert RateStep.objects.get().rate_ml_per_h == 350


def test_the_notice_costs_no_more_queries_whatever_the_history(
    page: Client, infusion: Infusion, running: str, nurse: User
) -> None:
    def queries() -> int:
        with CaptureQueriesContext(connection) as asked:
            assert page.get(running).status_code == 200
        return len(asked)

    infusion.rate_steps.update(reason="pause", rate_ml_per_h=0)
    queries()  # Makes the key of the patient's part of the trail.
    paused = queries()
    infusion.rate_steps.update(reason="start", rate_ml_per_h=350)
    assert (alone := queries()) == paused + 2
    for days in range(1, 6):
        make_reaction(make_infusion(infusion.patient, started_at=infusion.started_at - timedelta(days=days)))
    for factor in ("migraine", "atopy", "diabetes"):
        infusion.patient.risks.create(factor=factor, created_by=nurse)
    assert queries() == alone
