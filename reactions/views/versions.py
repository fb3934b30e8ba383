"""The versions of a reaction, walked back from what is stored through the changes that the audit trail holds.

A version is shown as it stood when the next one began: that is what a signature under it stands for.
"""

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from django.db.models import Q

from patients.models import AuditEvent, User, snapshot
from reactions.clinical.anaphylaxis import WORDS
from reactions.clinical.ctcae import TERMS
from reactions.clinical.seriousness import CRITERIA
from reactions.forms.anaphylaxis import EXPOSURE_WORDS
from reactions.models import AnaphylaxisRecord, CausalityAssessment, Reaction, Signature
from reactions.recording import reaction_snapshot
from reactions.vocabulary import DRUGS, LABELS, MOMENT_LABELS, Action, Dechallenge, Outcome, Rechallenge, Route
from reactions.words import judgement_lines, judgement_words

# Each of these made a new version; the changes of the others belong to the version in which they were made, but the
# one that outdated a signature belongs to the version that this made.
NEW_VERSION = frozenset(
    {
        "reaction.corrected",
        "reaction.voided",
        "reaction.treatment_given",
        "reaction.treatment_corrected",
        "reaction.treatment_voided",
        "reaction.infusion_stopped",
        "reaction.resolved",
        "reaction.seriousness_judged",
        "reaction.signature_outdated",
        "anaphylaxis.judged",
        "anaphylaxis.voided",
    }
)
ACTS = {
    "reaction.recorded": "Recorded",
    "reaction.corrected": "Corrected",
    "reaction.voided": "Voided",
    "reaction.treatment_given": "A treatment was given",
    "reaction.treatment_corrected": "A treatment was corrected",
    "reaction.treatment_voided": "A treatment was taken back",
    "reaction.infusion_stopped": "The infusion was stopped",
    "reaction.resolved": "It was said to be resolved",
    "reaction.seriousness_judged": "It was judged whether it is serious",
    "reaction.signature_outdated": "A time or the judgement of the cause was added after signing",
    "anaphylaxis.judged": "The evidence for anaphylaxis was recorded",
    "anaphylaxis.voided": "The suspicion of anaphylaxis was taken back",
}
RECORDED = "reaction.recorded"
OUTDATED = "reaction.signature_outdated"
BESIDE = "anaphylaxis."
CAUSES = "causality"


@dataclass(frozen=True)
class Version:
    """What stood in the reaction, and who made it so, when and why. `by` is None for the service itself."""

    number: int
    state: dict[str, Any]
    act: str
    by: User | None
    at: datetime
    reason: str
    signatures: list[Signature]

    @property
    def causes(self) -> list[CausalityAssessment]:
        """The judgements of the cause that it holds, the newest first."""
        found: list[CausalityAssessment] = self.state[CAUSES]
        return found


@dataclass(frozen=True)
class Judgement:
    """A judgement of the cause, with the number of the version in which it was made."""

    cause: CausalityAssessment
    version: int

    @property
    def words(self) -> str:
        return judgement_words(self.cause)

    @property
    def lines(self) -> list[str]:
        return judgement_lines(self.cause)


@dataclass(frozen=True)
class ComparedRow:
    """One field in two versions, each as lines of words."""

    label: str
    earlier: list[str]
    present: list[str]

    @property
    def differs(self) -> bool:
        return self.earlier != self.present


def versions_of(reaction: Reaction) -> list[Version]:
    """Every version, the present one first; at least one. Judgements and signatures are those fetched with it."""
    record: AnaphylaxisRecord | None = getattr(reaction, "anaphylaxis", None)
    under: dict[int, list[Signature]] = defaultdict(list)
    for signature in reaction.signatures.all():
        under[signature.version].append(signature)
    number, found = reaction.version, []
    state = held = _present(reaction, record)
    is_outdating = False
    for event in _events(reaction, record):
        makes_one = event.act in NEW_VERSION
        if makes_one or event.act == RECORDED:
            found.append(Version(number, held, ACTS[event.act], event.by, event.at, event.reason, under[number]))
        if event.act == RECORDED:
            return found
        state = _before(event, state)
        if makes_one or is_outdating:
            held = state
        number -= makes_one
        is_outdating = event.act == OUTDATED
    # What came from a log has no event of its own: the record says who made it and when.
    by, at = reaction.created_by, reaction.created_at
    return [*found, Version(number, held, ACTS[RECORDED], by, at, "", under[number])]


def judgements_of(versions: list[Version]) -> list[Judgement]:
    """Every judgement of the cause, the newest first, as the present version holds it."""
    made_in = {cause.pk: version.number for version in versions for cause in version.causes}
    return [Judgement(cause, made_in[cause.pk]) for cause in versions[0].causes]


def compare(earlier: Version, present: Version, zone: ZoneInfo) -> list[ComparedRow]:
    """One row a field that holds something in either version."""
    rows = []
    for name, (label, words) in FIELDS.items():
        before, after = (_lines(version.state.get(name), words, zone) for version in (earlier, present))
        if before or after:
            rows.append(ComparedRow(label, before, after))
    return rows


def _present(reaction: Reaction, record: AnaphylaxisRecord | None) -> dict[str, Any]:
    beside = snapshot(record) if record else {}
    if record and record.is_void:
        beside = dict.fromkeys(beside)
    causes = {CAUSES: list(reaction.causality.all())}
    return reaction_snapshot(reaction) | causes | {f"{BESIDE}{name}": value for name, value in beside.items()}


