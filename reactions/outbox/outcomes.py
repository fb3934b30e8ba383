"""What becomes of a mail that was claimed and has not been sent: it ended, or it waits for its next try.

Each writes its row as long as the lease that was claimed holds, and returns the outcome in a word: "overtaken" when
another dispatcher has taken the row over.
"""

import logging
import random
from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction

from patients.models import address_digest
from reactions.models import CheckIn, OutboxMessage
from reactions.models.checkin import MAIL_REFUSED
from reactions.outbox.claims import database_now, own
from reactions.outbox.refusals import in_words
from reactions.vocabulary import CheckInState, MailKind, MailState

logger = logging.getLogger(__name__)

FIRST_WAIT = timedelta(seconds=settings.OUTBOX_FIRST_WAIT_S)
LONGEST_WAIT = timedelta(hours=1)
LONGEST_WAIT_FOR_ALERTS = timedelta(minutes=5)
# Doubling ends here, long after every longest wait.
MOST_DOUBLINGS = 12


def finish(message: OutboxMessage, state: MailState, *, error: str) -> str:
    """Write the row's end and what it means for its check-in, together; "overtaken" when the lease was lost."""
    with transaction.atomic():
        if message.checkin_id:
            CheckIn.objects.filter(pk=message.checkin_id).held()
        ended = own(message).update(
            state=state,
            lease_until=None,
            tried_at=None,
            last_error=error[:300],
            refused_address=address_digest(message.address()) if state == MailState.REFUSED else "",
        )
        if not ended:
            logger.warning("outbox row %s was taken over by another dispatcher", message.pk)
            return "overtaken"
        if message.checkin and message.kind == MailKind.CHECKIN_INVITATION:
            _tell_checkin(message.checkin, state, error)
    if state == MailState.REFUSED:
        logger.warning("outbox row %s, %s: the recipient is refused for good: %s", message.pk, message.kind, error)
    return str(state)


def _tell_checkin(checkin: CheckIn, state: MailState, error: str) -> None:
    planned = CheckIn.objects.filter(pk=checkin.pk, state=CheckInState.PLANNED)
    if state == MailState.REFUSED:
        planned.update(state=CheckInState.CANCELLED, state_reason=f"{MAIL_REFUSED} {error}"[:200])
    elif state == MailState.CANCELLED:
        planned.update(state=CheckInState.CANCELLED, state_reason=error[:200])


def try_later(
    message: OutboxMessage, error: Exception, outcome: str = "waiting", *, begin: str = "", in_doubt: bool = False
) -> str:
    """Let the mail wait for its next try, twice as long after each, and say why. Its words are `begin` and the error's.

    With `in_doubt` the mail server may have taken it.
    """
    words = begin + in_words(error)
    logger.warning("outbox row %s, attempt %s: %s", message.pk, message.attempts, words)
    longest = LONGEST_WAIT_FOR_ALERTS if message.alert else LONGEST_WAIT
    pause = min(FIRST_WAIT * 2 ** min(message.attempts - 1, MOST_DOUBLINGS), longest)
    # Spread, so that what failed together does not come back together.
    pause *= random.uniform(0.8, 1.2)  # noqa: S311
    return wait(message, outcome, until=database_now() + pause, error=words, in_doubt=in_doubt)


def wait(message: OutboxMessage, outcome: str, *, until: datetime, error: str, in_doubt: bool = False) -> str:
    """Give the mail back to the queue until then."""
    doubt = {"in_doubt": True} if in_doubt else {}
    waiting = own(message).update(
        state=MailState.QUEUED,
        lease_until=None,
        tried_at=None,
        due_at=until,
        attempts=message.attempts,
        last_error=error[:300],
        **doubt,
    )
    return outcome if waiting else "overtaken"
