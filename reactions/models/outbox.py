"""The outbox: every email that leaves is a row here first."""

from datetime import datetime
from functools import lru_cache, reduce
from operator import or_
from typing import Self

from django.conf import settings
from django.db import models
from django.db.models import Q

from patients.models import MAY_PASS, Patient, StaffRole, address_digest
from reactions.models.alert import Alert
from reactions.models.checkin import CheckIn
from reactions.models.infusion import Infusion
from reactions.models.worklist import WorkItem
from reactions.vocabulary import CheckInState, MailKind, MailState, choices, values

# Mails that wait, are being sent or have left; the others ended otherwise.
ALIVE = (MailState.QUEUED, MailState.SENDING, MailState.SENT)
# Those that leave once more when the address is put right. Of its index and the query; why OR: models/checkin.py.
NOT_TAKEN = Q(state="refused") | Q(state="bounced")
# Why a mail does not count any more: the patient has another address, and gets what is open there from the start.
ADDRESS_CHANGED = "The address was changed."
# How the words begin of a mail that does not count any more since its check-in was planned again.
PLANNED_AGAIN = "The check-in was planned again."
# The first words of why a mail was called off that may go once more: its check-in began anew, or what was in the way is
# not any more.
FOR_NOW = (ADDRESS_CHANGED, PLANNED_AGAIN, *MAY_PASS)
CALLED_OFF_FOR_NOW = Q(state=MailState.CANCELLED) & reduce(or_, (Q(last_error__startswith=why) for why in FOR_NOW))


# What a mail and the decision to send it need of an infusion and its patient.
OF_THE_INFUSION = frozenset({"id", "patient", "voided_at"})
OF_THE_PATIENT = frozenset({
    "id", "clinic", "email", "language", "time_zone", "voided_at", "died_on", "bounced_address",
    "email_consent_at", "email_withdrawn_by_link_at", "erased_at",
})  # fmt: skip


class OutboxQuerySet(models.QuerySet):
    def due(self, now: datetime) -> Self:
        """Rows to take up: those whose time has come, and those whose lease ran out."""
        ran_out = Q(state=MailState.SENDING, lease_until__lte=now)
        return self.filter(Q(state=MailState.QUEUED, due_at__lte=now) | ran_out)

    def queue_again(self, due_at: datetime, *, expires_at: datetime | None = None) -> int:
        """Let these mails wait for their time as if they had never been tried. Returns how many.

        Not for one that is being sent. What was sent under the row's Message-ID is still known by it: where the latest
        try went to (`sent_to`), and whether a copy may exist (`in_doubt`). `expires_at` left out stays as it is.
        """
        until = {"expires_at": expires_at} if expires_at else {}
        return self.update(
            state=MailState.QUEUED,
            due_at=due_at,
            attempts=0,
            last_error="",
            refused_address="",
            bounced_at=None,
            sent_at=None,
            **until,
        )

    def alive(self) -> Self:
        """Rows that wait, are being sent or have left; the others ended otherwise."""
        return self.filter(state__in=ALIVE)

    def called_off_for_now(self) -> Self:
        """Rows that did not go, or count no more, for a reason that may pass: they may go once more."""
        return self.filter(CALLED_OFF_FOR_NOW)

    def with_all_it_says(self) -> Self:
        """With the rows that a mail and the decision to send it are made from.

        Nearly all mails are about check-ins, so these are joined, with the columns that count for a mail; what the few
        to staff are about is asked for apart, and only where there are such. PostgreSQL plans a join of all of it for
        longer than it takes to send a mail.
        """
        joined = self.select_related("checkin__infusion__patient__report_link").defer(*_of_no_mail())
        clinics = "checkin__infusion__patient__clinic"
        return joined.prefetch_related(clinics, "alert__patient__clinic", "work__clinic", "recipient")


@lru_cache(maxsize=1)
def _of_no_mail() -> list[str]:
    """The columns that are not read for a mail, by their paths from its row."""
    read = {"checkin__infusion": (Infusion, OF_THE_INFUSION), "checkin__infusion__patient": (Patient, OF_THE_PATIENT)}
    created = ["created_at", "checkin__created_at", "checkin__infusion__patient__report_link__created_at"]
    return created + [
        f"{path}__{field.name}"
        for path, (model, names) in read.items()
        for field in model._meta.concrete_fields
        if field.name not in names
    ]


