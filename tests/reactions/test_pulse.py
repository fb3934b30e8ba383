"""Which of the parts keeps mail from going out, and how that is told."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from reactions.pulse import Cause, Pulse, judge

NOW = datetime(2026, 3, 1, 14, 30, tzinfo=UTC)


def ago(minutes: float) -> datetime:
    return NOW - timedelta(minutes=minutes)


def pulse(**seen: Any) -> Pulse:
    """All is well, but for what is given."""
    fine = {"first_seen_at": ago(600), "scheduled_at": ago(0.5), "began_at": ago(0.5), "done_at": ago(0.5)}
    return Pulse(**({"now": NOW} | fine | seen))


@pytest.mark.parametrize(
    ("seen", "cause", "since"),
    [
        ({}, Cause.FINE, None),
        ({"scheduled_at": ago(3), "done_at": ago(3)}, Cause.FINE, None),
        ({"scheduled_at": ago(4)}, Cause.SCHEDULER, ago(4)),
        ({"scheduled_at": ago(25), "began_at": ago(26), "done_at": ago(26)}, Cause.SCHEDULER, ago(26)),
        ({"scheduled_at": ago(25), "began_at": ago(40), "done_at": ago(40)}, Cause.BOTH, ago(40)),
        ({"scheduled_at": None}, Cause.SCHEDULER, ago(600)),
        ({"began_at": ago(25), "done_at": ago(25)}, Cause.WORKER, ago(25)),
        ({"done_at": ago(25)}, Cause.FAILING, ago(25)),
        ({"began_at": None, "done_at": None}, Cause.WORKER, ago(600)),
        # It has just been started: the first tick is not over yet.
        ({"first_seen_at": ago(1), "began_at": ago(1), "done_at": None}, Cause.FINE, None),
        ({"mail_failing_since": ago(25), "mail_trouble": "421 Later"}, Cause.MAIL_SERVER, ago(25)),
        ({"mail_failing_since": ago(2)}, Cause.FINE, None),
        ({"oldest_mail_since": ago(11), "waiting": 300}, Cause.BACKLOG, ago(11)),
        ({"oldest_mail_since": ago(9), "waiting": 300}, Cause.FINE, None),
        # A check-in that waits for the end of the patient's night is nobody's failure.
        ({"oldest_since": ago(300), "waiting": 1}, Cause.FINE, None),
        ({"stopped": "Restored."}, Cause.STOPPED, ago(0.5)),
        # A web host without an id of its own believes a sender that is at work.
        ({"stopped": "None of its own.", "knows_no_id": True}, Cause.FINE, None),
        ({"stopped": "None of its own.", "knows_no_id": True, "done_at": ago(9)}, Cause.STOPPED, ago(9)),
        ({"senders_trouble": "Restored.", "done_at": None}, Cause.STOPPED, None),
        ({"senders_trouble": "A second host has no id.", "done_at": ago(1)}, Cause.FINE, None),
    ],
)
def test_the_cause_is_the_first_part_that_fails(seen: dict[str, Any], cause: Cause, since: datetime | None) -> None:
    found = judge(pulse(**seen))
    assert (found.cause, found.since) == (cause, since)
    assert found.is_ready == (cause == Cause.FINE)


def test_a_new_installation_is_no_alarm_until_something_is_due_and_late() -> None:
    new = judge(Pulse(now=NOW))
    assert (new.cause, new.is_ready) == (Cause.NOT_YET, True)
    assert new.in_words(str) == "The sending of check-ins has not run yet. Nothing is waiting."
    assert judge(Pulse(now=NOW, waiting=1, oldest_since=ago(2))).is_ready
    late = judge(Pulse(now=NOW, waiting=2, oldest_since=ago(4)))
    assert not late.is_ready
    assert late.in_words(str) == "The sending of check-ins has not run yet. 2 are waiting."


@pytest.mark.parametrize(
    ("seen", "words"),
    [
        (
            {"began_at": ago(25), "done_at": ago(25), "waiting": 12},
            "Check-ins have not been going out since 14:05 (worker not seen). 12 are waiting.",
        ),
        (
            {"scheduled_at": ago(25), "waiting": 1},
            "Check-ins have not been going out since 14:05 (scheduler or broker not seen). 1 is waiting.",
        ),
        (
            {"mail_failing_since": ago(25), "mail_trouble": "421 Later", "waiting": 3, "alerts": 1},
            "Check-ins have not been going out since 14:05 (the mail server does not take mail: 421 Later). "
            "3 are waiting, 1 of them an alert to staff.",
        ),
        (
            {"oldest_mail_since": ago(25), "waiting": 300, "alerts": 2},
            "Check-ins are going out late: the oldest mail has been waiting since 14:05. "
            "300 are waiting, 2 of them alerts to staff.",
        ),
        (
            {"stopped": "Another host's.", "done_at": None},
            "Check-ins have not been going out so far. Another host's. Nothing is waiting.",
        ),
        ({}, ""),
    ],
)
def test_the_words_say_since_when_why_and_how_many_wait(seen: dict[str, Any], words: str) -> None:
    assert judge(pulse(**seen)).in_words(lambda moment: f"{moment:%H:%M}") == words
