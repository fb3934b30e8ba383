"""The words and codes of infusions, reactions and check-ins. No logic, no Django.

Each enumeration's value is what is stored and exported; `LABELS` holds what staff read. Terms and grades of symptoms
are in clinical/ctcae.py.
"""

from enum import StrEnum


class Setting(StrEnum):
    CLINIC = "clinic"
    HOSPITAL = "hospital"
    HOME = "home"
    OTHER = "other"


class RateReason(StrEnum):
    START = "start"
    STEP_UP = "step_up"
    SLOW = "slow"
    PAUSE = "pause"
    RESUME = "resume"
    STOP = "stop"


class PremedicationRecord(StrEnum):
    """Whether drugs before the start were given; "none" is a statement, "not recorded" is silence."""

    GIVEN = "given"
    NONE = "none"
    NOT_RECORDED = "not_recorded"


class ReactionRecord(StrEnum):
    """Whether anybody looked for reactions. A reaction is a row of its own; "seen" says that it is still to come."""

    OBSERVED = "observed"
    SEEN = "seen"
    NOT_RECORDED = "not_recorded"


class DrugGroup(StrEnum):
    ANTIPYRETIC = "antipyretic"
    ANTIHISTAMINE = "antihistamine"
    CORTICOSTEROID = "corticosteroid"
    OTHER = "other"


class PremedicationClass(StrEnum):
    """How infusions are grouped by premedication in the rates."""

    NONE = "none"
    ANTIPYRETIC_ANTIHISTAMINE = "antipyretic_antihistamine"
    CORTICOSTEROID = "corticosteroid"
    OTHER = "other"
    NOT_RECORDED = "not_recorded"


class Route(StrEnum):
    ORAL = "PO"
    INTRAVENOUS = "IV"
    INTRAMUSCULAR = "IM"
    SUBCUTANEOUS = "SC"
    INHALED = "INH"
    RECTAL = "PR"
    OTHER = "other"
    NOT_RECORDED = ""


class Action(StrEnum):
    """What was done to the infusion when the reaction began."""

    NONE = "observed_only"
    SLOWED = "slowed"
    PAUSED = "paused"
    RESTARTED = "stopped_and_restarted"
    STOPPED = "stopped_permanently"
    AFTER_END = "infusion_already_over"
    NOT_RECORDED = "not_recorded"


class Outcome(StrEnum):
    RECOVERED = "recovered"
    RECOVERING = "recovering"
    NOT_RECOVERED = "not_recovered"
    SEQUELAE = "recovered_with_sequelae"
    FATAL = "fatal"
    UNKNOWN = "unknown"


class Indication(StrEnum):
    """What a course is given for, as far as labels tell rates apart."""

    DERMATOMYOSITIS = "dermatomyositis"
    OTHER_MYOSITIS = "other_myositis"
    PRIMARY_IMMUNODEFICIENCY = "primary_immunodeficiency"
    IMMUNE_THROMBOCYTOPENIA = "immune_thrombocytopenia"
    CIDP = "cidp"
    MULTIFOCAL_MOTOR_NEUROPATHY = "multifocal_motor_neuropathy"
    OTHER = "other"


class HistoryFact(StrEnum):
    """What a patient's history holds about immune globulin from elsewhere; kept beside the risk factors."""

    SEVERE_IG_REACTION = "severe_ig_reaction_elsewhere"
    HYPERSENSITIVITY = "hypersensitivity"
    NO_HYPERSENSITIVITY = "no_hypersensitivity"


class Dechallenge(StrEnum):
    """What became of the reaction when the infusion was slowed or stopped."""

    IMPROVED = "improved"
    NOT_IMPROVED = "not_improved"
    NOT_DONE = "not_done"
    UNKNOWN = "unknown"
    NOT_RECORDED = "not_recorded"


