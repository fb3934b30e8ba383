"""A patient's risks and history: what is ticked, what the safety card makes of it."""

from datetime import date
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from pytest_django.fixtures import DjangoAssertNumQueries

from patients.models import AuditEvent, Patient, User
from reactions import recording, safety
from reactions.clinical.risk_factors import RISK_FACTORS, RiskFactor
from reactions.models import Infusion, PatientRisk
from reactions.vocabulary import HistoryFact

pytestmark = pytest.mark.django_db


@pytest.fixture
def risks(patient: Patient) -> str:
    return reverse("reactions:set_risks", args=[patient.pk])


def noted(patient: Patient) -> dict[str, str]:
    return dict(patient.risks.current().values_list("factor", "note"))


def seen(page: Client, risks: str) -> dict[str, Any]:
    """What the page has in its hidden field."""
    return {"seen": page.get(risks).context["form"]["seen"].value()}


def test_every_factor_and_fact_can_be_ticked_but_age(page: Client, risks: str, patient: Patient) -> None:
    form = page.get(risks).context["form"]
    assert set(form.codes) == (set(RISK_FACTORS) - {RiskFactor.AGE_OVER_65}) | set(HistoryFact)
    laid_out = [row.tick.name for group in form.fieldsets() for row in group.rows]
    assert sorted(laid_out) == sorted(form.codes)


def test_ticks_are_noted_and_shown(page: Client, risks: str, patient: Patient) -> None:
    data = {"prior_thrombosis": "on", "prior_thrombosis_note": "DVT 2019", "severe_ig_reaction_elsewhere": "on"}
    assert page.post(risks, data | seen(page, risks)).url == reverse("reactions:patient", args=[patient.pk])
    assert noted(patient) == {"prior_thrombosis": "DVT 2019", "severe_ig_reaction_elsewhere": ""}
    text = page.get(reverse("reactions:patient", args=[patient.pk])).content.decode()
    assert "Earlier thrombosis, in a vein or an artery: DVT 2019" in text
    assert "Anaphylactic or severe systemic reaction to immune globulin, elsewhere" in text
    assert AuditEvent.objects.filter(act="risk.noted").count() == 2
    form = page.get(risks).context["form"]
    assert form["prior_thrombosis"].value() is True
    assert form["prior_thrombosis_note"].value() == "DVT 2019"


def test_what_is_unticked_is_voided_and_a_changed_note_replaced(page: Client, risks: str, patient: Patient) -> None:
    page.post(risks, {"migraine": "on", "diabetes": "on", "sepsis": "on"})
    page.post(risks, {"migraine": "on", "diabetes": "on", "diabetes_note": "Type 2"} | seen(page, risks))
    assert noted(patient) == {"migraine": "", "diabetes": "Type 2"}
    gone = PatientRisk.objects.exclude(voided_at=None).order_by("factor").values_list("factor", "void_reason")
    assert list(gone) == [("diabetes", "The note was changed."), ("sepsis", "It no longer holds.")]


@pytest.mark.parametrize(
    ("data", "field", "said"),
    [
        ({"hypersensitivity": "on", "no_hypersensitivity": "on"}, "no_hypersensitivity", "Tick one of the two"),
        ({"diabetes_note": "Type 2"}, "diabetes_note", "Tick it too, or empty this note"),
        ({"diabetes": "on", "diabetes_note": "x" * 301}, "diabetes_note", "at most 300 characters"),
    ],
)
def test_what_contradicts_itself_is_refused_beside_its_field(
    page: Client, risks: str, patient: Patient, data: dict[str, str], field: str, said: str
) -> None:
    answer = page.post(risks, data | {"atopy": "on", "atopy_note": "kept words"})
    assert said in answer.context["form"].errors[field][0]
    assert f'id="id_{field}_error"' in answer.content.decode()
    assert "kept words" in answer.content.decode()
    assert noted(patient) == {}


def test_a_stale_save_shows_both_versions_and_writes_nothing(page: Client, risks: str, patient: Patient) -> None:
    before = seen(page, risks)
    page.post(risks, {"migraine": "on", "migraine_note": "With aura"} | before)
    refused = page.post(risks, {"atopy": "on"} | before)
    assert refused.status_code == 409
    assert "<td>With aura</td>" in refused.content.decode()
    assert [(d.label, d.stored, d.typed) for d in refused.context["differences"]] == [
        ("History of migraine (aseptic meningitis)", "yes", "no"),
        ("Note on “History of migraine (aseptic meningitis)”", "With aura", "empty"),
        ("Allergies or atopy", "no", "yes"),
    ]
    assert noted(patient) == {"migraine": "With aura"}
    again = {"seen": refused.context["form"]["seen"].value()}
    assert page.post(risks, {"atopy": "on"} | again).status_code == 302
    assert noted(patient) == {"atopy": ""}


def test_sent_twice_is_noted_once(page: Client, risks: str, patient: Patient) -> None:
    data = {"migraine": "on"}
    page.post(risks, data)
    assert page.post(risks, data).status_code == 409
    assert PatientRisk.objects.count() == 1


@pytest.mark.parametrize("nonsense", ["x", "-1", "9" * 40, "1 2 3", "\0"])
def test_a_hidden_field_full_of_nonsense_overwrites_nothing(
    page: Client, risks: str, patient: Patient, nurse: User, nonsense: str
) -> None:
    recording.set_risks(patient, by=nurse, factors={"migraine": ""}, now=timezone.now())
    assert page.post(risks, {"seen": nonsense}).status_code in {200, 409}
    assert noted(patient) == {"migraine": ""}


@pytest.mark.parametrize(
    ("born", "said"),
    [(date(1950, 1, 1), "Older than 65: 7"), (date(1990, 1, 1), "Nothing is noted"), (None, "Nothing is noted")],
)
def test_age_follows_from_the_birth_date(
    page: Client, risks: str, patient: Patient, born: date | None, said: str
) -> None:
    patient.birth_date = born
    patient.save()
    assert said in page.get(reverse("reactions:patient", args=[patient.pk])).content.decode()
    assert page.get(risks).status_code == 200


def test_the_safety_card_reads_what_is_noted(page: Client, risks: str, infusion: Infusion) -> None:
    page.post(risks, {"prior_thrombosis": "on", "hypersensitivity": "on", "severe_ig_reaction_elsewhere": "on"})
    facts = safety.facts_before(infusion, now=timezone.now())
    assert RiskFactor.PRIOR_THROMBOSIS in facts.risk_factors
    assert (facts.history_of_hypersensitivity, facts.prior_severe_ig_reaction) == (True, True)
    page.post(risks, {"no_hypersensitivity": "on"} | seen(page, risks))
    facts = safety.facts_before(infusion, now=timezone.now())
    assert (facts.history_of_hypersensitivity, facts.prior_severe_ig_reaction) == (False, False)


def test_the_form_asks_the_same_queries_whatever_is_noted(
    page: Client, risks: str, patient: Patient, nurse: User, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    with django_assert_max_num_queries(18) as one:
        page.get(risks)
    factors = {str(code): "Synthetic" for code in RISK_FACTORS if code != RiskFactor.AGE_OVER_65}
    recording.set_risks(patient, by=nurse, factors=factors, now=timezone.now())
    with django_assert_max_num_queries(len(one)):
        page.get(risks)
