"""What names a patient is unreadable in the database, is found all the same, and never gets lost with a key."""

from datetime import date
from typing import Any

import pytest
from django.apps import apps
from django.core.exceptions import FieldError
from django.core.management import call_command
from django.db import IntegrityError, connection, transaction
from hypothesis import given
from hypothesis import strategies as st
from pytest_django import DjangoAssertNumQueries, Settings

from patients import rotating
from patients.models import Clinic, FieldKey, Patient, PatientMark
from patients.sealing import keys
from patients.sealing.fields import Sealed, sealed_fields
from patients.sealing.keys import KeysDoNotFit
from patients.sealing.marks import marks_for, marks_of, normal
from reactions.models import Infusion, Reaction
from tests.support.factories import make_infusion, make_patient, make_reaction

OLD, NEW, OTHER = ("old " * 11, "new " * 11, "else" * 11)


def stored(model: type[Any], pk: int) -> dict[str, Any]:
    """The row as the database has it."""
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT * FROM {model._meta.db_table} WHERE id = %s", [pk])  # noqa: S608
        return dict(zip([column[0] for column in cursor.description], cursor.fetchone(), strict=True))


def every_column() -> list[Sealed]:
    return [field for model in apps.get_models() for field in sealed_fields(model)]


@pytest.fixture
def patient(clinic: Clinic) -> Patient:
    return make_patient(
        clinic,
        mrn="SYN-4711",
        given_name="Tessa Bartholomea",
        family_name="Łódź-Synthetic",
        birth_date=date(1961, 2, 28),
        email="tessa@patients.example",
        phone="+1 555 0147",
    )


def test_the_database_holds_tokens_and_the_program_words(patient: Patient) -> None:
    row = stored(Patient, patient.pk)
    for field in sealed_fields(Patient):
        value = getattr(patient, field.name)
        if value:
            assert row[field.column].startswith("gAAAA")
            assert str(value) not in row[field.column]
    again = Patient.objects.get(pk=patient.pk)
    assert (again.mrn, again.family_name, again.birth_date) == ("SYN-4711", "Łódź-Synthetic", date(1961, 2, 28))
    assert again.phone == "+1 555 0147"


def test_what_is_empty_stays_empty_and_what_is_missing_missing(clinic: Clinic) -> None:
    row = stored(Patient, make_patient(clinic, given_name="", birth_date=None, email="").pk)
    assert (row["given_name"], row["birth_date"], row["email"]) == ("", None, "")
    assert Patient.objects.filter(given_name="", birth_date=None).exists()
    assert not Patient.objects.exclude(email="").exists()


def test_two_of_the_same_name_do_not_look_alike(clinic: Clinic) -> None:
    one, two = (stored(Patient, make_patient(clinic, family_name="Twin").pk)["family_name"] for _ in range(2))
    assert one != two


def test_a_value_opens_in_no_other_column(patient: Patient) -> None:
    token = stored(Patient, patient.pk)["given_name"]
    with connection.cursor() as cursor:
        cursor.execute("UPDATE patients_patient SET family_name = %s WHERE id = %s", [token, patient.pk])
    with pytest.raises(KeysDoNotFit, match="family_name"):
        Patient.objects.get(pk=patient.pk)


@pytest.mark.parametrize("how", ["exact", "startswith", "in", "gt", "regex", "icontains"])
@pytest.mark.parametrize("field", every_column(), ids=lambda field: f"{field.model.__name__}.{field.name}")
def test_nobody_compares_tokens(field: Sealed, how: str) -> None:
    value: Any = ["x"] if how == "in" else "x"
    with pytest.raises(FieldError):
        str(field.model.objects.filter(**{f"{field.name}__{how}": value}).query)


@pytest.mark.django_db
@pytest.mark.parametrize("field", every_column(), ids=lambda field: f"{field.model.__name__}.{field.name}")
def test_no_list_is_ordered_by_tokens(field: Sealed) -> None:
    names = {name.lstrip("-").split("__")[-1] for name in field.model._meta.ordering if isinstance(name, str)}
    assert field.name not in names


def test_free_text_is_sealed_too(patient: Patient) -> None:
    infusion = make_infusion(patient, notes="Her cousin Ottoline drove her")
    reaction = make_reaction(infusion, narrative="Ottoline saw hives", treatment="Ottoline held her hand")
    said = f"{stored(Infusion, infusion.pk)} {stored(Reaction, reaction.pk)}"
    assert "Ottoline" not in said
    assert Reaction.objects.get().narrative == "Ottoline saw hives"


