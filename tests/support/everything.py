"""`make test`: the suite on SQLite and on PostgreSQL, then the journeys in a browser.

`python -m tests.support.everything` starts what the suite needs, and ends with what ran where. A test that was skipped
fails the run, by name: here everything is there, so nothing has a reason to be left out.
"""

import os
import sqlite3
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ET
from dataclasses import dataclass
from pathlib import Path

from tests.support import chromium, postgres

ROOT = Path(__file__).resolve().parents[2]
JOURNEYS = "tests/journeys"
# The process that has nothing left to do takes over tests of the other.
TOGETHER = ("-n", "2", "--dist", "worksteal")


@dataclass(frozen=True)
class Outcome:
    """What one run of pytest came to."""

    where: str
    exit_code: int
    passed: int
    not_passed: tuple[str, ...]

    @property
    def is_green(self) -> bool:
        return self.exit_code == 0 and not self.not_passed and self.passed > 0


def read_outcome(where: str, exit_code: int, report: Path) -> Outcome:
    """Count a JUnit report. Whatever did not plainly pass is named: failed, broken, skipped or expected to fail."""
    if not report.exists():
        return Outcome(where, exit_code or 1, 0, ("(pytest wrote no report)",))
    cases = list(ET.parse(report).iter("testcase"))
    marks = {"failure", "error", "skipped"}
    bad = [case for case in cases if any(child.tag in marks for child in case)]
    names = tuple(f"{case.get('classname')}.{case.get('name')}: {case[0].get('message', '')[:200]}" for case in bad)
    return Outcome(where, exit_code, len(cases) - len(bad), names)


def run_pytest(where: str, *arguments: str, database_url: str) -> Outcome:
    """Run pytest in a process of its own, on a database."""
    print(f"\n── {where} ──", flush=True)
    with tempfile.TemporaryDirectory(prefix="ivigtrack-report-") as folder:
        report = Path(folder) / "report.xml"
        command = [sys.executable, "-m", "pytest", "-q", f"--junitxml={report}", *arguments]
        done = subprocess.run(command, cwd=ROOT, env=os.environ | {"DATABASE_URL": database_url})
        return read_outcome(where, done.returncode, report)


def run_all(browser: str) -> list[Outcome]:
    """The whole suite on SQLite, what touches the database again on PostgreSQL, the journeys on PostgreSQL."""
    suite = [*TOGETHER, "tests", f"--ignore={JOURNEYS}"]
    outcomes = [run_pytest(f"SQLite {sqlite3.sqlite_version}", *suite, database_url="sqlite:///unused-by-tests")]
    with postgres.server() as server:
        where = f"PostgreSQL {server.version}"
        outcomes.append(run_pytest(where, *suite, "--database-only", database_url=server.url))
        where = f"Chromium {chromium.version(browser)}, on {where}"
        outcomes.append(run_pytest(where, *TOGETHER, JOURNEYS, database_url=server.url))
    return outcomes


def summary(outcomes: list[Outcome], seconds: float) -> str:
    """What ran where; last a line in pytest's manner."""
    lines = [f"did not pass on {outcome.where}: {name}" for outcome in outcomes for name in outcome.not_passed]
    lines.append(" · ".join(f"{outcome.where}: {outcome.passed} passed" for outcome in outcomes))
    passed = sum(outcome.passed for outcome in outcomes)
    not_passed = sum(len(outcome.not_passed) for outcome in outcomes)
    return "\n".join([*lines, f"in {seconds:.0f} s", f"{passed} passed, {not_passed} failed"])


def main() -> int:
    """Run everything; the exit code is 0 only when every run had tests and all of them passed."""
    began = time.monotonic()
    try:
        browser = chromium.find_or_install()
    except chromium.NoBrowser as problem:
        print(problem, file=sys.stderr)
        return 1
    outcomes = run_all(browser)
    print(f"\n{summary(outcomes, time.monotonic() - began)}", flush=True)
    return 0 if all(outcome.is_green for outcome in outcomes) else 1


if __name__ == "__main__":
    sys.exit(main())
