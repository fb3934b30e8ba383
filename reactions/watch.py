"""The dead-man's switch: who was last seen at work on the mail, and what that means.

Beat writes a row whenever it handed the tick to the broker, so that a beat that cannot reach the broker counts as
silent. Whoever runs a tick, a worker or cron, writes when it began and when it came to the end. What the mails of the
tick met tells of the mail server; when none was due for a while, it is greeted and left again.
"""

import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.core.mail import get_connection
from django.db import connection
from django.db.models import Count, DateTimeField, F, Min, Q, QuerySet, Subquery, Value
from django.db.models.functions import Coalesce, Greatest, Now
from django.utils import timezone

from reactions import outbox, site
from reactions.mail_status import without_addresses
from reactions.models import CheckIn, Heartbeat, OutboxMessage, Site
from reactions.pulse import Pulse, Verdict, judge
from reactions.vocabulary import CheckInState, MailState, WatchedPart

# So long after the last word of the mail server it is greeted, though there is no mail.
GREET_AFTER = timedelta(minutes=10)
# Hosts that were not seen for so long are forgotten: containers get a new name at every start.
FORGET_AFTER = timedelta(days=30)


@dataclass
class Turn:
    """One tick under way; `mails` takes the outcomes of outbox.dispatch."""

    mails: Mapping[str, int] = field(default_factory=dict)


@contextmanager
def turn(part: WatchedPart) -> Iterator[Turn]:
    """Around a tick: write that it began, and that it came to the end. What the tick raises goes through."""
    stopped = site.sending_is_stopped()
    note(part, trouble=stopped)
    taken = Turn()
    yield taken
    note(part, done=True, trouble=stopped)
    if not stopped:
        _note_mail_server(taken.mails)


def note(part: WatchedPart, *, host: str | None = None, done: bool = False, trouble: str = "") -> None:
    """Write that a part was seen, on this host where none is named; with `done`, that it did what it is there for."""
    now = outbox.database_now()
    host = _this_host() if host is None else host
    values: dict[str, Any] = {"seen_at": now, "trouble": trouble[:300]}
    if done:
        values["done_at"] = now
    since = Coalesce(F("failing_since"), Value(now, output_field=DateTimeField()))
    rows = Heartbeat.objects.filter(part=part, host=host)
    if rows.update(**values, failing_since=since if trouble else None):
        return
    defaults = values | {"first_seen_at": now, "failing_since": now if trouble else None}
    Heartbeat.objects.get_or_create(part=part, host=host, defaults=defaults)


def introduce(part: WatchedPart) -> None:
    """Write down that the part has come up on this host for the first time; leave out hosts unseen for a month."""
    now = outbox.database_now()
    Heartbeat.objects.filter(seen_at__lt=now - FORGET_AFTER).delete()
    defaults = {"first_seen_at": now, "seen_at": now}
    Heartbeat.objects.get_or_create(part=part, host=_this_host(), defaults=defaults)


def verdict() -> Verdict:
    """Is mail going out? Two small queries."""
    moment = Now() if connection.vendor == "postgresql" else Value(timezone.now(), output_field=DateTimeField())
    row = _site_and_waiting(moment)
    if row is None:
        return judge(Pulse(now=outbox.database_now(), stopped=site.NO_ROW))
    own = site.own_id()
    beats = list(Heartbeat.objects.all())
    mail = next((beat for beat in beats if beat.part == WatchedPart.MAIL), None)
    senders = [beat for beat in beats if beat.part in {WatchedPart.WORKER, WatchedPart.CRON}]
    latest = max(senders, key=lambda beat: beat.seen_at, default=None)
    schedulers = [beat for beat in beats if beat.part in {WatchedPart.BEAT, WatchedPart.CRON}]
    return judge(
        Pulse(
            now=row["now"],
            stopped=site.why_stopped(Site(site_id=row["site_id"], key_digest=row["key_digest"]), own),
            knows_no_id=not own.site_id,
            senders_trouble=latest.trouble if latest else "",
            first_seen_at=min((beat.first_seen_at for beat in beats if beat is not mail), default=None),
            scheduled_at=_latest(beat.seen_at for beat in schedulers),
            began_at=_latest(beat.seen_at for beat in senders),
            done_at=_latest(beat.done_at for beat in senders if not beat.trouble),
            mail_failing_since=mail.failing_since if mail else None,
            mail_trouble=mail.trouble if mail else "",
            waiting=row["mails"] + row["checkins"],
            alerts=row["alerts"],
            oldest_mail_since=row["oldest_mail"],
            oldest_since=_earliest(row["oldest_mail"], row["oldest_checkin"]),
        )
    )


