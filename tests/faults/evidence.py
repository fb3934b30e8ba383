"""What a round leaves behind, read once it is over: from the sink's record, the database and the list of faults.

Times are seconds since the epoch on this machine's clock, which every process of a round shares.
"""

from dataclasses import dataclass, field

# What each kind of fault may cost, as the judge sees it. After a kill or a stop nobody can know whether the mail server
# took the mail that was under way; nothing else may lead to a second copy.
KILLS = frozenset({"worker", "child", "smtp", "postgres", "web"})
STOPS = frozenset({"stop"})
# The server keeps the mail and hangs up, or says nothing more: one second copy each, which no sender can avoid.
SILENCES = frozenset({"drop", "hang"})
GENTLE = frozenset({"term", "beat", "second-beat", "second-worker", "broker", "broker-wiped", "clock"})


@dataclass(frozen=True)
class Copy:
    """A mail that the sink stored. `answer` is what the sender heard: 250, or nothing (“drop”, “hang”)."""

    at: float
    message_id: str
    recipient: str
    link: str
    answer: str = "250"


@dataclass(frozen=True)
class Fault:
    """Something that went wrong. `healed_at` is when everything it touched was of use again."""

    kind: str
    at: float
    healed_at: float


@dataclass(frozen=True)
class Row:
    """An outbox row as it stands after the round, and its check-in where it is about one."""

    message_id: str
    state: str
    attempts: int
    in_doubt: bool
    checkin: int | None = None


@dataclass(frozen=True)
class CheckInRow:
    """A check-in that was due in the round, as it stands after it. `link` is the hash of its token.

    `recorded_at` is when the product said that its infusion is recorded, which can be after the due time where people
    come to write it down late.
    """

    pk: int
    state: str
    due_at: float
    closes_at: float
    link: str
    recipient: str
    recorded_at: float = 0.0

    @property
    def could_leave_at(self) -> float:
        return max(self.due_at, self.recorded_at)


@dataclass(frozen=True)
class CalledOff:
    """Somebody answered, voided the infusion or took back the consent: begun at, and known to be stored at."""

    checkin: int
    why: str
    begun_at: float
    stored_at: float


@dataclass(frozen=True)
class Acknowledged:
    """An infusion that the product said was recorded, and how many check-ins it has in the database (None: no row)."""

    submission: str
    checkins: int | None


@dataclass(frozen=True)
class Limits:
    """The product's times in this round, in seconds. `slack_s` is for a busy machine: starts, and one mail's way."""

    lease_s: float
    tick_s: float
    first_wait_s: float
    mail_timeout_s: float
    slack_s: float = 3.0


@dataclass
class Evidence:
    """All of one round."""

    limits: Limits
    ended_at: float
    copies: list[Copy] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    rows: list[Row] = field(default_factory=list)
    checkins: list[CheckInRow] = field(default_factory=list)
    called_off: list[CalledOff] = field(default_factory=list)
    acknowledged: list[Acknowledged] = field(default_factory=list)
    # Check-ins whose address the sink refuses for good: they may stay unsent.
    refused: frozenset[int] = frozenset()
    # How many check-ins follow an infusion by the clinic's plan.
    checkins_each: int = 1
    # What people could not do in the end; any is a finding, since nobody should have to give up.
    problems: list[str] = field(default_factory=list)
