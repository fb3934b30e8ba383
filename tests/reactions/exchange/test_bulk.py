"""Rows that come in by the thousand are the rows that `bulk_create` would make."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import IntegrityError, models, transaction
from django.utils import timezone

from patients.models import Clinic, Patient, snapshot
from reactions.exchange.bulk import insert_all
from reactions.models import CheckIn, Reaction, Symptom, Vial
from reactions.models.link import new_link
from tests.support.factories import make_infusion, make_patient


def without_key(record: models.Model) -> dict[str, Any]:
    return {name: value for name, value in snapshot(record).items() if not name.startswith("link_")}


def test_each_kind_of_column_is_written_as_bulk_create_writes_it(clinic: Clinic) -> None:
    infusion = make_infusion(make_patient(clinic))
    assert infusion.ended_at

    def made(kind: str) -> list[Any]:
        nonce, link_hash = new_link()
        assert infusion.ended_at
        return [
            Vial(infusion=infusion, lot='A\t"\\N', grams=Decimal("2.5"), expires_on=infusion.ended_at.date()),
            Reaction(infusion=infusion, created_by=infusion.created_by, is_serious=True, serious_criteria=["death"]),
            CheckIn(
                course=infusion.course,
                infusion=infusion,
                kind=kind,
                due_at=infusion.ended_at,
                closes_at=infusion.ended_at + timedelta(hours=48),
                remind_after=timedelta(hours=24),
                link_nonce=nonce,
                link_hash=link_hash,
            ),
        ]

    for quick, usual in zip(made("same"), made("same_too"), strict=True):
        insert_all(type(quick), [quick])
        type(usual).objects.bulk_create([usual])
        stored, as_ever = (type(quick).objects.get(pk=one.pk) for one in (quick, usual))
        assert without_key(stored) | {"kind": ""} == without_key(as_ever) | {"kind": ""}
        assert stored.pk < as_ever.pk
        if hasattr(stored, "created_at"):
            assert timezone.now() - stored.created_at < timedelta(minutes=1)
    checkin = CheckIn.objects.get(kind="same")
    assert checkin.opens_with(checkin.link_path().split("/")[2])


def test_keys_are_set_and_not_given_out_again(clinic: Clinic) -> None:
    infusion = make_infusion(make_patient(clinic))
    reaction = Reaction(infusion=infusion, created_by=infusion.created_by)
    insert_all(Reaction, [reaction])
    symptoms = [
        Symptom(reaction_id=reaction.pk, term=term, grade=1, ctcae_version="5.0") for term in ("chills", "fever")
    ]
    insert_all(Symptom, symptoms)
    insert_all(Symptom, [])
    assert list(reaction.symptoms.values_list("pk", "term")) == [(one.pk, one.term) for one in symptoms]
    later = Symptom.objects.create(reaction=reaction, term="nausea", ctcae_version="5.0")
    assert later.pk > symptoms[1].pk > symptoms[0].pk


def test_what_the_database_refuses_is_refused_as_ever(clinic: Clinic) -> None:
    known = make_patient(clinic)
    twice = Patient(clinic=clinic, mrn=known.mrn, created_by=known.created_by)
    twice.derive()
    with pytest.raises(IntegrityError), transaction.atomic():
        insert_all(Patient, [twice])
    assert Patient.objects.count() == 1
