"""What was done, by whom, from where, to which record, and why. Rows are only ever added.

What was told of a patient, such as an old and a new value, is sealed under a key of that patient's own. Destroying the
key takes names out of the trail and out of every copy of it that has no key, and leaves who did what when.

Each event carries a code that only this service's key makes, and a seal covers the codes of all events since the seal
before. So an altered event, one that is missing, and one that the service did not write are found (patients/trail.py).
The database itself refuses to change or delete an event (patients/guards.py).
"""

import hmac
import json
from datetime import UTC
from decimal import Decimal
from functools import cached_property, lru_cache
from typing import Any

from cryptography.fernet import Fernet, InvalidToken
from django.conf import settings
from django.db import IntegrityError, models, transaction
from django.utils import timezone

from patients.models.append_only import AppendOnly
from patients.models.clinic import Clinic, User
from patients.origin import origin
from patients.sealing.fields import SealedCharField

# The key of what is about no patient, and the one under which events are given their codes.
OF_NOBODY = 0
ENTITY_LENGTH = 60
ALTERED = "What this event told was altered in the database, and cannot be read."
DESTROYED = "The key of this patient's part of the trail was destroyed."


class AuditKey(models.Model):
    """The key under which everything is sealed that the trail tells of one patient; of nobody under 0."""

    patient_id = models.BigIntegerField(unique=True)
    key = SealedCharField(max_length=44, blank=True, help_text="Empty once it was destroyed.")

    def __str__(self) -> str:
        return f"Key of patient {self.patient_id}"

    @classmethod
    def of(cls, patient_id: int | None) -> tuple["AuditKey", "AuditKey"]:
        """The service's own key, and the patient's; each is made when it is needed first."""
        wanted = {OF_NOBODY, patient_id or OF_NOBODY}
        keys: dict[int, AuditKey] = {key.patient_id: key for key in cls.objects.filter(patient_id__in=wanted)}
        for number in wanted - keys.keys():
            keys[number] = cls._make(number)
        return keys[OF_NOBODY], keys[patient_id or OF_NOBODY]

    @classmethod
    def _make(cls, number: int) -> "AuditKey":
        try:
            with transaction.atomic():
                return cls.objects.create(patient_id=number, key=Fernet.generate_key().decode())
        except IntegrityError:
            return cls.objects.get(patient_id=number)

    def seal(self, text: str) -> str:
        """The text as a token; empty when the key was destroyed, since nobody may read it."""
        return _fernet(self.key).encrypt(text.encode()).decode() if self.key else ""

    def unseal(self, token: str) -> str | None:
        """The text again; None when the key was destroyed."""
        return _fernet(self.key).decrypt(token).decode() if self.key and token else None

    def code(self, said: str) -> str:
        """HMAC-SHA-256 under this key, 64 characters."""
        return hmac.digest(b"code " + self.key.encode(), said.encode(), "sha256").hex()


@lru_cache(maxsize=256)
def _fernet(key: str) -> Fernet:
    return Fernet(key)


class AuditSeal(AppendOnly):
    """Closes the chain over the events since the seal before. `events` names them: “1-40,42”."""

    number = models.PositiveBigIntegerField(unique=True)
    at = models.DateTimeField()
    events = models.TextField()
    digest = models.CharField(max_length=64, help_text="Of the seal before and of the codes of the events.")

    class Meta:
        ordering = ["number"]

    def __str__(self) -> str:
        return f"Seal {self.number}"


