"""A drug is written down by the same rules wherever that is done, and what is stored locks nothing."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.test import Client
from django.urls import reverse

from patients.models import Patient
from reactions.models import Infusion, Premedication, Reaction, Treatment
from tests.support.factories import make_infusion
from tests.support.forms import infusion_form, reaction_form

pytestmark = pytest.mark.django_db

START = datetime(2026, 5, 4, 13, tzinfo=UTC)
BOLUS = "Plasma-Lyte (bolus)"


@pytest.fixture
def given(patient: Patient) -> Infusion:
    """An infusion at the time for which the forms are filled in, with no reaction yet."""
    return make_infusion(patient, started_at=START)


def correction(address: str, page: Client) -> dict[str, Any]:
    """What a browser sends when a person opens the correction of a reaction and changes nothing but the reason."""
    entry = page.get(address).context["entry"]
    sent = {"reason": "Outcome known", **_shown(entry.form)}
    for rows in (entry.symptoms, entry.treatments):
        sent |= _shown(rows.management_form)
        for row in rows.forms:
            sent |= _shown(row)
    return sent


def _shown(form: Any) -> dict[str, Any]:
    values = {form.add_prefix(name): form[name].value() for name in form.fields}
    shown = {
        name: form.fields[name.rpartition("-")[2]].prepare_value(value)
        for name, value in values.items()
        if value not in (None, "", False)
    }
    return shown | ({} if "reason" not in form.fields else {"reason": "Outcome known"})


def test_a_name_in_brackets_of_the_chairside_stays_where_its_reaction_is_corrected(
    page: Client, given: Infusion
) -> None:
    page.post(reverse("reactions:record_reaction", args=[given.pk]), reaction_form(resolved_at="", outcome="unknown"))
    reaction = Reaction.objects.get()
    give = reverse("reactions:give_treatment", args=[given.pk])
    typed = {"drug": "other", "other_drug": BOLUS, "dose": "250 mL", "at": "2026-05-04T10:05"}
    page.post(
        give, {f"treatment-{name}": value for name, value in typed.items()} | {"treatment-submission_id": uuid4()}
    )
    bolus = Treatment.objects.get(other_drug=BOLUS)
    assert bolus.reaction == reaction
    address = reverse("reactions:correct_reaction", args=[reaction.pk])
    answer = page.post(address, correction(address, page) | {"outcome": "recovered"})
    assert answer.status_code == 302, re.findall(r'invalid-feedback">(.*?)<', answer.content.decode())
    reaction.refresh_from_db()
    assert (reaction.outcome, Treatment.objects.current().get(other_drug=BOLUS).pk) == ("recovered", bolus.pk)


def test_a_reaction_takes_the_names_that_the_chairside_takes(page: Client, given: Infusion) -> None:
    named = {"treatments-0-drug": "other", "treatments-0-other_drug": BOLUS}
    page.post(reverse("reactions:record_reaction", args=[given.pk]), reaction_form(**named))
    assert Treatment.objects.get().other_drug == BOLUS


def test_a_stored_premedication_locks_no_correction_of_its_infusion(page: Client, given: Infusion) -> None:
    """A log takes a dose without a unit when all parts are there; a form asks for the unit of a new one."""
    stored = {"drug": "other", "other_drug": "Tea (herbal)", "dose": "100", "minutes_before": 30}
    given.premedications.create(**stored)
    address = reverse("reactions:correct_infusion", args=[given.pk])
    row = {f"premedications-0-{name}": str(value) for name, value in stored.items()} | {"premedications-0-route": ""}
    refused = page.post(address, infusion_form(seen_version="1", reason="x", **row | {"premedications-0-dose": "200"}))
    assert "Write the dose as a number with its unit" in refused.content.decode()
    renamed = row | {"premedications-0-other_drug": "Tea (green)"}
    refused = page.post(address, infusion_form(seen_version="1", reason="x", **renamed))
    assert "Write it without brackets" in refused.content.decode()
    assert page.post(address, infusion_form(seen_version="1", reason="x", **row)).status_code == 302
    kept = Premedication.objects.get()
    assert {name: getattr(kept, name) for name in stored} == stored


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ({"drug": "other"}, "Write the drug&#x27;s name."),
        ({"drug": "oxygen", "other_drug": "Air"}, "Choose “Another drug”, or empty this name."),
        ({"drug": "oxygen", "dose": "much"}, "Write the dose as a number with its unit"),
        ({"other_drug": "Air"}, "Choose the drug"),
    ],
)
def test_what_is_unclear_is_refused_wherever_a_drug_is_written(
    page: Client, given: Infusion, typed: dict[str, str], said: str
) -> None:
    blank = {"drug": "", "other_drug": "", "dose": "", "route": ""} | typed
    at = {"at": (START + timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M")}
    chairside = {f"treatment-{name}": value for name, value in (blank | at).items()}
    reaction = reaction_form(**{f"treatments-0-{name}": value for name, value in blank.items()})
    infusion = infusion_form(**{f"premedications-0-{name}": value for name, value in blank.items()})
    for address, data in (
        (reverse("reactions:give_treatment", args=[given.pk]), chairside),
        (reverse("reactions:record_reaction", args=[given.pk]), reaction),
        (reverse("reactions:record_infusion", args=[given.patient_id]), infusion),
    ):
        assert said in page.post(address, data).content.decode(), address
    assert not Treatment.objects.exists()
