"""`make bench` on some hundred infusions: it runs, and all answers to the rates are the same to the last digit."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def bench(*arguments: str) -> str:
    command = [sys.executable, "-m", "tests.benchmarks", *arguments, "--db", "sqlite", "--rounds", "1"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=400)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_rates_are_measured_and_agree_with_plain_sql_and_duckdb() -> None:
    said = bench("rates", "--infusions", "200,400")
    for words in ("sqlite: 4", "of plain SQL", "of DuckDB", "queries a page", "growth of the time"):
        assert words in said


def test_the_search_is_measured_and_finds_whom_it_seeks() -> None:
    assert "a name that nobody has" in bench("search", "--patients", "60")


def test_a_log_is_measured_beside_bare_loads() -> None:
    assert "of the rate of bare bulk_create" in bench("log", "--infusions", "100")
