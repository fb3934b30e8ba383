"""Counts printed in published studies, through the same commands as a clinic's own log.

tests/data/published_series.csv names each study. A study's series become one log: so many infusions with a reaction, in
so many patients where the study says so.
"""

import csv
from collections.abc import Iterator
from datetime import datetime, timedelta
from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_UP, Decimal
from itertools import groupby
from pathlib import Path

import pytest

from tests.support.logs import import_log, reaction_rates, write_log

FILE = Path(__file__).resolve().parents[1] / "data" / "published_series.csv"
Series = dict[str, str]
STUDIES: dict[str, list[Series]] = {
    study: list(series)
    for study, series in groupby(
        csv.DictReader(FILE.read_text(encoding="utf-8").splitlines()), key=lambda series: series["study"]
    )
}
PREMIER = "Premier 2009-18 anaphylaxis"
PREMIER_GROUPS = {"under 18": "premier-under-18", "18 or older or unknown": "premier-18-or-older"}
FIRST_START = datetime(2009, 1, 5, 9)
INFUSIONS_OF_A_PATIENT = 20


def log_of(
    events: int, total: int, patients: int, reacting: int, reaction: str = "chills:1@30"
) -> Iterator[dict[str, str]]:
    """`total` infusions of `patients`, `events` of them with the reaction, in `reacting` of the patients."""
    left = [events // reacting + (number < events % reacting) for number in range(reacting)]
    for number in range(total):
        patient, visit = number % patients, number // patients
        started_at = FIRST_START + timedelta(days=28 * visit)
        has_reaction = patient < reacting and visit < left[patient]
        yield {
            "patient": f"SYN-{patient:06}",
            "product": "Privigen",
            "dose_g": "30",
            "started_at": f"{started_at:%Y-%m-%dT%H:%M}",
            "ended_at": f"{started_at + timedelta(hours=4):%Y-%m-%dT%H:%M}",
            "reactions": reaction if has_reaction else "none",
        }


def check(series: Series, *arguments: str) -> None:
    """The command gives the study's numbers, to the digits that it prints."""
    rates = reaction_rates(*arguments, f"--unit={series['unit']}", f"--interval={series['interval'] or 'wilson'}")[
        "all"
    ]
    assert (rates["events"], rates["total"]) == (int(series["events"]), int(series["total"]))
    outward = series["interval"] == "poisson"  # The Premier study rounds its bounds away from the rate.
    bounds = {
        "rate": ROUND_HALF_UP,
        "low": ROUND_FLOOR if outward else ROUND_HALF_UP,
        "high": ROUND_CEILING if outward else ROUND_HALF_UP,
    }
    for name, rounding in bounds.items():
        printed = series["published_percent" if name == "rate" else f"published_{name}"]
        if printed:
            ours = Decimal(rates[name]) * 100
            assert ours.quantize(Decimal(printed), rounding) == Decimal(printed), (series, name, ours)


@pytest.mark.parametrize("study", [study for study in STUDIES if study != PREMIER])
def test_a_published_series_is_reproduced(db: None, tmp_path: Path, study: str) -> None:
    infusions, *patients = STUDIES[study]
    events, total = int(infusions["events"]), int(infusions["total"])
    reacting, people = (
        (int(patients[0]["events"]), int(patients[0]["total"]))
        if patients
        else (events, max(events, total // INFUSIONS_OF_A_PATIENT))
    )
    file = write_log(tmp_path / "log.csv", log_of(events, total, people, reacting))
    import_log(file, "published", create_clinic=True)
    for series in STUDIES[study]:
        check(series, "--clinic=published")


def test_the_series_of_the_premier_hospitals_is_reproduced(db: None, tmp_path: Path) -> None:
    by_group = {series["group"]: series for series in STUDIES[PREMIER]}
    for group, clinic in PREMIER_GROUPS.items():
        events, total = int(by_group[group]["events"]), int(by_group[group]["total"])
        rows = log_of(events, total, total // INFUSIONS_OF_A_PATIENT, events, "anaphylaxis:3@20")
        import_log(write_log(tmp_path / f"{clinic}.csv", rows), clinic, create_clinic=True)
        check(by_group[group], f"--clinic={clinic}", "--reaction=anaphylaxis")
    check(by_group["all administrations"], "--reaction=anaphylaxis")
