"""The one way an email leaves.

A row is planned once by its idempotency key (planning). A dispatcher claims a small batch in one short transaction, the
most urgent first: it sets a lease by the database's clock and counts the lease number up (claims). Every later write of
the row names that number, so that a dispatcher whose lease ran out changes nothing any more. Before a mail's text goes
to the mail server, the row notes the try and its lease begins anew; the same statement marks the mail before it as sent
(marks). A lease that ran out is taken up again under the same Message-ID; where a try was noted the row says that it is
in doubt: the mail server may have taken the first copy. Between the server's "250" and that statement lies the only way
to a second copy, and it is never wider than one mail of each dispatcher.

What ends a mail for good is the server's refusal of the recipient (refusals). Everything else is a fault of ours or of
the network and is tried again: a check-in's mail until its window closes, an alert's until somebody acknowledges it.

Whoever locks several of these rows in one transaction takes them in one order, or two would wait for each other until
the database ends one: the patient, the infusion, the course, check-ins by key (`CheckInQuerySet.held`), mails last.
"""

from reactions.outbox.claims import LEASE, claim, database_now
from reactions.outbox.planning import enqueue, move, queue_called_off, resume_alerts_at_corrected_addresses
from reactions.outbox.sending import PACED, PUT_OFF, UNWRITTEN, NoConnection, deliver, dispatch
from reactions.outbox.stopping import is_sending, stop_soon

__all__ = [
    "LEASE",
    "PACED",
    "PUT_OFF",
    "UNWRITTEN",
    "NoConnection",
    "claim",
    "database_now",
    "deliver",
    "dispatch",
    "enqueue",
    "is_sending",
    "move",
    "queue_called_off",
    "resume_alerts_at_corrected_addresses",
    "stop_soon",
]