def _events(reaction: Reaction, record: AnaphylaxisRecord | None) -> list[AuditEvent]:
    """What was done to the reaction and to its anaphylaxis record, newest first."""
    about = Q(entity=reaction._meta.label_lower, entity_id=reaction.pk)
    if record:
        about |= Q(entity=record._meta.label_lower, entity_id=record.pk)
    return list(AuditEvent.objects.filter(about).select_related("by", "key").order_by("-pk"))


def _before(event: AuditEvent, state: dict[str, Any]) -> dict[str, Any]:
    """The state before the event. What an event names that is no field of the state, such as a meaning, is left out."""
    prefix = BESIDE if event.act.startswith(BESIDE) else ""
    if event.act == "anaphylaxis.suspected":
        return {name: None if name.startswith(BESIDE) else value for name, value in state.items()}
    if event.act == "reaction.causality":
        return state | {CAUSES: state[CAUSES][1:]}
    old = {f"{prefix}{name}": values[0] for name, values in event.changes.items()}
    return state | {name: value for name, value in old.items() if name in state}


Words = Callable[[Any, ZoneInfo], list[str]]


def _lines(value: Any, words: Words, zone: ZoneInfo) -> list[str]:
    return [] if value in (None, "", [], {}) else words(value, zone)


def _plain(value: Any, zone: ZoneInfo) -> list[str]:
    return [str(value)]


def _moment(value: Any, zone: ZoneInfo) -> list[str]:
    return [_clock(value, zone)]


def _clock(value: str, zone: ZoneInfo) -> str:
    return datetime.fromisoformat(value).astimezone(zone).strftime("%Y-%m-%d %H:%M")


def _of(labels: dict[str, str]) -> Words:
    return lambda value, zone: [labels.get(value, str(value))]


def _serious(value: Any, zone: ZoneInfo) -> list[str]:
    return ["Yes" if value else "No"]


def _criteria(value: Any, zone: ZoneInfo) -> list[str]:
    return [text.label for code, text in CRITERIA.items() if code in value]


def _symptoms(value: Any, zone: ZoneInfo) -> list[str]:
    return [_symptom(row, zone) for row in value]


def _symptom(row: dict[str, Any], zone: ZoneInfo) -> str:
    grade = f"grade {row['grade']}" if row["grade"] else "not graded"
    parts = [row["other_text"] or TERMS[row["term"]].label, f"{grade} (CTCAE v{row['ctcae_version']})"]
    parts += [f"began {_clock(row['onset_at'], zone)}"] if row["onset_at"] else []
    parts += [f"ended {_clock(row['ended_at'], zone)}"] if row.get("ended_at") else []
    return ", ".join(parts)


def _treatments(value: Any, zone: ZoneInfo) -> list[str]:
    return [_treatment(row, zone) for row in value]


def _treatment(row: dict[str, Any], zone: ZoneInfo) -> str:
    name = f"{row['other_drug'] or DRUGS[row['drug']][0]} {row['dose']}".strip()
    route = [LABELS[Route][row["route"]].lower()] if row["route"] else []
    return ", ".join([name, *route, f"at {_clock(row['at'], zone)}"])


def _evidence(value: Any, zone: ZoneInfo) -> list[str]:
    lines = [WORDS[name] for name in WORDS if value.get(name)]
    measured = {
        "systolic_mmhg": "lowest systolic {} mmHg",
        "baseline_systolic_mmhg": "systolic before {} mmHg",
        "spo2_percent": "lowest SpO₂ {} %",
    }
    lines += [words.format(value[name]) for name, words in measured.items() if value.get(name) is not None]
    if exposure := value.get("exposure"):
        lines.append(f"known to react? {EXPOSURE_WORDS[exposure]}")
    return lines + (["not within minutes to several hours"] if value.get("acute_onset") is False else [])


def _cause(value: list[CausalityAssessment], zone: ZoneInfo) -> list[str]:
    """The newest one: it counts."""
    latest = value[0]
    note = [f"“{latest.note}”"] if latest.note else []
    return [judgement_words(latest), *note, f"{latest.judged_by}, {_clock(str(latest.judged_at), zone)}"]


# What is compared, in the order in which it is read.
FIELDS: dict[str, tuple[str, Words]] = {
    "symptoms": ("Symptoms", _symptoms),
    "treatments": ("Treatment", _treatments),
    "treatment": ("Other measures", _plain),
    "action": ("Done to the infusion", _of(LABELS[Action])),
    "dechallenge": ("When slowed or stopped", _of(LABELS[Dechallenge])),
    "rechallenge": ("When given again", _of(LABELS[Rechallenge])),
    "outcome": ("Outcome", _of(LABELS[Outcome])),
    "resolved_at": ("Resolved", _moment),
    "is_serious": ("Serious", _serious),
    "serious_criteria": ("Criteria of seriousness", _criteria),
    "narrative": ("Narrative", _plain),
    CAUSES: ("Cause, as judged last", _cause),
    "anaphylaxis.evidence": ("Evidence for anaphylaxis", _evidence),
    "anaphylaxis.criteria": ("Criteria of anaphylaxis met", lambda value, zone: [", ".join(value)]),
    "anaphylaxis.brown_grade": ("Brown grade", _plain),
    **{f"anaphylaxis.{name}": (MOMENT_LABELS[name], _moment) for name in AnaphylaxisRecord.OWN_MOMENTS},
}
