"""One source of numbers: whatever is asked, page, file, JSON, printed report and command give the same digits."""

import csv
import io
import json
import random
import re
from datetime import UTC, datetime, timedelta
from urllib.parse import urlencode

import pytest
from django.test import Client
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from pypdf import PdfReader

from patients.models import Clinic, User
from reactions.rates.answer import percent
from reactions.rates.question import INTERVALS, SOURCES, UNITS, WINDOWS, label_of
from tests.support.factories import make_infusion, make_patient, make_reaction
from tests.support.logs import reaction_rates

START = datetime(2026, 3, 2, 14, tzinfo=UTC)
KEYS = ("iga", "premedication")

questions = st.fixed_dictionaries(
    {},
    optional={
        "unit": st.sampled_from(UNITS),
        "interval": st.sampled_from([one for one in INTERVALS if one != "cluster"]),
        "window": st.sampled_from(list(WINDOWS)),
        "source": st.sampled_from(list(SOURCES)),
        "min_grade": st.sampled_from(["2", "3"]),
        "serious": st.just("yes"),
        "first_day": st.sampled_from(["2026-03-01", "2026-04-10"]),
        "last_day": st.sampled_from(["2026-05-15", "2026-07-01"]),
    },
)


@pytest.fixture
def page(client: Client, administrator: User, clinic: Clinic) -> Client:
    """An administrator of a clinic with infusions of every kind."""
    chance = random.Random(20260302)
    for person in range(9):
        patient = make_patient(clinic)
        if person % 3:
            patient.iga_results.create(value=3 * person, measured_on="2026-01-01", created_by=patient.created_by)
        for visit in range(1 + person % 4):
            record = chance.choice(["given", "none", "not_recorded"])
            start = START + timedelta(days=28 * visit)
            infusion = make_infusion(patient, started_at=start, premedication_record=record)
            if record == "given":
                infusion.premedications.create(drug=chance.choice(["acetaminophen", "hydrocortisone"]))
            if chance.random() < 0.4:
                minutes = 60 * chance.choice([1, 3, 9, 60, 100])
                make_reaction(infusion, {"chills": chance.choice([1, 2, 3])}, minutes)
    client.force_login(administrator)
    return client


# The records stay as they are: each example only asks.
@settings(max_examples=8, phases=[Phase.generate], suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(asked=questions)
def test_one_question_has_one_answer(page: Client, asked: dict[str, str]) -> None:
    query = urlencode(asked)
    found = json.loads(page.get(f"/admin/rates.json?{query}").content)
    assert reaction_rates("--by=iga", "--by=premedication", *as_arguments(asked)) == found

    rows = list(csv.DictReader(io.StringIO(page.get(f"/admin/rates.csv?{query}").content.decode())))
    for row, rate in zip(rows, [*found["strata"], dict.fromkeys(KEYS, "all") | found["all"]], strict=True):
        assert {name: row[name] for name in rate} == {name: "" if n is None else str(n) for name, n in rate.items()}

    shown = " ".join(page.get(f"/admin/rates/?{query}").content.decode().split())
    main = re.search(r'aria-label="Rates by IgA status and premedication".*?</table>', shown)[0]
    on_page = re.findall(r"<strong> ?(?:<a[^>]*>)?(\d+/\d+)(?:</a>)? ?</strong> <span>(.*?)</span>", main)
    printed = page.get(f"/admin/rates.pdf?{query}").content
    on_paper = " ".join(" ".join(one.extract_text() for one in PdfReader(io.BytesIO(printed)).pages).split())
    for rate in found["strata"]:
        if rate["total"]:
            counts, bounds = f"{rate['events']}/{rate['total']}", f"{percent(rate['low'])} to {percent(rate['high'])} %"
            assert (counts, f"{percent(rate['rate'])} % ({bounds})") in on_page
            names = f"{label_of('premedication', rate['premedication'])} {counts} ({percent(rate['rate'])} %) {bounds}"
            assert names in on_paper


def as_arguments(asked: dict[str, str]) -> list[str]:
    """The filters of the page as the command has them."""
    names = {"min_grade": "min-grade", "first_day": "from", "last_day": "to"}
    return ["--serious" if name == "serious" else f"--{names.get(name, name)}={value}" for name, value in asked.items()]
