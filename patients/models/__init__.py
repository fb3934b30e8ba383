from patients.models.append_only import AppendOnly
from patients.models.audit import DESTROYED, AuditEvent, AuditKey, AuditSeal, difference, snapshot, write_event
from patients.models.clinic import Clinic, StaffRole, User, of_visible_patients, validate_time_zone
from patients.models.emergency import EmergencyAccess
from patients.models.field_key import FieldKey
from patients.models.iga import STATUS_LABELS, IgaResult
from patients.models.patient import (
    MAIL_CAME_BACK,
    MAY_PASS,
    WITHDRAWN_BY_LINK,
    Patient,
    PatientMark,
    address_digest,
    marks_to_keep,
)
from patients.models.record import NeverDeleted, Record, RecordQuerySet, RecordVoided, StaleRecord

__all__ = [
    "DESTROYED",
    "MAIL_CAME_BACK",
    "MAY_PASS",
    "STATUS_LABELS",
    "WITHDRAWN_BY_LINK",
    "AppendOnly",
    "AuditEvent",
    "AuditKey",
    "AuditSeal",
    "Clinic",
    "EmergencyAccess",
    "FieldKey",
    "IgaResult",
    "NeverDeleted",
    "Patient",
    "PatientMark",
    "Record",
    "RecordQuerySet",
    "RecordVoided",
    "StaffRole",
    "StaleRecord",
    "User",
    "address_digest",
    "difference",
    "marks_to_keep",
    "of_visible_patients",
    "snapshot",
    "validate_time_zone",
    "write_event",
]