class OutboxMessage(models.Model):
    """One email: planned once (`idempotency_key`), claimed under a lease, sent with one Message-ID for all tries.

    `lease_number` counts the claims and fences every later write: whoever holds an older number changes nothing.
    `tried_at` is set right before the mail server is spoken to under the present lease: a row that was only claimed was
    not tried. `in_doubt` says that a try may have reached the mail server without our knowing, so a second copy may
    exist.
    """

    # What goes first when several mails are due.
    RED, AMBER, CHECKIN = 0, 1, 2

    idempotency_key = models.CharField(max_length=100)
    kind = models.CharField(max_length=20, choices=choices(MailKind))
    checkin = models.ForeignKey(CheckIn, models.PROTECT, related_name="mails", null=True, blank=True)
    alert = models.ForeignKey(Alert, models.PROTECT, related_name="mails", null=True, blank=True)
    work = models.ForeignKey(WorkItem, models.PROTECT, related_name="mails", null=True, blank=True)
    recipient = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, related_name="+", null=True, blank=True, help_text="Staff only."
    )
    message_id = models.CharField(max_length=200)
    state = models.CharField(max_length=10, choices=choices(MailState), default=MailState.QUEUED)
    urgency = models.PositiveSmallIntegerField(default=CHECKIN, help_text="The lower, the earlier it is sent.")
    due_at = models.DateTimeField()
    expires_at = models.DateTimeField(null=True, blank=True, help_text="Never sent after this.")
    attempts = models.PositiveIntegerField(default=0)
    lease_number = models.PositiveIntegerField(default=0)
    lease_until = models.DateTimeField(null=True, blank=True)
    tried_at = models.DateTimeField(null=True, blank=True, help_text="The try under way.")
    in_doubt = models.BooleanField(default=False)
    sent_at = models.DateTimeField(null=True, blank=True)
    bounced_at = models.DateTimeField(null=True, blank=True, help_text="When we learned that it came back.")
    sent_to = models.CharField(
        max_length=64, blank=True, editable=False, help_text="Digest of the address of the latest try."
    )
    last_error = models.CharField(max_length=300, blank=True, help_text="Without addresses.")
    refused_address = models.CharField(
        max_length=64, blank=True, editable=False, help_text="Digest of the address that was refused for good."
    )
    created_at = models.DateTimeField(auto_now_add=True)

    objects = OutboxQuerySet.as_manager()

    class Meta:
        verbose_name = "outgoing mail"
        ordering = ["due_at", "pk"]
        constraints = [
            # Not unique=True: PostgreSQL would keep one more index for each, to be written with every mark of a mail.
            models.UniqueConstraint(fields=["idempotency_key"], name="reactions_outbox_planned_once"),
            models.UniqueConstraint(fields=["message_id"], name="reactions_outbox_message_id_once"),
            models.CheckConstraint(name="reactions_outbox_state_known", condition=Q(state__in=values(MailState))),
            models.CheckConstraint(
                name="reactions_outbox_sent_is_whole",
                condition=Q(state="sent", sent_at__isnull=False)
                | Q(state="bounced")
                | ~Q(state__in=["sent", "bounced"]) & Q(sent_at=None),
            ),
            models.CheckConstraint(
                name="reactions_outbox_bounced_is_whole",
                condition=Q(state="bounced", bounced_at__isnull=False) | ~Q(state="bounced") & Q(bounced_at=None),
            ),
            models.CheckConstraint(
                name="reactions_outbox_lease_while_sending",
                condition=Q(state="sending", lease_until__isnull=False) | ~Q(state="sending") & Q(lease_until=None),
            ),
            models.CheckConstraint(
                name="reactions_outbox_tried_while_sending", condition=Q(state="sending") | Q(tried_at=None)
            ),
            models.CheckConstraint(
                name="reactions_outbox_about_one_thing",
                condition=Q(
                    kind__in=["checkin_invitation", "checkin_reminder"],
                    checkin__isnull=False,
                    alert=None,
                    work=None,
                    recipient=None,
                )
                | Q(kind="alert", alert__isnull=False, recipient__isnull=False, checkin=None, work=None)
                | Q(kind="work", work__isnull=False, recipient__isnull=False, checkin=None, alert=None),
            ),
        ]
        indexes = [
            models.Index(
                fields=["urgency", "due_at"],
                condition=Q(state__in=["queued", "sending"]),
                name="reactions_outbox_by_urgency",
            ),
            models.Index(fields=["expires_at"], condition=NOT_TAKEN, name="reactions_outbox_refused"),
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} {self.pk}"

    def address(self) -> str:
        """Where it goes, as the record stands now; empty when no address is recorded."""
        if self.checkin:
            return self.checkin.patient.email
        return self.recipient.email if self.recipient else ""

    def why_not_wanted(self) -> str:
        """Why the mail must not be sent any more, by the rows as they were loaded; empty when it is wanted."""
        if self.alert:
            done = "The alert is acknowledged." if self.alert.acknowledged_at else ""
            return done or self._why_not_to_recipient(self.alert.patient.clinic_id)
        if self.work:
            done = "The item is closed." if self.work.closed_at else ""
            return done or self._why_not_to_recipient(self.work.clinic_id)
        if self.checkin is None or self.checkin.infusion.is_void:
            return "The infusion was voided."
        # The invitation makes the check-in SENT, and only then there is something to be reminded of.
        wanted = CheckInState.SENT if self.kind == MailKind.CHECKIN_REMINDER else CheckInState.PLANNED
        if self.checkin.state != wanted:
            return f"The check-in is {self.checkin.get_state_display().lower()}."
        if self.kind == MailKind.CHECKIN_REMINDER and self._is_the_first_to_this_address():
            return ADDRESS_CHANGED
        return self.checkin.infusion.patient.why_no_mail()

    def _is_the_first_to_this_address(self) -> bool:
        """The check-in's invitation went to another address than this mail goes to."""
        invitations = OutboxMessage.objects.filter(checkin=self.checkin, kind=MailKind.CHECKIN_INVITATION)
        return invitations.exclude(sent_to__in=["", address_digest(self.address())]).exists()

    def _why_not_to_recipient(self, clinic_pk: int) -> str:
        if self.recipient is None or not self.recipient.email:
            return "The recipient has no address."
        works_here = StaffRole.objects.at_work().filter(clinic=clinic_pk, user=self.recipient)
        if not self.recipient.is_active or not works_here.exists():
            return "The recipient does not work at the clinic any more."
        return ""


class MailPace(models.Model):
    """How many mails have left lately, to one domain or to all: by this the limits are kept (outbox.limits)."""

    domain = models.CharField(max_length=255, unique=True, blank=True, help_text="Empty for all mails.")
    taken_until = models.DateTimeField(help_text="By then all that left would have come in evenly.")

    class Meta:
        verbose_name = "pace of outgoing mail"

    def __str__(self) -> str:
        return self.domain or "all mails"
