"""The count at the end of `make test` hides nothing."""

import socket
from pathlib import Path

import pytest

from tests.support.everything import Outcome, read_outcome, summary
from tests.support.network import OutsideAddress

REPORT = """<testsuites><testsuite>
  <testcase classname="tests.a" name="test_good"/>
  <testcase classname="tests.a" name="test_left_out"><skipped message="no browser"/></testcase>
  <testcase classname="tests.b" name="test_bad"><failure message="assert 1 == 2"/></testcase>
</testsuite></testsuites>"""


def test_a_skipped_test_makes_the_run_fail_by_name(tmp_path: Path) -> None:
    report = tmp_path / "report.xml"
    report.write_text(REPORT)
    outcome = read_outcome("SQLite", 0, report)
    assert outcome.passed == 1
    assert outcome.not_passed == ("tests.a.test_left_out: no browser", "tests.b.test_bad: assert 1 == 2")
    assert not outcome.is_green


def test_no_report_and_no_test_are_no_success(tmp_path: Path) -> None:
    assert not read_outcome("SQLite", 0, tmp_path / "none.xml").is_green
    assert not Outcome("SQLite", 0, 0, ()).is_green


def test_the_summary_ends_with_the_counts() -> None:
    said = summary([Outcome("SQLite 3", 0, 5, ()), Outcome("PostgreSQL 15", 1, 2, ("tests.a.test_b: no",))], 61.2)
    assert "SQLite 3: 5 passed · PostgreSQL 15: 2 passed" in said
    assert "did not pass on PostgreSQL 15: tests.a.test_b: no" in said
    assert said.splitlines()[-1] == "7 passed, 1 failed"


def test_tests_cannot_reach_another_machine() -> None:
    # 192.0.2.0/24 is set aside for documentation; nothing is sent, since the guard stands before it.
    with pytest.raises(OutsideAddress, match="stay on this machine"):
        socket.create_connection(("192.0.2.1", 80), timeout=1)