class Rechallenge(StrEnum):
    """What happened when immune globulin was given again."""

    RECURRED = "recurred"
    NOT_RECURRED = "not_recurred"
    NOT_DONE = "not_done"
    UNKNOWN = "unknown"
    NOT_RECORDED = "not_recorded"


class CausalityScale(StrEnum):
    WHO_UMC = "who_umc"
    NARANJO = "naranjo"


class SignatureMeaning(StrEnum):
    """What a signature says, as 21 CFR 11.50 asks."""

    REVIEW = "review"
    APPROVAL = "approval"
    RESPONSIBILITY = "responsibility"


class WorkKind(StrEnum):
    SERIOUS_REACTION = "serious_reaction"
    BOUNCED = "bounced"
    UNSUBSCRIBED = "unsubscribed"
    EMERGENCY = "emergency"
    SIGNAL = "signal"


class SignalKind(StrEnum):
    """What stands out."""

    LOT = "lot"
    PRODUCT = "product"
    SITE = "site"


class SignalVerdict(StrEnum):
    """What a named person decided about a signal, in the words of their own beside it."""

    NO_CAUSE = "no_cause"
    CHANCE = "chance"
    EXPLAINED = "explained"
    QUARANTINED = "quarantined"
    REPORTED = "reported"
    WATCHING = "watching"


class ReviewVerdict(StrEnum):
    """What a clinician made of a patient's report."""

    ACCEPTED = "accepted"
    MERGED = "merged"
    REJECTED = "rejected"


class RejectReason(StrEnum):
    """Why a report is no reaction to the infusion."""

    NOT_RELATED = "not_related"
    MISUNDERSTANDING = "misunderstanding"
    DUPLICATE = "duplicate"
    KNOWN_BEFORE = "known_before"
    TAKEN_BACK = "taken_back"
    OTHER = "other"


class AnsweredBy(StrEnum):
    """Who filled in an answer."""

    PATIENT = "patient"
    PARENT = "parent"
    TELEPHONE = "telephone"


class PhoneOutcome(StrEnum):
    """What came of calling a patient who did not answer."""

    NO_PROBLEM = "no_problem"
    PROBLEM = "problem"
    NOT_REACHED = "not_reached"
    WRONG_NUMBER = "wrong_number"
    DECLINED = "declined"
    GIVEN_UP = "given_up"


class CheckInKind(StrEnum):
    EVENING = "evening"
    HOURS_24 = "hours_24"
    HOURS_72 = "hours_72"
    DAYS_8 = "days_8"
    DAYS_28 = "days_28"
    # Begun by the patient between check-ins; never mailed.
    REPORT = "report"


class CheckInState(StrEnum):
    PLANNED = "planned"
    # Never to be mailed: opened by the patient, who has not sent the answer yet.
    OPEN = "open"
    SENT = "sent"
    ANSWERED = "answered"
    EXPIRED = "expired"
    MISSED = "missed"
    CANCELLED = "cancelled"


class MailKind(StrEnum):
    CHECKIN_INVITATION = "checkin_invitation"
    CHECKIN_REMINDER = "checkin_reminder"
    ALERT = "alert"
    WORK = "work"


class MailState(StrEnum):
    QUEUED = "queued"
    SENDING = "sending"
    SENT = "sent"
    BOUNCED = "bounced"
    REFUSED = "refused"
    CANCELLED = "cancelled"
    EXPIRED = "expired"


class WatchedPart(StrEnum):
    BEAT = "beat"
    WORKER = "worker"
    CRON = "cron"
    MAIL = "mail"


class AlertLevel(StrEnum):
    RED = "red"
    AMBER = "amber"
    GREEN = "green"


