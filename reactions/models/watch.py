"""What watches over the sending: whose database this is, and who was last seen at work."""

from django.db import models
from django.db.models import Q

from reactions.vocabulary import WatchedPart, choices, values

# Seconds are what matters here; these rows are kept out of the audit trail, which is for what people do.


class Site(models.Model):
    """The one row that says which host may send what this database plans.

    Made with the first migration. A host whose own id (reactions/site.py) is another one sends nothing, nor one with
    another key.
    """

    id = models.PositiveSmallIntegerField(primary_key=True, default=1, editable=False)
    site_id = models.CharField(max_length=64)
    key_digest = models.CharField(
        max_length=64, blank=True, editable=False, help_text="Tells the sender's SECRET_KEY from another, without it."
    )
    adopted_at = models.DateTimeField(auto_now=True, help_text="When a host became the sender.")

    class Meta:
        constraints = [
            models.CheckConstraint(name="reactions_site_only_one", condition=Q(id=1)),
            models.CheckConstraint(name="reactions_site_has_id", condition=~Q(site_id="")),
        ]

    def __str__(self) -> str:
        return self.site_id


class Heartbeat(models.Model):
    """When a part on a host was last seen, by the database's clock.

    Beat: it handed the tick to the broker. Worker and cron: `seen_at` is when one began a tick, or when a worker came
    up; `done_at` when one came to the end of a tick. Mail server: `seen_at` is when it was last spoken to, `done_at`
    when it took a mail or answered. `failing_since` stands while all tries fail, and until then it is empty; `trouble`
    says why, without addresses.
    """

    part = models.CharField(max_length=10, choices=choices(WatchedPart))
    host = models.CharField(max_length=120, blank=True, help_text="Empty for the mail server.")
    first_seen_at = models.DateTimeField()
    seen_at = models.DateTimeField()
    done_at = models.DateTimeField(null=True, blank=True)
    failing_since = models.DateTimeField(null=True, blank=True)
    trouble = models.CharField(max_length=300, blank=True)

    class Meta:
        ordering = ["part", "host"]
        constraints = [
            models.UniqueConstraint(fields=["part", "host"], name="reactions_heartbeat_once"),
            models.CheckConstraint(name="reactions_heartbeat_part_known", condition=Q(part__in=values(WatchedPart))),
            models.CheckConstraint(
                name="reactions_heartbeat_trouble_is_whole",
                condition=Q(failing_since=None, trouble="") | Q(failing_since__isnull=False) & ~Q(trouble=""),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.get_part_display()} {self.host}".strip()
