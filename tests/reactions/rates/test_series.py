"""From rows to the pictures: what is counted, in how many queries, and how they stand on the page."""

import re
from datetime import UTC, datetime, timedelta
from xml.etree import ElementTree
from zoneinfo import ZoneInfo

import pytest
from django.db.models import Exists, OuterRef, QuerySet
from django.db.models.functions import Coalesce, TruncDate
from django.template.loader import render_to_string
from pytest_django import DjangoAssertNumQueries

from patients.models import Clinic, Patient
from reactions.models import CheckIn, Infusion, Product, Symptom
from reactions.rates.pictures.drawing import Gallery, Picture
from reactions.rates.series import gallery
from tests.support.factories import make_checkins, make_infusion, make_patient, make_reaction

START = datetime(2026, 5, 4, 14, tzinfo=UTC)
SVG = "{http://www.w3.org/2000/svg}"
SCRIPT = '<script>alert("1")</script>'


def symptoms() -> QuerySet[Symptom]:
    found = Symptom.objects.filter(reaction__voided_at=None, reaction__infusion__voided_at=None)
    return found.annotate(began=Coalesce("onset_at", "reaction__onset_at"))


def infusions() -> QuerySet[Infusion]:
    reacted = Exists(symptoms().filter(reaction__infusion=OuterRef("pk")))
    local_day = TruncDate("started_at", tzinfo=ZoneInfo("America/New_York"))
    return Infusion.objects.counted().annotate(reacted=reacted, local_day=local_day)


def shown(least_patients: int = 0) -> dict[str, Picture]:
    return {
        picture.key: picture for picture in gallery(infusions(), symptoms(), least_patients=least_patients).pictures
    }


def rows(picture: Picture) -> dict[str, tuple[str, ...]]:
    assert picture.table, picture.empty
    return {row[0]: row[1:] for row in picture.table.rows}


def fill(clinic: Clinic, patients: int = 3, visits: int = 4, lot: str = "SYN-A1") -> list[Infusion]:
    """Every patient monthly with the lot, every third infusion with chills 30 minutes after the start."""
    made = []
    for _ in range(patients):
        patient = make_patient(clinic)
        for visit in range(visits):
            infusion = make_infusion(patient, started_at=START + timedelta(days=31 * visit))
            infusion.vials.create(lot=lot, grams=30)
            if len(made) % 3 == 0:
                make_reaction(infusion)
            make_checkins(infusion)
            made.append(infusion)
    return made


def as_page(pictures: Gallery) -> ElementTree.Element:
    """The templates' answer, which is well-formed XML as well."""
    return ElementTree.fromstring(render_to_string("admin/pictures/all.html", {"gallery": pictures}))


def words_of(page: ElementTree.Element) -> str:
    return " ".join(" ".join(page.itertext()).split())


def test_the_earliest_symptom_counts_once_for_its_infusion(infusion: Infusion) -> None:
    late = make_reaction(infusion, {"headache": 1}, minutes=300)
    make_reaction(infusion, {"chills": 2, "fever": 1}, minutes=50)
    late.symptoms.create(term="nausea", ctcae_version="5.0")
    picture = shown()["onset-from-start"]
    assert rows(picture)["30 min"] == ("0/1 (0 %)",)
    assert rows(picture)["1 h"] == ("1/1 (100 %)",)
    assert rows(shown()["onset-from-end"])["During the infusion"] == ("1/1 (100 %)",)


def test_onsets_and_ends_that_are_not_recorded_are_told(patient: Patient) -> None:
    make_reaction(make_infusion(patient, started_at=START), onset_at=None)
    running = make_infusion(patient, started_at=START + timedelta(days=40), ended_at=None)
    make_reaction(running, minutes=20)
    pictures = shown()
    assert rows(pictures["onset-from-start"])["30 min"] == ("1/1 (100 %)",)
    assert pictures["onset-from-start"].said[-1] == "No onset is recorded for 1 of 2 reactions; it is not in the curve."
    assert pictures["onset-from-end"].empty.startswith(
        "No onset, or no end of the infusion, is recorded for 2 reactions"
    )


def test_months_are_those_of_the_clinics_clocks(patient: Patient) -> None:
    """02:00 UTC on the first of June is still May in New York."""
    reacted = make_infusion(patient, started_at=datetime(2026, 6, 1, 2, tzinfo=UTC))
    make_reaction(reacted)
    make_infusion(patient, started_at=datetime(2026, 6, 20, 2, tzinfo=UTC))
    found = rows(shown()["over-time"])
    assert (found["2026-05"][0], found["2026-06"][0]) == ("1/1 (100 %)", "0/1 (0 %)")