class PatientSymptom(StrEnum):
    """What a patient can tick, in the words of a person at home. clinical/triage.py says how urgent each is.

    A code once stored keeps its meaning; what was one word with several things in it is told apart by further ones.
    """

    BREATHING = "breathing"
    SWELLING_FACE = "swelling_face"
    CHEST_PAIN = "chest_pain"
    FAINTING = "fainting"
    BLUE_LIPS = "blue_lips"
    ONE_SIDED = "one_sided"
    SIGHT_LOSS = "sight_loss"
    SEIZURE = "seizure"
    CONFUSION = "confusion"
    VERY_DROWSY = "very_drowsy"
    WORST_HEADACHE = "worst_headache"
    COUGHING_BLOOD = "coughing_blood"
    HEADACHE = "headache"
    STIFF_NECK = "stiff_neck"
    LIGHT_HURTS = "light_hurts"
    EYE_PAIN = "eye_pain"
    SLEEPY = "sleepy"
    FEVER = "fever"
    CHILLS = "chills"
    ACHES = "aches"
    TIRED = "tired"
    DIZZY = "dizzy"
    FAST_PULSE = "fast_pulse"
    NAUSEA = "nausea"
    VOMITING = "vomiting"
    RASH = "rash"
    WIDE_RASH = "wide_rash"
    BLISTERS = "blisters"
    MOUTH_SORES = "mouth_sores"
    ITCH = "itch"
    LEG_SWELLING = "leg_swelling"
    BOTH_LEGS_SWOLLEN = "both_legs_swollen"
    WEIGHT_GAIN = "weight_gain"
    LITTLE_URINE = "little_urine"
    DARK_URINE = "dark_urine"
    YELLOW = "yellow"
    PALE = "pale"
    OTHER = "other"


class PatientSeverity(StrEnum):
    """Graded by the patient; never turned into a CTCAE grade without a clinician."""

    MILD = "mild"
    MODERATE = "moderate"
    SEVERE = "severe"
    # Emergency words reach the clinic before the patient has been asked how bad each is.
    NOT_SAID = "not_said"


