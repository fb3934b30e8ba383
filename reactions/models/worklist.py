"""The worklist: what stays open until it is complete."""

from functools import reduce
from operator import or_
from typing import Self

from django.db import models
from django.db.models import Case, CharField, Q, Value, When

from patients.models import Clinic, Patient, User
from reactions.models.reaction import Reaction
from reactions.models.signal import Signal
from reactions.vocabulary import WorkKind, choices

# Kinds about a patient; the others are about a reaction or a signal.
ABOUT_A_PATIENT = [WorkKind.BOUNCED.value, WorkKind.UNSUBSCRIBED.value, WorkKind.EMERGENCY.value]

IS_ABOUT_MAIL = Q(kind__in=[WorkKind.BOUNCED, WorkKind.UNSUBSCRIBED])

# What settles an item about a patient, and why it is closed then; the first that holds is said. The lists leave it out
# at once, and the next tick closes it.
SETTLED = [
    (IS_ABOUT_MAIL & Q(patient__voided_at__isnull=False), "The patient record was voided."),
    (IS_ABOUT_MAIL & Q(patient__died_on__isnull=False), "The patient has died."),
    (Q(kind=WorkKind.UNSUBSCRIBED, patient__email_consent_at__isnull=False), "The patient agreed to email again."),
    (Q(kind=WorkKind.BOUNCED, patient__email_consent_at=None), "The patient wants no email any more."),
    (Q(kind=WorkKind.BOUNCED, patient__bounced_address=""), "The address was corrected."),
]
IS_SETTLED = reduce(or_, (when for when, _ in SETTLED))


class WorkItemQuerySet(models.QuerySet):
    def visible_to(self, user: User) -> Self:
        """Items of the clinics in which the user works; signals and emergencies are for the administrators."""
        administered = Clinic.objects.administered_by(user)
        for_everybody = Q(signal=None) & ~Q(kind=WorkKind.EMERGENCY)
        return self.filter(for_everybody | Q(clinic__in=administered), clinic__in=Clinic.objects.visible_to(user))

    def open(self) -> Self:
        return self.filter(closed_at=None)

    def to_do(self) -> Self:
        """Open items about records that count: what is void is nobody's task."""
        return (
            self.open()
            .filter(
                reaction__voided_at=None,
                reaction__infusion__voided_at=None,
                reaction__infusion__patient__voided_at=None,
                patient__voided_at=None,
            )
            .exclude(IS_SETTLED)
        )

    def settled(self) -> Self:
        """Open items whose reason is gone."""
        return self.open().filter(IS_SETTLED)

    def why_settled(self) -> str | None:
        """Why the first of these is settled, in words; None when none is."""
        why = Case(*[When(when, then=Value(words)) for when, words in SETTLED], output_field=CharField())
        return self.settled().annotate(why=why).values_list("why", flat=True).first()


class WorkItem(models.Model):
    """One thing to follow through. It closes when what it is about is complete, never by a tick alone."""

    clinic = models.ForeignKey(Clinic, models.PROTECT, related_name="work")
    kind = models.CharField(max_length=20, choices=choices(WorkKind))
    reaction = models.ForeignKey(Reaction, models.PROTECT, related_name="work", null=True, blank=True)
    patient = models.ForeignKey(Patient, models.PROTECT, related_name="work", null=True, blank=True)
    signal = models.ForeignKey(Signal, models.PROTECT, related_name="work", null=True, blank=True)
    opened_at = models.DateTimeField()
    closed_at = models.DateTimeField(null=True, blank=True)
    closed_because = models.CharField(max_length=200, blank=True)

    objects = WorkItemQuerySet.as_manager()

    class Meta:
        ordering = ["opened_at"]
        constraints = [
            models.UniqueConstraint(
                fields=["kind", "reaction"], condition=Q(closed_at=None), name="reactions_workitem_open_once"
            ),
            models.UniqueConstraint(
                fields=["kind", "patient"], condition=Q(closed_at=None), name="reactions_workitem_patient_open_once"
            ),
            models.UniqueConstraint(
                fields=["kind", "signal"], condition=Q(closed_at=None), name="reactions_workitem_signal_open_once"
            ),
            models.CheckConstraint(
                name="reactions_workitem_closed_is_whole",
                condition=Q(closed_at=None, closed_because="") | Q(closed_at__isnull=False) & ~Q(closed_because=""),
            ),
            models.CheckConstraint(
                name="reactions_workitem_about_its_record",
                condition=Q(kind="serious_reaction", reaction__isnull=False, patient=None, signal=None)
                | Q(kind__in=ABOUT_A_PATIENT, patient__isnull=False, reaction=None, signal=None)
                | Q(kind="signal", signal__isnull=False, reaction=None, patient=None),
            ),
        ]
        indexes = [models.Index(fields=["clinic"], condition=Q(closed_at=None), name="reactions_workitem_open")]

    def __str__(self) -> str:
        return str(self.get_kind_display())
