"""The page, the file and the command: the same numbers for the same records, and each administrator's own clinic."""

import csv
import io
import re
from datetime import UTC, datetime, timedelta

import pytest
from django.core.management import CommandError, call_command
from django.test import Client
from pytest_django import DjangoAssertNumQueries

from patients.models import Clinic, User
from tests.support.factories import make_infusion, make_patient, make_reaction
from tests.support.logs import reaction_rates

PAGE, FILE = "/admin/rates/", "/admin/rates.csv"
START = datetime(2026, 5, 4, 14, tzinfo=UTC)


def fill(clinic: Clinic, patients: int = 6, each: int = 3) -> None:
    """Every second patient is IgA-deficient, every third infusion premedicated, every fourth followed by chills."""
    number = 0
    for person in range(patients):
        patient = make_patient(clinic)
        if person % 2:
            patient.iga_results.create(value=3, measured_on="2026-01-01", created_by=patient.created_by)
        for visit in range(each):
            infusion = make_infusion(patient, started_at=START + timedelta(days=30 * visit))
            if number % 3 == 0:
                infusion.premedication_record = "given"
                infusion.save()
                infusion.premedications.create(drug="acetaminophen")
            if number % 4 == 0:
                make_reaction(infusion)
            number += 1


@pytest.fixture
def page(client: Client, administrator: User) -> Client:
    client.force_login(administrator)
    return client


def from_the_page(html: str) -> dict[tuple[str, str], tuple[str, str]]:
    """{(row, column): (n/N, rate and interval)} of the table's cells with infusions."""
    start = html.index('aria-label="Rates by IgA status and premedication"')
    table = html[start : html.index("</table>", start)]
    columns = [*re.findall(r'<th scope="col">(.*?)</th>', table), "All"]
    cells = {}
    for row in re.findall(r"<tr.*?</tr>", table, re.DOTALL)[2:]:
        name = re.search(r'<th scope="row">(.*?)</th>', row)[1]
        for column, cell in zip(columns, re.findall(r"<td.*?</td>", row, re.DOTALL), strict=True):
            if found := re.search(r"<strong>(?:<a[^>]*>)?([^<]*)(?:</a>)?</strong>\s*<span>(.*?)</span>", cell):
                cells[name, column] = (found[1], found[2])
    return cells


def test_page_file_and_command_show_the_same_numbers(page: Client, clinic: Clinic) -> None:
    fill(clinic)
    command = reaction_rates(f"--clinic={clinic.slug}", "--by=iga", "--by=premedication")
    file = list(csv.DictReader(io.StringIO(page.get(FILE).content.decode())))
    assert [
        (row["iga"], row["premedication"], int(row["events"]), int(row["total"]), row["rate"], row["low"], row["high"])
        for row in file[:-1]
    ] == [
        (s["iga"], s["premedication"], s["events"], s["total"], *("" if s[n] is None else str(s[n]) for n in NUMBERS))
        for s in command["strata"]
    ]
    shown = from_the_page(page.get(PAGE).content.decode())
    labels = {"not_tested": "Not tested", "deficient": "Deficient (&lt; 7 mg/dL)"}
    drugs = {"none": "None", "antipyretic_antihistamine": "Antipyretic and/or antihistamine"}
    filled = [stratum for stratum in command["strata"] if stratum["total"]]
    assert len(filled) == 4
    for s in filled:
        counts, words = shown[labels[s["iga"]], drugs[s["premedication"]]]
        assert counts == f"{s['events']}/{s['total']}"
        assert numbers_in(words) == pytest.approx([s[name] * 100 for name in NUMBERS], rel=0.006, abs=1e-9)
    total = command["all"]
    assert shown["All", "All"][0] == f"{total['events']}/{total['total']}" == "5/18"
    assert sum(s["events"] for s in command["strata"]) == total["events"]
    assert sum(s["total"] for s in command["strata"]) == total["total"]


NUMBERS = ("rate", "low", "high")


def numbers_in(words: str) -> list[float]:
    return [float(number) for number in re.findall(r"\d+(?:\.\d+)?", words)]


def test_rates_of_five_patients_are_drawn_in_full(page: Client, clinic: Clinic) -> None:
    fill(clinic, patients=10)
    chart = re.search(r'<svg class="wide".*?</svg>', page.get(PAGE).content.decode(), re.DOTALL)[0]
    assert "<circle" in chart
    assert "of-few" not in chart


def test_a_stratum_without_infusions_is_shown_without_a_rate(page: Client, clinic: Clinic) -> None:
    fill(clinic)
    html = page.get(PAGE).content.decode()
    for label in ("Not tested", "Pending", "Indeterminate", "Deficient", "Partial", "Normal", "Above range"):
        assert label in html
    assert "no infusions" in html


