"""The outbox: every email that leaves is a row here first."""

from django.conf import settings
from django.db import models
from django.db.models import Q

from reactions.models.alert import Alert
from reactions.models.checkin import CheckIn
from reactions.vocabulary import CheckInState, MailKind, MailState, choices


class OutboxMessage(models.Model):
    """One email: planned once (`idempotency_key`), claimed under a lease, sent with one Message-ID for all tries.

    `lease_number` counts the claims and fences every later write: whoever holds an older number changes nothing.
    `in_doubt` says that a try may have reached the mail server without our knowing, so a second copy may exist.
    """

    idempotency_key = models.CharField(max_length=100, unique=True)
    kind = models.CharField(max_length=20, choices=choices(MailKind))
    checkin = models.ForeignKey(CheckIn, models.PROTECT, related_name="mails", null=True, blank=True)
    alert = models.ForeignKey(Alert, models.PROTECT, related_name="mails", null=True, blank=True)
    recipient = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, related_name="+", null=True, blank=True, help_text="Staff only."
    )
    message_id = models.CharField(max_length=200, unique=True)
    state = models.CharField(max_length=10, choices=choices(MailState), default=MailState.QUEUED)
    due_at = models.DateTimeField()
    expires_at = models.DateTimeField(null=True, blank=True, help_text="Never sent after this.")
    attempts = models.PositiveSmallIntegerField(default=0)
    lease_number = models.PositiveIntegerField(default=0)
    lease_until = models.DateTimeField(null=True, blank=True)
    in_doubt = models.BooleanField(default=False)
    sent_at = models.DateTimeField(null=True, blank=True)
    last_error = models.CharField(max_length=300, blank=True, help_text="Without addresses.")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        verbose_name = "outgoing mail"
        ordering = ["due_at", "pk"]
        constraints = [
            models.CheckConstraint(
                name="reactions_outbox_sent_is_whole",
                condition=Q(state="sent", sent_at__isnull=False) | ~Q(state="sent") & Q(sent_at=None),
            ),
            models.CheckConstraint(
                name="reactions_outbox_lease_while_sending",
                condition=Q(state="sending", lease_until__isnull=False) | ~Q(state="sending") & Q(lease_until=None),
            ),
            models.CheckConstraint(
                name="reactions_outbox_about_one_thing",
                condition=Q(kind="checkin_invitation", checkin__isnull=False, alert=None, recipient=None)
                | Q(kind="alert", alert__isnull=False, recipient__isnull=False, checkin=None),
            ),
        ]
        indexes = [
            models.Index(
                fields=["due_at"], condition=Q(state__in=["queued", "sending"]), name="reactions_outbox_waiting"
            )
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} {self.pk}"

    def why_not_wanted(self) -> str:
        """Why the mail must not be sent any more, by the rows as they were loaded; empty when it is wanted."""
        if self.alert:
            return "The alert is acknowledged." if self.alert.acknowledged_at else ""
        if self.checkin is None or self.checkin.infusion.is_void:
            return "The infusion was voided."
        if self.checkin.state != CheckInState.PLANNED:
            return f"The check-in is {self.checkin.get_state_display().lower()}."
        return self.checkin.infusion.patient.why_no_mail()
