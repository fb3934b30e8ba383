"""Signals: a lot, product or setting that stood out, and what a named person decided about it."""

from typing import Self

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone

from patients.models import AppendOnly, Clinic, User
from patients.sealing.fields import SealedCharField
from reactions.models.chairside import Vial
from reactions.models.infusion import Infusion, InfusionQuerySet
from reactions.vocabulary import Setting, SignalKind, SignalVerdict, choices, values


class SignalQuerySet(models.QuerySet):
    def administered_by(self, user: User) -> Self:
        """Signals of the clinics that the user administers."""
        return self.filter(clinic__in=Clinic.objects.administered_by(user))

    def open(self) -> Self:
        """Signals about which nobody has decided yet."""
        return self.filter(decided_at=None)


class Signal(models.Model):
    """Something that stood out once, with the latest figures. It ends with a decision, never by itself.

    `period` is the year in which a product or setting was watched. `observed` events of `total` infusions, given from
    `first_at` to `last_at`, made the signal; `events` of `infusions` were looked at in all. While `stands_out` is false
    the latest look did not find it any more, and the figures are those of the last that did. No group of fewer than
    `least_patients` can be told from them; 0 where that was not looked into. `version` counts up when a look brings
    other figures.
    """

    clinic = models.ForeignKey(Clinic, models.PROTECT, related_name="signals")
    kind = models.CharField(max_length=10, choices=choices(SignalKind))
    product = models.CharField(max_length=100, blank=True)
    lot = models.CharField(max_length=20, blank=True, help_text="In capitals.")
    setting = models.CharField(max_length=10, blank=True, choices=choices(Setting))
    period = models.CharField(max_length=4, blank=True)
    what = models.CharField(max_length=200)
    raised_at = models.DateTimeField()
    found_at = models.DateTimeField("last found")
    stands_out = models.BooleanField("stands out at the latest look", default=True)
    decided_at = models.DateTimeField("first decided", null=True, blank=True)
    observed = models.PositiveIntegerField()
    total = models.PositiveIntegerField()
    patients = models.PositiveIntegerField()
    expected = models.FloatField()
    first_at = models.DateTimeField()
    last_at = models.DateTimeField()
    events = models.PositiveIntegerField()
    infusions = models.PositiveIntegerField()
    words = models.CharField(max_length=300)
    compared_with = models.CharField(max_length=500)
    method = models.CharField(max_length=500)
    false_alarm = models.CharField("how often it is false", max_length=500)
    checks = models.JSONField("what to check first", default=list, blank=True)
    reacted = models.JSONField("infusions with a reaction that were known", default=list, blank=True)
    least_patients = models.PositiveSmallIntegerField("no smaller group can be told", default=0)
    version = models.PositiveIntegerField(default=1)

    objects = SignalQuerySet.as_manager()

    # What tells one signal from another.
    IDENTITY = ("clinic", "kind", "product", "lot", "setting", "period")

    class Meta:
        ordering = ["-raised_at", "-pk"]
        constraints = [
            models.UniqueConstraint(
                fields=["clinic", "kind", "product", "lot", "setting", "period"],
                condition=Q(decided_at=None),
                name="reactions_signal_open_once",
            ),
            models.CheckConstraint(
                name="reactions_signal_is_about_its_kind",
                condition=~Q(product="") & ~Q(lot="") & Q(kind="lot", setting="", period="")
                | ~Q(product="") & ~Q(period="") & Q(kind="product", lot="", setting="")
                | ~Q(period="") & Q(kind="site", lot="", product=""),
            ),
        ]

    def __str__(self) -> str:
        return self.what

    @property
    def year_is_over(self) -> bool:
        """Nobody looks at it any more: its figures stay those of the last look of its year."""
        return bool(self.period) and self.period != str(timezone.now().astimezone(self.clinic.zone).year)

    @property
    def tells_figures(self) -> bool:
        """Not where they would give away a group that the clinic hides."""
        return self.least_patients >= self.clinic.least_patients

    def earlier(self) -> models.QuerySet["Signal"]:
        """The same, raised and decided before; of a product or setting, in the same year."""
        same = {name: getattr(self, name) for name in self.IDENTITY}
        return Signal.objects.filter(**same).exclude(pk=self.pk)

    def infusions_behind(self) -> InfusionQuerySet:
        """The infusions that made the signal, as they stand now."""
        found = Infusion.objects.counted().filter(
            patient__clinic=self.clinic, started_at__gte=self.first_at, started_at__lte=self.last_at
        )
        if self.product:
            found = found.filter(product__name=self.product)
        if self.setting:
            found = found.filter(setting=self.setting)
        if self.lot:
            found = found.filter(pk__in=Vial.objects.of_lot(self.lot).values("infusion"))
        return found


class SignalDecision(AppendOnly):
    """What a named person decided about a signal, at the figures of that moment; the newest counts."""

    signal = models.ForeignKey(Signal, models.PROTECT, related_name="decisions")
    verdict = models.CharField(max_length=15, choices=choices(SignalVerdict))
    words = SealedCharField(max_length=1000)
    figures = models.CharField("figures then", max_length=300)
    events = models.PositiveIntegerField()
    infusions = models.PositiveIntegerField()
    decided_at = models.DateTimeField()
    decided_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    submission_id = models.UUIDField(unique=True, editable=False)

    class Meta:
        ordering = ["-decided_at", "-pk"]
        verbose_name = "decision about a signal"
        verbose_name_plural = "decisions about signals"
        constraints = [
            models.CheckConstraint(
                name="reactions_signaldecision_verdict_known", condition=Q(verdict__in=values(SignalVerdict))
            ),
            models.CheckConstraint(name="reactions_signaldecision_has_words", condition=~Q(words="")),
        ]

    def __str__(self) -> str:
        return str(self.get_verdict_display())


class SignalLook(models.Model):
    """When a clinic's records were last looked at for signals, and how much there was to look at."""

    clinic = models.OneToOneField(Clinic, models.CASCADE, related_name="signal_look")
    looked_at = models.DateTimeField()
    infusions = models.PositiveIntegerField(default=0)
    lots = models.PositiveIntegerField(default=0)
    watched = models.JSONField(default=list)
    unwatched = models.JSONField(default=list)

    def __str__(self) -> str:
        return f"{self.clinic}, {self.looked_at:%Y-%m-%d %H:%M}"
