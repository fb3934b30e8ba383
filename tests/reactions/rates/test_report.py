"""The printed report: the page's digits, whole on paper, the same for the same question."""

import io
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from pypdf import PdfReader

from reactions.rates.answer import Rate, RatesTable, percent
from reactions.rates.pictures import lots, over_time, response
from reactions.rates.pictures.drawing import Gallery
from reactions.rates.premedication_words import ComparisonInWords, ComparisonLine
from reactions.rates.question import KEYS, Question
from reactions.rates.report import Report, as_pdf, product_version
from reactions.rates.statistics import cluster_robust, wilson

ASKED_AT = datetime(2026, 5, 4, 10, 5, tzinfo=ZoneInfo("America/New_York"))


def rate(stratum: tuple[object, ...], events: int, total: int) -> Rate:
    if not total:
        return Rate(stratum)
    clustered = cluster_robust([(events, total - 1), (0, 1)])
    return Rate(stratum, events, total, 2, rate=events / total, interval=wilson(events, total), clustered=clustered)


def table(by: tuple[str, ...] = ("iga", "premedication"), **asked: Any) -> RatesTable:
    """Each stratum with counts of its own, the first without infusions."""
    values = [KEYS[key] or ("Privigen", "Octagam 10 %") for key in by]
    strata = [()] if not by else [(value,) for value in values[0]]
    for more in values[1:]:
        strata = [(*stratum, value) for stratum in strata for value in more]
    rates = [rate(stratum, number, 37 * number) for number, stratum in enumerate(strata)] if by else []
    total = rate((), 1, 100_000)
    return RatesTable(Question(by=by, **asked), rates, total, [], ("synthetic",))


def report(**fields: Any) -> Report:
    defaults: dict[str, Any] = {
        "title": "Reaction rates",
        "asked_at": ASKED_AT,
        "filters": [("From", "2026-01-01"), ("Reaction", "Chills, grade 2 or worse")],
        "clinics": ["Synthetic Infusion Clinic"],
        "definitions": ["Unit: infusions with at least one reaction recorded by clinicians."],
        "tables": [table()],
        "version": "0.1.0",
    }
    return Report(**(defaults | fields))


def pages(printed: bytes) -> list[str]:
    return [" ".join(page.extract_text().split()) for page in PdfReader(io.BytesIO(printed)).pages]


def text(printed: bytes) -> str:
    return " ".join(pages(printed))


def test_the_digits_are_those_of_the_page() -> None:
    found = table()
    printed = text(as_pdf(report(tables=[found])))
    for one in (*found.strata[1:], found.all):
        assert f"{one.events}/{one.total} ({percent(one.rate)} %)" in printed
        assert f"{percent(one.interval.low)} to {percent(one.interval.high)} % (wilson)" in printed
        assert f"{percent(one.clustered.interval.low)} to" in printed
    assert "1/100000 (0.00100 %)" in printed
    assert "no infusions" in printed


def test_it_says_what_was_asked_of_whom_when_and_of_which_version() -> None:
    printed = text(as_pdf(report()))
    for words in (
        "Reaction rates",
        "2026-05-04 10:05 America/New_York (UTC-0400)",
        "Synthetic Infusion Clinic",
        "From 2026-01-01",
        "Reaction Chills, grade 2 or worse",
        "Unit: infusions with at least one reaction recorded by clinicians.",
        "IVIGTrack 0.1.0",
        "By IgA status and premedication",
        "Deficient (< 7 mg/dL)",
        "Antipyretic and/or antihistamine",
    ):
        assert words in printed, words


def test_title_language_and_bookmarks_are_for_those_who_listen() -> None:
    reader = PdfReader(io.BytesIO(as_pdf(report(tables=[table(("iga",)), table(("product",))]))))
    assert reader.metadata.title == "Reaction rates"
    assert reader.metadata.producer == "IVIGTrack 0.1.0"
    assert reader.metadata.creation_date == ASKED_AT
    assert reader.trailer["/Root"]["/Lang"] == "en-US"
    assert reader.trailer["/Root"]["/ViewerPreferences"]["/DisplayDocTitle"]
    first, inside = reader.outline
    assert first.title == "Reaction rates"
    assert [mark.title for mark in inside] == ["By IgA status", "By product", "How to read this"]


def test_every_page_has_its_number_and_the_head_of_the_table_that_goes_on() -> None:
    found = pages(as_pdf(report(tables=[table(("iga", "premedication", "first_infusion"))], definitions=[])))
    assert len(found) > 2
    for number, page in enumerate(found, 1):
        assert f"Page {number} of {len(found)}" in page
        assert "95 % interval" in page, page
    # The line of all is there once.
    assert "".join(found).count("1/100000") == 1