LABELS: dict[type[StrEnum], dict[str, str]] = {
    Setting: {"clinic": "Clinic", "hospital": "Hospital", "home": "Home", "other": "Elsewhere"},
    RateReason: {
        "start": "Start",
        "step_up": "Step up",
        "slow": "Slow",
        "pause": "Pause",
        "resume": "Resume",
        "stop": "Stop",
    },
    PremedicationRecord: {"given": "Given", "none": "None given", "not_recorded": "Not recorded"},
    ReactionRecord: {
        "observed": "Watched for reactions",
        "seen": "Seen, not written down yet",
        "not_recorded": "Not recorded",
    },
    DrugGroup: {
        "antipyretic": "Antipyretic",
        "antihistamine": "Antihistamine",
        "corticosteroid": "Corticosteroid",
        "other": "Other",
    },
    PremedicationClass: {
        "none": "None",
        "antipyretic_antihistamine": "Antipyretic and/or antihistamine",
        "corticosteroid": "With corticosteroid",
        "other": "Other only",
        "not_recorded": "Not recorded",
    },
    Route: {
        "PO": "By mouth",
        "IV": "Into a vein",
        "IM": "Into a muscle",
        "SC": "Under the skin",
        "INH": "Inhaled",
        "PR": "Rectal",
        "other": "Other",
        "": "Not recorded",
    },
    Action: {
        "observed_only": "Nothing changed, observed",
        "slowed": "Slowed",
        "paused": "Paused, then resumed",
        "stopped_and_restarted": "Stopped, restarted at a lower rate",
        "stopped_permanently": "Stopped for good",
        "infusion_already_over": "Infusion was already over",
        "not_recorded": "Not recorded",
    },
    Outcome: {
        "recovered": "Recovered",
        "recovering": "Recovering",
        "not_recovered": "Not recovered",
        "recovered_with_sequelae": "Recovered with lasting effects",
        "fatal": "Fatal",
        "unknown": "Not known yet",
    },
    Indication: {
        "dermatomyositis": "Dermatomyositis",
        "other_myositis": "Another myositis",
        "primary_immunodeficiency": "Primary immunodeficiency",
        "immune_thrombocytopenia": "Immune thrombocytopenia",
        "cidp": "CIDP",
        "multifocal_motor_neuropathy": "Multifocal motor neuropathy",
        "other": "Other",
    },
    HistoryFact: {
        "severe_ig_reaction_elsewhere": "Anaphylactic or severe systemic reaction to immune globulin, elsewhere",
        "hypersensitivity": "Hypersensitivity in the history",
        "no_hypersensitivity": "Asked: no hypersensitivity in the history",
    },
    Dechallenge: {
        "improved": "It improved",
        "not_improved": "It did not improve",
        "not_done": "The infusion went on unchanged",
        "unknown": "Cannot be told",
        "not_recorded": "Not recorded",
    },
    Rechallenge: {
        "recurred": "It came back",
        "not_recurred": "It did not come back",
        "not_done": "Not given again",
        "unknown": "Cannot be told",
        "not_recorded": "Not recorded",
    },
    CausalityScale: {"who_umc": "WHO-UMC", "naranjo": "Naranjo"},
    SignatureMeaning: {
        "review": "Reviewed",
        "approval": "Approved as complete",
        "responsibility": "Responsible for its content",
    },
    WorkKind: {
        "serious_reaction": "Serious reaction to follow through",
        "bounced": "Mail to the patient came back",
        "unsubscribed": "The patient stopped the mails",
        "emergency": "Opened by another clinic in an emergency",
        "signal": "Something stands out",
    },
    SignalKind: {"lot": "Lot", "product": "Product", "site": "Setting"},
    SignalVerdict: {
        "no_cause": "Looked into: no cause found",
        "chance": "Looked into: taken for chance",
        "explained": "Looked into: explained by something else",
        "quarantined": "Product set aside",
        "reported": "Reported to the manufacturer or the authority",
        "watching": "Watched further",
    },
    ReviewVerdict: {
        "accepted": "Accepted as a reaction",
        "merged": "Belongs to a reaction that is recorded",
        "rejected": "Not a reaction to the infusion",
    },
    RejectReason: {
        "not_related": "Another cause, not the infusion",
        "misunderstanding": "The patient misunderstood the question",
        "duplicate": "The same as another report, which is decided",
        "known_before": "Known before the infusion, and no worse",
        "taken_back": "The patient took it back",
        "other": "Another reason, in words below",
    },
    AnsweredBy: {
        "patient": "the patient",
        "parent": "a parent or carer",
        "telephone": "the clinic, by telephone",
    },
    PhoneOutcome: {
        "no_problem": "Reached: no new or worse problem",
        "problem": "Reached: there is a problem",
        "not_reached": "Not reached: try again",
        "wrong_number": "Wrong number",
        "declined": "Reached: does not want to answer",
        "given_up": "Not tried any further",
    },
    CheckInKind: {
        "evening": "The same evening",
        "hours_24": "24 hours after",
        "hours_72": "72 hours after",
        "days_8": "8 days after",
        "days_28": "28 days after",
        "report": "Reported between check-ins",
    },
    CheckInState: {
        "planned": "Planned",
        "open": "Begun by the patient",
        "sent": "Sent",
        "answered": "Answered",
        "expired": "No answer",
        "missed": "Missed",
        "cancelled": "Cancelled",
    },
    MailKind: {
        "checkin_invitation": "Check-in invitation",
        "checkin_reminder": "Reminder of a check-in",
        "alert": "Alert to staff",
        "work": "Worklist notice to administrators",
    },
    WatchedPart: {"beat": "Scheduler", "worker": "Worker", "cron": "Cron", "mail": "Mail server"},
    MailState: {
        "queued": "Waiting",
        "sending": "Being sent",
        "sent": "Sent",
        "bounced": "Came back",
        "refused": "Refused",
        "cancelled": "Cancelled",
        "expired": "Expired unsent",
    },
    AlertLevel: {"red": "Red: now", "amber": "Amber: today", "green": "Green: next working day"},
    PatientSymptom: {
        "breathing": "Trouble breathing, wheeze or a tight throat",
        "swelling_face": "Swelling of the face, lips or tongue",
        "chest_pain": "Chest pain",
        "fainting": "Fainting or collapse",
        "blue_lips": "Blue lips or fingers",
        "one_sided": "Sudden weakness or numbness on one side, face droop, or trouble speaking",
        "sight_loss": "Sudden loss of sight",
        "seizure": "A seizure (fit)",
        "confusion": "Confusion",
        "very_drowsy": "Very sleepy and hard to wake",
        "worst_headache": "The worst headache of my life",
        "coughing_blood": "Coughing up blood",
        "headache": "Headache",
        "stiff_neck": "Stiff neck",
        "light_hurts": "Light hurts my eyes",
        "eye_pain": "It hurts to move my eyes",
        "sleepy": "More sleepy than usual",
        "fever": "Fever, 100.4 °F (38.0 °C) or more",
        "chills": "Chills or shaking",
        "aches": "Aches in muscles, joints or back",
        "tired": "Very tired or unwell",
        "dizzy": "Dizzy",
        "fast_pulse": "Fast heartbeat for no clear reason",
        "nausea": "Feeling sick, vomiting or belly pain",
        "vomiting": "Vomiting, and cannot keep drinks down",
        "rash": "Rash or hives",
        "wide_rash": "Rash over much of my body",
        "blisters": "Blisters on the skin",
        "mouth_sores": "Sores in the mouth",
        "itch": "Itching",
        "leg_swelling": "Pain, swelling, warmth or a new color in one arm or leg",
        "both_legs_swollen": "Swelling of both legs or feet",
        "weight_gain": "Quick weight gain",
        "little_urine": "Passing little urine",
        "dark_urine": "Dark urine, like cola",
        "yellow": "Yellow skin or eyes",
        "pale": "Paler than usual",
        "other": "Something else",
    },
    PatientSeverity: {
        "mild": "Mild: I noticed it, but had a normal day",
        "moderate": "Moderate: some things were hard to do",
        "severe": "Severe: I could not do my daily things",
        "not_said": "Not said how bad",
    },
}


