"""Fills one database and measures the rates on it, beside their rivals.

`python -m tests.benchmarks.rates_once INFUSIONS ROUNDS` prints what it does to standard error and its figures, as JSON,
to standard output. It fails where two of the answers differ in a digit.
"""

import json
import logging
import math
import os
import re
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import date, datetime, timedelta
from datetime import time as clock
from pathlib import Path
from statistics import median
from typing import Any, TypeVar

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "ivigtrack.settings")
django.setup()

from django.core.management import call_command  # noqa: E402 - Django has to be there first
from django.db import connection  # noqa: E402
from django.test import Client  # noqa: E402
from django.test.utils import CaptureQueriesContext  # noqa: E402
from django.urls import reverse  # noqa: E402
from django.utils import timezone  # noqa: E402

from patients.models import Clinic, Patient, User  # noqa: E402
from reactions.models import Infusion  # noqa: E402
from reactions.rates import keeping  # noqa: E402
from reactions.rates.answer import RatesTable, answer  # noqa: E402
from reactions.rates.dashboard import dashboard  # noqa: E402
from reactions.rates.question import Question  # noqa: E402
from reactions.rates.statistics import cluster_robust_from_sums  # noqa: E402
from tests.benchmarks.multiplying import multiply  # noqa: E402
from tests.benchmarks.rivals import DuckDb, Sums, plain_sql  # noqa: E402
from tests.support.signing_in import let_clients_sign_in  # noqa: E402

INFUSIONS_A_PATIENT = 20
# Treatments that ended in so many years, so that the last twelve months are a part of the whole.
YEARS = 3
# Beyond these, rows are multiplied inside the database: demo_data would take hours.
MOST_BY_DEMO = 1_000_000
KEYS = ("iga", "premedication")
STRATUM = ("normal", "none")
PLAIN, SCANNED = "plain SQL", "DuckDB"
# What takes seconds at most is measured so often in a round.
QUICK = 3
SLOW_S = 60
# The sums of a stratum without infusions.
NOBODY = (0,) * 6

T = TypeVar("T")


@dataclass
class Figures:
    """Seconds by what was measured, of whole history and of the last 12 months; queries by page."""

    vendor: str
    infusions: int
    patients: int
    within_a_year: int
    seconds: dict[str, float]
    queries: dict[str, int]


def main(infusions: int, rounds: int) -> None:
    logging.disable(logging.WARNING)
    call_command("migrate", verbosity=0)
    # The pages name files by what is in them.
    call_command("collectstatic", interactive=False, verbosity=0)
    fill(infusions)
    clinic = Clinic.objects.get(slug="demo")
    with tempfile.TemporaryDirectory(prefix="ivigtrack-bench-") as folder:
        say("copying to DuckDB")
        figures = measure(clinic, DuckDb.copy(clinic, Path(folder)), rounds)
    print(json.dumps(asdict(figures)))