def test_the_same_question_gives_the_same_bytes_but_for_the_date() -> None:
    first, again = as_pdf(report(gallery=gallery())), as_pdf(report(gallery=gallery()))
    assert first == again
    assert first != as_pdf(report(gallery=gallery(), asked_at=ASKED_AT.replace(minute=6)))


@pytest.mark.parametrize(
    "name",
    ["Łódź-Żółć", "Þórður Ægisson", "Nguyễn Thị Ánh", "Şerife Iğdır", "Čapek Žižka", "Ñandú ß Å ŉ", "Ioannis Ελλάδα"],
)
def test_names_in_any_latin_script_are_printed(name: str) -> None:
    assert name in text(as_pdf(report(clinics=[name])))


def test_what_the_font_lacks_does_not_break_the_report() -> None:
    printed = text(as_pdf(report(clinics=["Ḁ 北 Klinik\u200b \U0001f600 x"], title="北 title")))
    assert "? Klinik" in printed
    assert "? title" in printed


def gallery() -> Gallery:
    months = [over_time.Month(ASKED_AT.date().replace(day=1, month=number), 2, 30) for number in (1, 2, 3)]
    found = [lots.Lot("SYN-A1 (Privigen)", 3, 60, 9), lots.Lot("SYN-B2 (Privigen)", 3, 30, 7)]
    kinds = [response.Kind("24 hours after", 90, 61, 1)]
    return Gallery(
        (over_time.over_time(months), lots.funnel(found, 6, 90), response.answered(kinds), response.answered([]))
    )


def test_pictures_are_printed_with_their_words_and_numbers() -> None:
    pictures = gallery()
    printed = text(as_pdf(report(gallery=pictures)))
    for picture in pictures.pictures:
        assert picture.title in printed
        assert " ".join(f"{picture.shows} {picture.reading}".split()) in printed
        for words in (picture.empty, *picture.said):
            assert words in printed
        for row in picture.table.rows if picture.table else ():
            assert " ".join(" ".join(row).split()) in printed
        for drawn in picture.wide.texts if picture.wide else ():
            assert drawn.words in printed


def test_premedication_and_silence_are_printed() -> None:
    comparison = ComparisonInWords(
        "Patients are premedicated because they reacted before.",
        "They point opposite ways.",
        "With any 3/60; without 2/40.",
        "No clear difference.",
        "",
        [ComparisonLine("Crude", "all infusions", "1.00 (0.17 to 5.74)", "3/60 against 2/40")],
    )
    asked = replace(rate(("normal",), 3, 60), asked=40, answered=30, silent=27)
    some = RatesTable(Question(by=("iga",)), [asked, Rate(("pending",))], asked, [], ("synthetic",))
    printed = text(as_pdf(report(tables=[], comparison=comparison, with_answers=[some])))
    for words in (
        comparison.premedicated,
        comparison.opposite,
        comparison.groups,
        comparison.in_short,
        "Crude, all infusions 1.00 (0.17",
    ):
        assert words in printed
    assert "Answers and silence, by IgA status" in printed
    assert "IgA normal 30/40 (75.0 %) 5.00 to 50.0 % (3 to 30 of 60)" in printed
    assert "IgA pending nobody was asked" in printed


def test_a_table_without_keys_and_one_by_drug_have_heads() -> None:
    one_drug = RatesTable(
        Question(by=("drug:acetaminophen",)), [rate(("yes",), 1, 9)], rate((), 1, 9), [], ("synthetic",)
    )
    printed = text(as_pdf(report(tables=[table(()), one_drug])))
    assert "How to read" in printed
    assert "By acetaminophen" in printed


def test_without_repeats_there_is_no_column_for_them() -> None:
    found = table(("iga",), unit="patient")
    plain = replace(
        found, strata=[replace(one, clustered=None) for one in found.strata], all=replace(found.all, clustered=None)
    )
    printed = text(as_pdf(report(tables=[plain])))
    assert "Patients with a reaction" in printed
    assert "Allowing for" not in printed


def test_a_moment_without_a_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="zone"):
        as_pdf(report(asked_at=ASKED_AT.replace(tzinfo=None)))


@pytest.mark.parametrize("filters", [[], [("Product", "x" * 400)], [("Clinic", "A very long name " * 60)] * 40])
def test_any_filters_fit_on_the_paper(filters: Sequence[tuple[str, str]]) -> None:
    assert pages(as_pdf(report(filters=filters)))


def test_the_version_is_the_projects() -> None:
    assert product_version() == "0.1.0"