def test_an_infusion_counts_for_each_of_its_lots(patient: Patient, product: Product) -> None:
    first, second = (make_infusion(patient, started_at=START + timedelta(days=7 * week)) for week in range(2))
    for lot in ("syn-a", "SYN-A", "SYN-B"):
        first.vials.create(lot=lot, grams=10)
    second.vials.create(lot="SYN-B", grams=30)
    make_infusion(make_patient(patient.clinic), started_at=START)
    make_reaction(first)
    found = rows(shown()["lots"])
    assert found[f"SYN-A ({product.name})"][:2] == ("1/1 (100 %)", "1")
    assert found[f"SYN-B ({product.name})"][:2] == ("1/2 (50.0 %)", "1")
    assert found["Lot not recorded"][:2] == ("0/1 (0 %)", "1")
    assert found["All infusions"][0] == "1/3 (33.3 %)"


def test_who_got_two_products_without_a_lot_is_one_patient(patient: Patient) -> None:
    other = Product.objects.for_infusion().exclude(name="Privigen").first()
    make_infusion(patient, started_at=START)
    make_infusion(patient, started_at=START + timedelta(days=7), product=other)
    make_infusion(make_patient(patient.clinic), started_at=START).vials.create(lot="SYN", grams=30)
    assert rows(shown()["lots"])["Lot not recorded"][:2] == ("0/2 (0 %)", "1")


def test_the_same_lot_text_of_two_products_is_two_lots(patient: Patient) -> None:
    other = Product.objects.for_infusion().exclude(name="Privigen").first()
    for number, product in enumerate((Product.objects.for_infusion().get(name="Privigen"), other)):
        infusion = make_infusion(patient, started_at=START + timedelta(days=number), product=product)
        infusion.vials.create(lot="SAME", grams=30)
    assert {"SAME (Privigen)", f"SAME ({other.name})"} <= set(rows(shown()["lots"]))


def test_only_check_ins_whose_mail_left_are_counted(infusion: Infusion) -> None:
    make_checkins(infusion)
    now = datetime.now(UTC)
    day, three_days, *_ = CheckIn.objects.order_by("due_at")
    CheckIn.objects.filter(pk=day.pk).update(state="answered", sent_at=now, answered_at=now)
    CheckIn.objects.filter(pk=three_days.pk).update(state="sent", sent_at=now)
    picture = shown()["response"]
    assert rows(picture) == {
        day.get_kind_display(): ("1/1 (100 %)", "20.7 to 100 %", "0"),
        three_days.get_kind_display(): ("0/1 (0 %)", "0 to 79.3 %", "1"),
    }


def test_what_is_void_is_in_no_picture(infusion: Infusion) -> None:
    make_reaction(infusion)
    Infusion.objects.filter(pk=infusion.pk).update(
        voided_at=datetime.now(UTC), voided_by=infusion.created_by, void_reason="Synthetic."
    )
    assert all(picture.empty for picture in shown().values())


@pytest.mark.parametrize("least", [0, 2])
def test_the_number_of_queries_does_not_grow(
    clinic: Clinic, django_assert_num_queries: DjangoAssertNumQueries, least: int
) -> None:
    fill(clinic, patients=1, visits=1)
    with django_assert_num_queries(4):
        gallery(infusions(), symptoms(), least_patients=least)
    fill(clinic, patients=4, visits=5, lot="SYN-B2")
    with django_assert_num_queries(4):
        gallery(infusions(), symptoms(), least_patients=least)


def test_little_hidden_is_the_same_as_nothing_hidden(clinic: Clinic) -> None:
    """One patient is enough where one is the least: rows told apart by patients come to the same counts."""
    fill(clinic)
    CheckIn.objects.update(state="sent", sent_at=datetime.now(UTC))
    open_, one = shown(), shown(least_patients=1)
    for key in ("onset-from-start", "over-time", "lots", "response"):
        assert rows(open_[key]) == rows(one[key])


