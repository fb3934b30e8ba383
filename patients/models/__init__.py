from patients.models.append_only import AppendOnly
from patients.models.audit import AuditEvent, difference, snapshot, write_event
from patients.models.clinic import Clinic, StaffRole, User, validate_time_zone
from patients.models.iga import STATUS_LABELS, IgaResult
from patients.models.patient import MAIL_CAME_BACK, MAY_PASS, WITHDRAWN_BY_LINK, Patient, address_digest
from patients.models.record import NeverDeleted, Record, RecordQuerySet, RecordVoided, StaleRecord

__all__ = [
    "MAIL_CAME_BACK",
    "MAY_PASS",
    "STATUS_LABELS",
    "WITHDRAWN_BY_LINK",
    "AppendOnly",
    "AuditEvent",
    "Clinic",
    "IgaResult",
    "NeverDeleted",
    "Patient",
    "Record",
    "RecordQuerySet",
    "RecordVoided",
    "StaffRole",
    "StaleRecord",
    "User",
    "address_digest",
    "difference",
    "snapshot",
    "validate_time_zone",
    "write_event",
]
