"""What became of a check-in and of its mails, in words for a nurse.

One of these is said wherever a check-in stands: on the pages of the infusion, the patient and the check-in, in the list
of check-ins and in the admin. Times are in the clinic's zone. Words of a mail server are those of the outbox, which
holds no address.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo

from django.db.models import Exists, OuterRef, Q, QuerySet

from patients.models import MAY_PASS
from reactions.models import CheckIn, OutboxMessage
from reactions.models.checkin import MAIL_REFUSED, NOT_DELIVERED
from reactions.models.outbox import ADDRESS_CHANGED, PLANNED_AGAIN
from reactions.vocabulary import CheckInKind, CheckInState, MailKind, MailState


class DeliveryState(StrEnum):
    PLANNED = "planned"
    BEGUN = "begun"
    NOT_FINISHED = "not_finished"
    DUE = "due"
    NO_MAIL = "no_mail"
    RETRY = "retry"
    SENDING = "sending"
    SENT = "sent"
    IN_DOUBT = "in_doubt"
    REFUSED = "refused"
    BOUNCED = "bounced"
    ANSWERED = "answered"
    EXPIRED = "expired"
    MISSED = "missed"
    CANCELLED = "cancelled"


# Its word on a tag, and the tag's colour.
TAGS: dict[DeliveryState, tuple[str, str]] = {
    DeliveryState.PLANNED: ("Planned", "plain"),
    DeliveryState.BEGUN: ("Begun by the patient", "plain"),
    DeliveryState.NOT_FINISHED: ("Begun, not sent", "plain"),
    DeliveryState.DUE: ("Due", "plain"),
    DeliveryState.NO_MAIL: ("No mail", "amber"),
    DeliveryState.RETRY: ("Trying again", "amber"),
    DeliveryState.SENDING: ("Being sent", "plain"),
    DeliveryState.SENT: ("Sent", "plain"),
    DeliveryState.IN_DOUBT: ("Sent, in doubt", "plain"),
    DeliveryState.REFUSED: ("Refused", "red"),
    DeliveryState.BOUNCED: ("Came back", "red"),
    DeliveryState.ANSWERED: ("Answered", "green"),
    DeliveryState.EXPIRED: ("No answer", "amber"),
    DeliveryState.MISSED: ("Missed", "amber"),
    DeliveryState.CANCELLED: ("Cancelled", "plain"),
}
DOUBT_SENT = "a second copy may have reached the patient"
DOUBT_WAITING = "an earlier try may have reached the patient"


@dataclass(frozen=True)
class Delivery:
    """A state, and a sentence without its full stop that tells when and why."""

    state: DeliveryState
    text: str

    @property
    def label(self) -> str:
        return TAGS[self.state][0]

    @property
    def colour(self) -> str:
        return TAGS[self.state][1]


def of_checkin(checkin: CheckIn, now: datetime) -> Delivery:
    """What became of the check-in. Uses `infusion__patient__clinic` and the prefetched `mails`."""
    zone = checkin.infusion.zone
    mails = sorted(checkin.mails.all(), key=lambda mail: (mail.kind != MailKind.CHECKIN_INVITATION, mail.pk))
    if checkin.state == CheckInState.ANSWERED:
        return Delivery(DeliveryState.ANSWERED, f"Answered {_clock(checkin.answered_at, zone)}")
    if checkin.kind == CheckInKind.REPORT and checkin.state != CheckInState.CANCELLED:
        return _begun_by_patient(checkin, zone)
    if bounced := next((mail for mail in mails if mail.state == MailState.BOUNCED), None):
        return of_mail(bounced, zone, now)
    if checkin.state == CheckInState.CANCELLED:
        return _cancelled(checkin, zone, now)
    if checkin.state == CheckInState.MISSED:
        return Delivery(DeliveryState.MISSED, f"Not sent: {checkin.state_reason}")
    if checkin.state in {CheckInState.SENT, CheckInState.EXPIRED}:
        return _mailed(checkin, mails, zone, now)
    if why := checkin.why_not_sent():
        return Delivery(DeliveryState.NO_MAIL, f"Will not be sent: {why}")
    on_the_way = [mail for mail in mails if mail.state in {MailState.QUEUED, MailState.SENDING}]
    return of_mail(on_the_way[0], zone, now) if on_the_way else _waiting(checkin.due_at, zone, now)


def of_mail(mail: OutboxMessage, zone: ZoneInfo, now: datetime) -> Delivery:
    """What became of one mail, whoever it goes to."""
    why = f": {mail.last_error}" if mail.last_error else ""
    if mail.state == MailState.SENDING:
        return Delivery(DeliveryState.SENDING, f"Being sent now{_doubt(mail, DOUBT_WAITING)}")
    if mail.state == MailState.SENT:
        state = DeliveryState.IN_DOUBT if mail.in_doubt else DeliveryState.SENT
        doubt = "; a second copy may have left" if mail.in_doubt else ""
        return Delivery(state, f"Sent {_clock(mail.sent_at, zone)}{doubt}")
    if mail.state == MailState.BOUNCED:
        return Delivery(DeliveryState.BOUNCED, f"The mail came back{why}")
    if mail.state == MailState.REFUSED:
        return Delivery(DeliveryState.REFUSED, f"The mail server refused the address{why}")
    if mail.state == MailState.CANCELLED:
        counts_no_more = mail.last_error.startswith((ADDRESS_CHANGED, PLANNED_AGAIN))
        return Delivery(DeliveryState.CANCELLED, f"{'Counts no more' if counts_no_more else 'Not sent'}{why}")
    if mail.state == MailState.EXPIRED:
        return Delivery(DeliveryState.MISSED, f"Not sent in time{why}")
    if mail.attempts and mail.last_error:
        times = "once" if mail.attempts == 1 else f"{mail.attempts} times"
        text = f"Tried {times}, next try {_clock(mail.due_at, zone)}{_doubt(mail, DOUBT_WAITING)}{why}"
        return Delivery(DeliveryState.RETRY, text)
    return _waiting(mail.due_at, zone, now)


def _begun_by_patient(checkin: CheckIn, zone: ZoneInfo) -> Delivery:
    """Of a report between check-ins, which is never mailed, and was not sent yet."""
    begun = f"Begun by the patient {_clock(checkin.due_at, zone)}"
    closes = _clock(checkin.closes_at, zone)
    if checkin.state == CheckInState.EXPIRED:
        return Delivery(DeliveryState.NOT_FINISHED, f"{begun}, not sent by {closes}")
    return Delivery(DeliveryState.BEGUN, f"{begun}, not sent yet, open until {closes}")


def _mailed(checkin: CheckIn, mails: list[OutboxMessage], zone: ZoneInfo, now: datetime) -> Delivery:
    """Of one that waits for its answer or did in vain, with what became of a reminder that was refused."""
    sent, closes = _clock(checkin.sent_at, zone), _clock(checkin.closes_at, zone)
    is_over = checkin.state == CheckInState.EXPIRED or checkin.closes_at <= now
    text = f"Sent {sent}, not answered by {closes}" if is_over else f"Sent {sent}, open until {closes}"
    reminders = [mail for mail in mails if mail.kind == MailKind.CHECKIN_REMINDER]
    if refused := next((mail for mail in reminders if mail.state == MailState.REFUSED), None):
        text = f"{text}; the reminder was refused" + (f": {refused.last_error}" if refused.last_error else "")
    doubtful = any(mail.in_doubt for mail in mails)
    if doubtful:
        text = f"{text}; {DOUBT_SENT}"
    if is_over:
        return Delivery(DeliveryState.EXPIRED, text)
    return Delivery(DeliveryState.IN_DOUBT if doubtful else DeliveryState.SENT, text)


def _cancelled(checkin: CheckIn, zone: ZoneInfo, now: datetime) -> Delivery:
    closes = _clock(checkin.closes_at, zone)
    if not checkin.was_refused:
        text = f"Cancelled: {checkin.state_reason}"
        if checkin.closes_at > now and checkin.state_reason.startswith(MAY_PASS):
            text = f"{text} It goes on within minutes when that is put right before {closes}"
        return Delivery(DeliveryState.CANCELLED, text)
    said = checkin.state_reason.removeprefix(MAIL_REFUSED).strip()
    text = f"The mail server refused the address: {said}" if said else "The mail server refused the address"
    again = f"It is sent once more when the address is corrected before {closes}"
    return Delivery(DeliveryState.REFUSED, f"{text.rstrip('.')}. {again}")


def _waiting(due_at: datetime, zone: ZoneInfo, now: datetime) -> Delivery:
    if due_at > now:
        return Delivery(DeliveryState.PLANNED, f"Planned for {_clock(due_at, zone)}")
    return Delivery(DeliveryState.DUE, f"Due since {_clock(due_at, zone)}, not sent yet")


def _doubt(mail: OutboxMessage, words: str) -> str:
    return f"; {words}" if mail.in_doubt else ""


def _clock(moment: datetime | None, zone: ZoneInfo) -> str:
    return f"{moment.astimezone(zone):%Y-%m-%d %H:%M}" if moment else "at an unknown time"


def _of_today(checkins: QuerySet[CheckIn], now: datetime, zone: ZoneInfo) -> QuerySet[CheckIn]:
    day = now.astimezone(zone).date()
    start, end = (datetime.combine(one, time.min, zone) for one in (day, day + timedelta(days=1)))
    return checkins.filter(due_at__gte=start, due_at__lt=end).order_by("due_at", "pk")


def _overdue(checkins: QuerySet[CheckIn], now: datetime, zone: ZoneInfo) -> QuerySet[CheckIn]:
    return checkins.filter(state=CheckInState.PLANNED, due_at__lte=now).order_by("due_at", "pk")


def _failed(checkins: QuerySet[CheckIn], now: datetime, zone: ZoneInfo) -> QuerySet[CheckIn]:
    mails = OutboxMessage.objects.filter(checkin=OuterRef("pk"))
    tried = mails.filter(state=MailState.QUEUED, attempts__gt=0).exclude(last_error="")
    came_back = Q(Exists(mails.filter(state=MailState.BOUNCED))) & ~Q(state=CheckInState.ANSWERED)
    never = Q(state=CheckInState.MISSED)
    return checkins.filter(NOT_DELIVERED | came_back | never | Q(Exists(tried))).order_by("-due_at", "-pk")


def _unanswered(checkins: QuerySet[CheckIn], now: datetime, zone: ZoneInfo) -> QuerySet[CheckIn]:
    asked = Q(state__in=[CheckInState.SENT, CheckInState.EXPIRED])
    return checkins.filter(asked).exclude(kind=CheckInKind.REPORT).order_by("-due_at", "-pk")


def _all(checkins: QuerySet[CheckIn], now: datetime, zone: ZoneInfo) -> QuerySet[CheckIn]:
    return checkins.order_by("-due_at", "-pk")


Selection = Callable[[QuerySet[CheckIn], datetime, ZoneInfo], QuerySet[CheckIn]]
# What the list of check-ins can be narrowed to: its code, its words, and which ones these are.
SELECTIONS: dict[str, tuple[str, Selection]] = {
    "today": ("Due today", _of_today),
    "overdue": ("Overdue", _overdue),
    "failed": ("Not delivered", _failed),
    "unanswered": ("Sent, no answer", _unanswered),
    "all": ("All", _all),
}


def select(checkins: QuerySet[CheckIn], code: str, now: datetime, zone: ZoneInfo) -> QuerySet[CheckIn]:
    """Those of a selection, in the order in which they are read; today's for an unknown code."""
    _, chosen = SELECTIONS.get(code, SELECTIONS["today"])
    return chosen(checkins, now, zone)


def names() -> Iterable[tuple[str, str]]:
    """(code, words) of every selection."""
    return [(code, words) for code, (words, _) in SELECTIONS.items()]