def test_filters_act(page: Client, clinic: Clinic) -> None:
    fill(clinic)

    def headline(query: str) -> str:
        html = page.get(f"{PAGE}?{query}").content.decode()
        return re.search(r'<p class="headline">.*?<strong>(.*?)</strong>', html, re.DOTALL)[1]

    assert headline("") == "5 of 18"
    assert headline("first_day=2026-05-04&last_day=2026-05-04") == "2 of 6"
    assert headline("product=Privigen") == "5 of 18"
    assert headline("unit=patient") == "5 of 6"
    assert headline("reaction=chills&min_grade=2") == "5 of 18"
    assert headline(f"clinic={clinic.slug}") == "5 of 18"
    assert "Yes" in page.get(f"{PAGE}?premedication=drug:acetaminophen").content.decode()


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("first_day=yesterday", "Enter a valid date"),
        ("first_day=2026-05-05&last_day=2026-05-04", "Exchange them"),
        ("product=Nothing", "not one of the available choices"),
        ("clinic=nowhere", "not one of the available choices"),
        ("clinic=%00", "ull characters are not allowed"),
        ("unit=vial", "not one of the available choices"),
        ("interval=cluster&unit=patient", "another interval"),
        ("min_grade=99", "not one of the available choices"),
        ("premedication=drug:tea", "not one of the available choices"),
    ],
)
def test_a_filter_that_cannot_be_is_answered_clearly(page: Client, clinic: Clinic, query: str, said: str) -> None:
    fill(clinic, 1, 1)
    for address in (PAGE, FILE):
        answer = page.get(f"{address}?{query}")
        assert answer.status_code == 400
        assert said in answer.content.decode()


def test_another_clinics_numbers_are_out_of_reach(page: Client, clinic: Clinic, other_clinic: Clinic) -> None:
    fill(other_clinic)
    for query in ("", "?clinic="):
        assert "No infusions match" in page.get(f"{PAGE}{query}").content.decode()
    assert page.get(f"{PAGE}?clinic={other_clinic.slug}").status_code == 400
    assert page.get(f"{FILE}?clinic={other_clinic.slug}").status_code == 400
    assert other_clinic.name not in page.get(PAGE).content.decode()


def test_the_pages_are_for_administrators(client: Client, nurse: User) -> None:
    for sign_in in (False, True):
        if sign_in:
            client.force_login(nurse)
        for address in (PAGE, FILE):
            assert client.get(address).status_code == 302


def test_more_infusions_ask_no_more_queries(
    page: Client, clinic: Clinic, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    fill(clinic, 2, 2)
    with django_assert_max_num_queries(40) as few:
        page.get(PAGE)
    fill(clinic, 10, 4)
    with django_assert_max_num_queries(len(few)):
        page.get(PAGE)


def test_the_chart_is_drawn_on_the_server_and_named(page: Client, clinic: Clinic) -> None:
    fill(clinic)
    html = page.get(PAGE).content.decode()
    chart = re.search(r'<svg class="wide".*?</svg>', html, re.DOTALL)[0]
    assert 'role="img"' in chart
    assert "aria-label=" in chart
    # Three patients stand behind each.
    assert chart.count("<circle") == chart.count('class="of-few"') == 4
    assert "IgA deficient, no premedication" in chart
    assert "0/3 · 0 % (0 to 56.1 %)" in " ".join(chart.split())


def test_cells_of_the_file_are_no_formulas(page: Client, clinic: Clinic, db: None) -> None:
    fill(clinic, 1, 1)
    patient = clinic.patients.get()
    patient.diagnosis = "=HYPERLINK(1)"
    patient.save()
    said = io.StringIO()
    call_command("reaction_rates", "--by=diagnosis", "--format=csv", stdout=said)
    assert "\n'=HYPERLINK(1)," in said.getvalue()


def test_the_command_as_a_table(clinic: Clinic) -> None:
    fill(clinic)
    said = io.StringIO()
    call_command("reaction_rates", "--by=iga", stdout=said)
    lines = said.getvalue().splitlines()
    deficient = next(line for line in lines if line.startswith("Deficient"))
    total = next(line for line in lines if line.startswith("all"))
    assert re.search(r"2/9\s+22\.2\s", deficient)
    assert re.search(r"5/18\s+27\.8\s", total)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--clinic=nowhere"], "There is no clinic “nowhere”. Clinics: synthetic"),
        (["--product=Nothing"], "There is no product “Nothing”"),
        (["--by=weather"], "Choose iga"),
        (["--reaction=chils"], "Did you mean Chills"),
        (["--from=May"], "Write it like 2026-04-30"),
        (["--unit=vial"], "invalid choice"),
        (["--min-grade=9"], "1 to 5"),
    ],
)
def test_what_the_command_cannot_answer_it_says(clinic: Clinic, arguments: list[str], said: str) -> None:
    with pytest.raises(CommandError, match=said):
        call_command("reaction_rates", *arguments, stdout=io.StringIO())