def fill(infusions: int) -> None:
    by_demo = min(infusions, MOST_BY_DEMO)
    patients = max(2, by_demo // INFUSIONS_A_PATIENT)
    say(f"demo_data: {by_demo} infusions, {patients} patients")
    began = time.perf_counter()
    call_command("demo_data", patients=patients, infusions=by_demo, years=YEARS, stdout=sys.stderr)
    say(f"filled in {time.perf_counter() - began:.0f} s")
    # As on a running site: the demo's mails go to the dummy backend, the tables' statistics are there, and what is kept
    # was made by the worker in its turns. What it gives is compared below with plain SQL.
    call_command("tick", stdout=sys.stderr)
    gather_statistics()
    began = time.perf_counter()
    keeping.keep_up(for_s=math.inf)
    say(f"columns made in {time.perf_counter() - began:.0f} s")
    if infusions > by_demo:
        say(f"multiplying the rows by {infusions // by_demo}")
        multiply(infusions // by_demo)
        gather_statistics()


def gather_statistics() -> None:
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE" if connection.vendor == "postgresql" else "ANALYZE")


def measure(clinic: Clinic, copy: DuckDb, rounds: int) -> Figures:
    """In each round plain SQL once and all else QUICK times, and the medians of all rounds.

    A round before them compares the answers, and warms up; what took longer than SLOW_S then is not measured again.
    """
    first_day = timezone.localdate(timezone.now(), clinic.zone) - timedelta(days=365)
    since = datetime.combine(first_day, clock.min, clinic.zone)
    page = Page()
    seconds: dict[str, list[float]] = {}

    def timed(name: str, work: Callable[..., T], *given: Any) -> T:
        began = time.perf_counter()
        done = work(*given)
        seconds.setdefault(name, []).append(time.perf_counter() - began)
        return done

    for number in range(rounds + 1):
        say(f"round {number} of {rounds}")
        for span, day, moment in (("all", None, None), ("12 months", first_day, since)):
            full, narrow = Question(KEYS, first_day=day), Question(KEYS, interval="cluster", first_day=day)
            if number == 0 or seconds[f"{PLAIN}, {span}"][0] < SLOW_S:
                plain = timed(f"{PLAIN}, {span}", plain_sql, clinic, moment)
            for _ in range(QUICK if number else 1):
                scanned = timed(f"{SCANNED}, {span}", copy.answer, moment)
                whole = timed(f"dashboard, {span}", dashboard, full, "premedication", "product", [clinic])
                table = timed(f"answer, {span}", answer, narrow, [clinic])
                listed = timed(f"drill-down page, {span}", page.infusions, day)
            if number == 0:
                same(SCANNED, scanned, plain)
                compare(whole.table, plain)
                compare(table, plain)
                same("drill-down page", listed, plain.get(STRATUM, NOBODY)[2])
    queries = {"drill-down": page.queries_of(page.infusions), "Reaction rates": page.queries_of(page.rates)}
    return Figures(
        vendor=connection.vendor,
        infusions=Infusion.objects.count(),
        patients=Patient.objects.count(),
        within_a_year=Infusion.objects.filter(started_at__gte=since).count(),
        seconds={name: median(times[1:] or times) for name, times in seconds.items()},
        queries=queries,
    )


class Page:
    """The pages as the administrator of the demonstration gets them."""

    def __init__(self) -> None:
        let_clients_sign_in()
        self.client = Client(HTTP_HOST="localhost")
        self.client.force_login(User.objects.get(username="admin"))

    def infusions(self, first_day: date | None = None) -> int:
        """The first page behind one figure. Returns how many infusions it says there are."""
        asked = {"key": list(KEYS), "value": list(STRATUM), "first_day": f"{first_day or ''}"}
        response = self.client.get(reverse("admin:rate_infusions"), asked)
        assert response.status_code == 200, response.status_code
        said = re.search(r"<caption>(\d+) infusion", response.content.decode())
        assert said
        return int(said[1])

    def rates(self) -> None:
        assert self.client.get(reverse("admin:reaction_rates")).status_code == 200

    def queries_of(self, work: Callable[[], object]) -> int:
        with CaptureQueriesContext(connection) as captured:
            work()
        return len(captured)


def compare(table: RatesTable, sums: Sums) -> None:
    """Each stratum has the counts of the plain statement, and to the last digit the interval that follows from them."""
    for rate in (*table.strata, table.all):
        wanted = sums.get(rate.stratum or (None, None), NOBODY)
        same(f"{rate.stratum}", (rate.patients, rate.events, rate.total), wanted[:3])
        same(f"{rate.stratum}", rate.clustered, cluster_robust_from_sums(*wanted) if rate.total else None)


def same(what: str, found: object, wanted: object) -> None:
    assert found == wanted, f"{what} differs from {PLAIN}: {found}, not {wanted}"


def say(words: str) -> None:
    print(f"  {words}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