def values(words: type[StrEnum]) -> list[str]:
    """The words as the database keeps them."""
    return [str(word) for word in words]


def choices(words: type[StrEnum]) -> list[tuple[str, str]]:
    """(value, label) pairs in the order in which the words are defined."""
    return [(str(word), LABELS[words][word]) for word in words]


# Drugs given around an infusion, with the group each belongs to. H2 blockers count as "other": what the rates ask
# about is the H1 antihistamine given against hives and itch.
DRUGS: dict[str, tuple[str, DrugGroup]] = {
    "acetaminophen": ("Acetaminophen (paracetamol)", DrugGroup.ANTIPYRETIC),
    "ibuprofen": ("Ibuprofen", DrugGroup.ANTIPYRETIC),
    "naproxen": ("Naproxen", DrugGroup.ANTIPYRETIC),
    "aspirin": ("Aspirin", DrugGroup.ANTIPYRETIC),
    "ketorolac": ("Ketorolac", DrugGroup.ANTIPYRETIC),
    "metamizole": ("Metamizole (dipyrone)", DrugGroup.ANTIPYRETIC),
    "diphenhydramine": ("Diphenhydramine", DrugGroup.ANTIHISTAMINE),
    "cetirizine": ("Cetirizine", DrugGroup.ANTIHISTAMINE),
    "levocetirizine": ("Levocetirizine", DrugGroup.ANTIHISTAMINE),
    "loratadine": ("Loratadine", DrugGroup.ANTIHISTAMINE),
    "desloratadine": ("Desloratadine", DrugGroup.ANTIHISTAMINE),
    "fexofenadine": ("Fexofenadine", DrugGroup.ANTIHISTAMINE),
    "chlorpheniramine": ("Chlorpheniramine", DrugGroup.ANTIHISTAMINE),
    "dexchlorpheniramine": ("Dexchlorpheniramine", DrugGroup.ANTIHISTAMINE),
    "clemastine": ("Clemastine", DrugGroup.ANTIHISTAMINE),
    "hydroxyzine": ("Hydroxyzine", DrugGroup.ANTIHISTAMINE),
    "promethazine": ("Promethazine", DrugGroup.ANTIHISTAMINE),
    "hydrocortisone": ("Hydrocortisone", DrugGroup.CORTICOSTEROID),
    "methylprednisolone": ("Methylprednisolone", DrugGroup.CORTICOSTEROID),
    "prednisone": ("Prednisone", DrugGroup.CORTICOSTEROID),
    "prednisolone": ("Prednisolone", DrugGroup.CORTICOSTEROID),
    "dexamethasone": ("Dexamethasone", DrugGroup.CORTICOSTEROID),
    "famotidine": ("Famotidine", DrugGroup.OTHER),
    "ranitidine": ("Ranitidine", DrugGroup.OTHER),
    "ondansetron": ("Ondansetron", DrugGroup.OTHER),
    "metoclopramide": ("Metoclopramide", DrugGroup.OTHER),
    "montelukast": ("Montelukast", DrugGroup.OTHER),
    "meperidine": ("Meperidine (pethidine)", DrugGroup.OTHER),
    "sumatriptan": ("Sumatriptan", DrugGroup.OTHER),
    "hydration": ("Intravenous or oral hydration", DrugGroup.OTHER),
    "epinephrine": ("Epinephrine (adrenaline)", DrugGroup.OTHER),
    "salbutamol": ("Salbutamol (albuterol)", DrugGroup.OTHER),
    "oxygen": ("Oxygen", DrugGroup.OTHER),
    "other": ("Another drug", DrugGroup.OTHER),
}