def test_a_record_number_is_once_in_a_clinic_though_sealed(patient: Patient, other_clinic: Clinic) -> None:
    with pytest.raises(IntegrityError), transaction.atomic():
        make_patient(patient.clinic, mrn="SYN-4711")
    assert make_patient(other_clinic, mrn="SYN-4711").mrn_digest == patient.mrn_digest
    assert Patient.objects.with_number(["SYN-4711", "none"]).count() == 2


@pytest.mark.parametrize(
    "text",
    [
        "te",
        "Tessa",
        "BARTHOLOMEA",
        "bart",
        "lodz",
        "Łódź",
        "łódź-synth",
        "Synthetic",
        "syn-4711",
        "SYN-47",
        "1961-02-28",
    ],
)
def test_a_patient_is_found_by_beginnings_and_whole_words(patient: Patient, text: str) -> None:
    assert list(Patient.objects.matching(text, [patient.clinic])) == [patient]
    assert list(Patient.objects.matching(f"{text} Tessa", [patient.clinic])) == [patient]


@pytest.mark.parametrize("text", ["essa", "4711", "1961-02", "1961-02-27", "t", "Tessa Smith", "Tessab", "SYN-47112"])
def test_and_by_nothing_else(patient: Patient, text: str) -> None:
    assert not Patient.objects.matching(text, [patient.clinic]).exists()


def test_another_clinic_finds_nobody_and_its_marks_differ(patient: Patient, other_clinic: Clinic) -> None:
    assert not Patient.objects.matching("Tessa", [other_clinic]).exists()
    twin = make_patient(other_clinic, mrn=patient.mrn, given_name=patient.given_name, family_name=patient.family_name)
    marks = [set(PatientMark.objects.filter(patient=one).values_list("mark", flat=True)) for one in (patient, twin)]
    assert marks[0]
    assert not marks[0] & marks[1]


def test_marks_follow_the_name_and_the_clinic(patient: Patient, other_clinic: Clinic) -> None:
    patient.family_name, patient.clinic = "Other", other_clinic
    patient.save()
    assert Patient.objects.matching("oth", [other_clinic]).exists()
    assert not Patient.objects.matching("synthetic", [other_clinic]).exists()
    assert not Patient.objects.matching("tessa", [Clinic.objects.get(slug="synthetic")]).exists()


def test_saving_some_columns_keeps_what_finds_the_patient(patient: Patient) -> None:
    patient.mrn, patient.phone = "SYN-9", "1"
    patient.save(update_fields=["phone"])
    assert Patient.objects.with_number(["SYN-4711"]).exists()
    patient.save(update_fields=["mrn"])
    assert list(Patient.objects.with_number(["SYN-9"])) == [patient]
    assert list(Patient.objects.matching("SYN-9", [patient.clinic])) == [patient]


@pytest.mark.parametrize("column", ["mrn", "given_name", "family_name", "birth_date", "clinic"])
def test_what_marks_are_made_of_is_not_changed_past_them(patient: Patient, column: str) -> None:
    with pytest.raises(TypeError, match=column):
        Patient.objects.update(**{column: getattr(patient, column)})


@given(st.text(min_size=1, max_size=30), st.integers(1, 30))
def test_every_beginning_of_every_name_and_number_is_marked(text: str, length: int) -> None:
    kept = marks_of(1, [text], text, None)
    for word in normal(text).split():
        beginning = word[: max(2, length)]
        assert marks_for(1, beginning) & kept
    assert marks_for(1, text) & kept