class AuditEvent(AppendOnly):
    """One act. No foreign keys to what it is about, so that it says the same whatever becomes of the record."""

    at = models.DateTimeField(default=timezone.now)
    by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+", null=True)
    clinic = models.ForeignKey(Clinic, models.PROTECT, related_name="+", null=True)
    act = models.CharField(max_length=40, help_text="Such as infusion.recorded or reaction.voided.")
    entity = models.CharField(max_length=ENTITY_LENGTH, help_text="The kind of record, or the name of a page.")
    entity_id = models.BigIntegerField(null=True)
    patient_id = models.BigIntegerField(null=True)
    address = models.GenericIPAddressField(null=True, help_text="From where; empty for what the service did by itself.")
    key = models.ForeignKey(AuditKey, models.PROTECT, related_name="+")
    told = models.TextField(blank=True, help_text="Sealed: what was changed, why, and with which browser.")
    code = models.CharField(max_length=64, unique=True)
    seal = models.ForeignKey(AuditSeal, models.PROTECT, related_name="+", null=True)

    class Meta:
        ordering = ["-pk"]
        indexes = [
            models.Index(fields=["entity", "entity_id"], name="patients_audit_entity"),
            models.Index(fields=["patient_id"], name="patients_audit_patient"),
            models.Index(fields=["id"], condition=models.Q(seal=None), name="patients_audit_unsealed"),
        ]

    def __str__(self) -> str:
        return f"{self.act} {self.entity} {self.entity_id}"

    @cached_property
    def _told(self) -> dict[str, Any]:
        try:
            text = self.key.unseal(self.told)
        except InvalidToken:
            return {"reason": ALTERED}
        return {"reason": DESTROYED} if text is None else json.loads(text)

    @property
    def changes(self) -> dict[str, Any]:
        """Field: [old value, new value]."""
        return self._told.get("changes", {})

    @property
    def reason(self) -> str:
        return self._told.get("reason", "")

    @property
    def browser(self) -> str:
        return self._told.get("browser", "")

    @property
    def came_from(self) -> str:
        """The network address, of staff or of a patient; empty for what the service did by itself."""
        return self.address or self._told.get("address", "")

    def right_code(self, own: AuditKey) -> str:
        """The code that this event has to carry, under the service's own key."""
        said = [
            self.at.astimezone(UTC).isoformat(),
            self.by_id,
            self.clinic_id,
            self.act,
            self.entity,
            self.entity_id,
            self.patient_id,
            self.address,
            self.told,
        ]
        return own.code(json.dumps(said))


def write_event(
    act: str,
    *,
    by: User | None,
    about: models.Model | None = None,
    page: str = "",
    clinic: Clinic | None = None,
    patient_id: int | None = None,
    changes: dict[str, Any] | None = None,
    reason: str = "",
) -> AuditEvent:
    """Add one event, about a record or a page. `by` is None for what a patient or the service itself did."""
    own, key = AuditKey.of(patient_id)
    here = origin()
    # A patient's own network address goes with what is told of them, and is erased with it.
    is_of_patient = by is None and patient_id is not None
    theirs = here.address if is_of_patient else None
    told = {"changes": changes, "reason": reason, "browser": here.browser, "address": theirs}
    event = AuditEvent(
        at=timezone.now(),
        act=act,
        by=by,
        clinic=clinic,
        entity=about._meta.label_lower if about is not None else page[:ENTITY_LENGTH],
        entity_id=about.pk if about is not None else None,
        patient_id=patient_id,
        address=None if is_of_patient else here.address,
        key=key,
        told=key.seal(json.dumps({name: value for name, value in told.items() if value})),
    )
    event.code = event.right_code(own)
    event.save()
    return event


def snapshot(record: models.Model) -> dict[str, Any]:
    """The record's own columns as JSON takes them, without the keeping of its version and its voiding."""
    left_out = {
        "id",
        "version",
        "created_at",
        "created_by_id",
        "voided_at",
        "voided_by_id",
        "void_reason",
        "submission_id",
        "bounced_address",
    }
    return {
        field.attname: _as_json(getattr(record, field.attname))
        for field in record._meta.concrete_fields
        if field.attname not in left_out
    }


def difference(before: dict[str, Any], after: dict[str, Any]) -> dict[str, list[Any]]:
    """{field: [old, new]} for what differs."""
    return {name: [before.get(name), value] for name, value in after.items() if before.get(name) != value}


def _as_json(value: Any) -> Any:
    if isinstance(value, Decimal):
        # 35 and 35.00 are the same dose, not a change.
        return format(value.normalize(), "f")
    return value if value is None or isinstance(value, bool | int | str | list | dict) else str(value)