ADRENALINE = "epinephrine"

DRUG_SYNONYMS: dict[str, str] = {
    "adrenaline": "epinephrine",
    "advil": "ibuprofen",
    "albuterol": "salbutamol",
    "aleve": "naproxen",
    "allegra": "fexofenadine",
    "apap": "acetaminophen",
    "atarax": "hydroxyzine",
    "benadryl": "diphenhydramine",
    "chlorphenamine": "chlorpheniramine",
    "chlorpheniramine maleate": "chlorpheniramine",
    "clarinex": "desloratadine",
    "claritin": "loratadine",
    "decadron": "dexamethasone",
    "demerol": "meperidine",
    "dipyrone": "metamizole",
    "fluids": "hydration",
    "iv fluids": "hydration",
    "medrol": "methylprednisolone",
    "motrin": "ibuprofen",
    "normal saline": "hydration",
    "paracetamol": "acetaminophen",
    "pepcid": "famotidine",
    "pethidine": "meperidine",
    "reglan": "metoclopramide",
    "saline": "hydration",
    "singulair": "montelukast",
    "solu-cortef": "hydrocortisone",
    "solu-medrol": "methylprednisolone",
    "solumedrol": "methylprednisolone",
    "toradol": "ketorolac",
    "tylenol": "acetaminophen",
    "xyzal": "levocetirizine",
    "zofran": "ondansetron",
    "zyrtec": "cetirizine",
}

# What takes one tap when anaphylaxis is suspected, in the order in which it happens.
MOMENT_LABELS: dict[str, str] = {
    "stopped_at": "Infusion stopped",
    "adrenaline_1_at": "Adrenaline 1",
    "adrenaline_2_at": "Adrenaline 2",
    "adrenaline_3_at": "Adrenaline 3",
    "ems_called_at": "EMS called",
    "ems_arrived_at": "EMS arrived",
    "resolved_at": "Resolved",
}