def test_few_patients_are_in_no_picture(clinic: Clinic) -> None:
    fill(clinic, patients=5)
    [lone] = fill(clinic, patients=1, visits=1, lot="RARE-LOT")
    make_infusion(lone.patient, started_at=START + timedelta(days=300))
    pictures = shown(least_patients=5)
    assert "RARE-LOT" not in str(pictures)
    assert not any(label.startswith("2027") for label in rows(pictures["over-time"]))
    # The lone patient's infusions could be had by taking the one other lot from all, so that is not shown either.
    assert pictures["lots"].empty == "Told apart, lots here would rest on fewer than 5 patients, so none is drawn."
    nobody = shown(least_patients=7)
    assert all(picture.empty for picture in nobody.values())
    assert not re.search(r"\d/\d", words_of(as_page(Gallery(tuple(nobody.values())))))


def test_pages_of_nothing_say_so(db: None) -> None:
    page = as_page(gallery(infusions(), symptoms()))
    assert page.findall(".//p[@class='nothing']")
    assert not page.findall(f".//{SVG}svg")
    assert len(page.findall(".//figure")) == 5


def test_each_picture_has_two_drawings_and_a_table_of_the_same_numbers(clinic: Clinic) -> None:
    fill(clinic)
    CheckIn.objects.update(state="sent", sent_at=datetime.now(UTC))
    page = as_page(gallery(infusions(), symptoms()))
    for figure in page.findall(".//figure"):
        drawings = figure.findall(f"{SVG}svg")
        assert [drawing.get("class") for drawing in drawings] == ["wide", "narrow"]
        assert all(drawing.get("role") == "img" and drawing.get("aria-label") for drawing in drawings)
        assert figure.findall("details//td")
        assert figure.findtext("figcaption/h3")
        table = words_of(figure.find("details"))
        for drawing in drawings:
            for counted in re.findall(r"\d+/\d+", words_of(drawing)):
                assert counted in table


def test_names_of_lots_products_and_steps_are_only_words(patient: Patient) -> None:
    product = Product.objects.for_infusion().get(name="Privigen")
    product.pk, product.name = None, SCRIPT
    product.save()
    infusion = make_infusion(patient, product=product, started_at=START)
    infusion.vials.create(lot="<b>&\"'<i>", grams=30)
    make_reaction(infusion)
    make_checkins(infusion)
    CheckIn.objects.update(state="sent", sent_at=datetime.now(UTC), label=SCRIPT)
    page = as_page(gallery(infusions(), symptoms()))
    assert {element.tag.removeprefix(SVG) for element in page.iter()} <= {
        *("section", "figure", "figcaption", "h2", "h3", "p", "svg", "path", "text", "details", "summary", "div"),
        *("table", "caption", "thead", "tbody", "tr", "th", "td"),
    }
    assert f"<B>&\"'<I> ({SCRIPT})" in words_of(page)
    assert not [name for element in page.iter() for name in element.attrib if name.startswith(("on", "style"))]


def test_a_name_as_long_as_can_be_typed_stays_inside_its_drawing(patient: Patient) -> None:
    infusion = make_infusion(patient, started_at=START)
    infusion.vials.create(lot="W" * 20, grams=30)
    make_checkins(infusion)
    CheckIn.objects.update(state="sent", sent_at=datetime.now(UTC), label="W" * 60)
    pictures = shown()
    assert "W" * 60 in rows(pictures["response"])
    assert f"{'W' * 20} (Privigen)" in rows(pictures["lots"])
    drawing = pictures["response"].narrow
    assert drawing
    assert all(len(text.words) <= 44 for text in drawing.texts)


def test_lots_of_products_that_the_table_hides_are_not_told_apart(clinic: Clinic) -> None:
    """The smallest product has company in the table by infusions, and in the funnel by patients: two that differ."""
    first, second, third = Product.objects.for_infusion()[:3]
    for product, lot, patients, visits in ((first, "FEW", 3, 1), (second, "SIX", 6, 1), (third, "FIVE", 5, 3)):
        for _ in range(patients):
            patient = make_patient(clinic)
            for visit in range(visits):
                infusion = make_infusion(patient, started_at=START + timedelta(days=31 * visit), product=product)
                infusion.vials.create(lot=lot, grams=30)
    found = gallery(infusions(), symptoms(), least_patients=5, hidden_products={first.name, second.name})
    [picture] = [one for one in found.pictures if one.key == "lots"]
    assert set(rows(picture)) == {f"FIVE ({third.name})", "Other lots", "All infusions"}
    assert rows(picture)["Other lots"][:2] == ("0/9 (0 %)", "9")
