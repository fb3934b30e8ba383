"""`make bench` of the rates on some hundred infusions: it runs, and all answers are the same to the last digit."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_the_rates_are_measured_and_agree_with_plain_sql_and_duckdb() -> None:
    command = [sys.executable, "-m", "tests.benchmarks", "rates", "--db", "sqlite", "--infusions", "200,400"]
    done = subprocess.run([*command, "--rounds", "1"], cwd=ROOT, capture_output=True, text=True, timeout=400)
    assert done.returncode == 0, done.stdout + done.stderr
    for said in ("sqlite: 4", "of plain SQL", "of DuckDB", "queries a page", "growth of the time"):
        assert said in done.stdout