def test_some_mark_of_a_patient_finds_no_other_in_a_page_of_one_query(
    patient: Patient, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    with django_assert_num_queries(1):
        assert len(Patient.objects.matching("tessa bartholomea 1961-02-28", [patient.clinic])) == 1


# Keys


def test_a_second_key_opens_what_the_first_one_sealed(settings: Settings) -> None:
    settings.FIELD_KEYS = [OLD]
    token = keys.seal("a", "text")
    settings.FIELD_KEYS = [NEW, OLD]
    assert keys.unseal("a", token) == "text"
    assert not keys.under_first_key("a", token)
    assert keys.under_first_key("a", keys.seal("a", "text"))
    assert len(set(keys.digests("a", "text"))) == 2
    assert keys.digests("a", "text") != keys.digests("b", "text")


@pytest.mark.parametrize("wrong", [[], [""], ["short"], [OLD, "short"]])
def test_a_key_that_is_none_is_refused_in_words(settings: Settings, wrong: list[str]) -> None:
    settings.FIELD_KEYS = wrong
    with pytest.raises(KeysDoNotFit, match="IVIGTRACK_FIELD_KEYS"):
        keys.seal("a", "text")


def test_a_wrong_key_shows_no_token_and_saves_none(patient: Patient, settings: Settings) -> None:
    before = stored(Patient, patient.pk)
    settings.FIELD_KEYS = [OTHER]
    with pytest.raises(KeysDoNotFit) as refused:
        Patient.objects.get(pk=patient.pk)
    assert "gAAAA" not in str(refused.value)
    with pytest.raises(KeysDoNotFit, match=FieldKey.objects.get().fingerprint):
        rotating.check_keys()
    with pytest.raises(KeysDoNotFit):
        call_command("rotate_keys")
    assert stored(Patient, patient.pk) == before
    assert FieldKey.objects.count() == 1


def test_a_new_key_is_noted_when_it_is_first_met(patient: Patient, settings: Settings) -> None:
    old = settings.FIELD_KEYS
    settings.FIELD_KEYS = [NEW, *old]
    rotating.check_keys()
    rotating.check_keys()
    assert set(FieldKey.objects.values_list("fingerprint", flat=True)) == set(keys.fingerprints())
    settings.FIELD_KEYS = old
    with pytest.raises(KeysDoNotFit):
        rotating.check_keys()


def test_rotation_seals_everything_anew_and_lets_the_old_key_go(patient: Patient, settings: Settings) -> None:
    infusion = make_infusion(patient, notes="Her cousin Ottoline drove her")
    settings.FIELD_KEYS = [NEW, *settings.FIELD_KEYS]
    call_command("rotate_keys")
    settings.FIELD_KEYS = [NEW]
    rotating.check_keys()
    assert Patient.objects.get(pk=patient.pk).family_name == "Łódź-Synthetic"
    assert list(Patient.objects.matching("tessa syn-4711", [patient.clinic])) == [patient]
    assert list(Patient.objects.with_number(["SYN-4711"])) == [patient]
    assert Infusion.objects.get(pk=infusion.pk).notes == "Her cousin Ottoline drove her"


def test_rotation_can_be_stopped_and_begun_again(
    patient: Patient, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_infusion(patient, notes="Her cousin Ottoline drove her")
    for number in range(4):
        make_patient(patient.clinic, mrn=f"SYN-{number}")
    monkeypatch.setattr(rotating, "TOGETHER", 2)
    settings.FIELD_KEYS = [NEW, *settings.FIELD_KEYS]
    held, seen = rotating._save_patients, []

    def stop_at_the_second(pks: list[int]) -> None:
        seen.append(pks)
        if len(seen) == 2:
            raise KeyboardInterrupt
        held(pks)

    monkeypatch.setattr(rotating, "_save_patients", stop_at_the_second)
    with pytest.raises(KeyboardInterrupt):
        rotating.rotate()
    assert len(Patient.objects.matching("synthetic", [patient.clinic])) >= 1
    assert len(Patient.objects.with_number([f"SYN-{number}" for number in range(4)])) == 4
    monkeypatch.setattr(rotating, "_save_patients", held)
    call_command("rotate_keys")
    settings.FIELD_KEYS = [NEW]
    assert len(Patient.objects.all()) == 5
    assert [infusion.notes for infusion in Infusion.objects.all()] == ["Her cousin Ottoline drove her"]


def test_what_is_written_while_keys_rotate_is_not_written_over(
    patient: Patient, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    infusion = make_infusion(patient, notes="Before")
    settings.FIELD_KEYS = [NEW, *settings.FIELD_KEYS]
    resealed = rotating._seal_rows

    def somebody_writes(fields: Any, table: str, key: str, rows: list[Any]) -> None:
        if table == '"reactions_infusion"':
            Infusion.objects.filter(pk=infusion.pk).update(notes="Meanwhile")
        resealed(fields, table, key, rows)

    monkeypatch.setattr(rotating, "_seal_rows", somebody_writes)
    rotating.rotate()
    assert Infusion.objects.get(pk=infusion.pk).notes == "Meanwhile"


def test_a_value_that_no_key_opens_stops_rotation_and_keeps_the_keys(patient: Patient, settings: Settings) -> None:
    infusion = make_infusion(patient, notes="Before")
    with connection.cursor() as cursor:
        cursor.execute("UPDATE reactions_infusion SET notes = 'gAAAAnothing' WHERE id = %s", [infusion.pk])
    settings.FIELD_KEYS = [NEW, *settings.FIELD_KEYS]
    with pytest.raises(KeysDoNotFit, match=r"reactions\.infusion\.notes"):
        rotating.rotate()
    assert FieldKey.objects.count() == 2