def _site_and_waiting(moment: Any) -> dict[str, Any] | None:
    """The stored site, the database's clock, and how many mails and check-ins wait since when."""
    due = Q(state=MailState.QUEUED, due_at__lte=moment) | Q(state=MailState.SENDING)
    tried = Q(state=MailState.QUEUED, attempts__gt=0)
    # The states by themselves, so that the index of what is on its way serves.
    on_the_way = OutboxMessage.objects.filter(state__in=[MailState.QUEUED, MailState.SENDING])
    mails = on_the_way.filter(due | tried)
    checkins = CheckIn.objects.filter(state=CheckInState.PLANNED, due_at__lte=moment, mails=None)
    # What was written down late waits since it was written down. What is tried again tells of the mail server.
    since = Min(Greatest("due_at", "created_at"))
    found = Site.objects.annotate(
        now=moment,
        mails=_of_all(mails, Count("pk")),
        alerts=_of_all(mails.filter(alert__isnull=False), Count("pk")),
        checkins=_of_all(checkins, Count("pk")),
        oldest_mail=_of_all(on_the_way.filter(due), since),
        oldest_checkin=_of_all(checkins, since),
    )
    row = found.values(
        "site_id", "key_digest", "now", "mails", "alerts", "checkins", "oldest_mail", "oldest_checkin"
    ).first()
    return dict(row) if row else None


def _of_all(rows: QuerySet, expression: Any) -> Any:
    """One number or moment about all rows; 0 for a count of none."""
    grouped = rows.order_by().annotate(all=Value(1)).values("all").annotate(found=expression).values("found")
    return Coalesce(Subquery(grouped), 0) if isinstance(expression, Count) else Subquery(grouped)


def _note_mail_server(mails: Mapping[str, int]) -> None:
    if mails.get("sent"):
        note(WatchedPart.MAIL, host="", done=True)
    elif mails.get("waiting") and (words := _latest_error()):
        note(WatchedPart.MAIL, host="", trouble=words)
    elif mails.get("refused") or mails.get("put_off"):
        # Who refuses one recipient, for now or for good, is there.
        note(WatchedPart.MAIL, host="", done=True)
    elif not mails and _is_time_to_greet():
        _greet()


def _latest_error() -> str:
    """What the mail server, or the way to it, said of a mail that waits for its next try."""
    failed = OutboxMessage.objects.filter(state=MailState.QUEUED, attempts__gt=0).exclude(last_error="")
    for words in (outbox.PUT_OFF, outbox.UNWRITTEN, outbox.PACED):
        failed = failed.exclude(last_error__startswith=words)
    return failed.order_by("-due_at").values_list("last_error", flat=True).first() or ""


def _is_time_to_greet() -> bool:
    heard = Heartbeat.objects.filter(part=WatchedPart.MAIL).values_list("seen_at", flat=True).first()
    return heard is None or outbox.database_now() - heard > GREET_AFTER


def _greet() -> None:
    """Connect, sign in where that is set up, and leave. A server that takes no mail is not well because it answers."""
    transport = get_connection()
    try:
        transport.open()
    except Exception as error:
        # Whatever keeps us out: it is told on every staff page.
        said = without_addresses(f"{type(error).__name__}: {error}")
        note(WatchedPart.MAIL, host="", trouble=said)
    else:
        transport.close()
        note(WatchedPart.MAIL, host="", done=True, trouble=_latest_error())


def _this_host() -> str:
    return socket.gethostname()[:120]


def _latest(moments: Iterator[datetime | None]) -> datetime | None:
    return max((moment for moment in moments if moment), default=None)


def _earliest(*moments: datetime | None) -> datetime | None:
    return min((moment for moment in moments if moment), default=None)
