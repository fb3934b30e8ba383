"""What a browser sends from the product's larger forms."""

from typing import Any
from uuid import uuid4

from reactions.clinical.risk_factors import RiskFactor
from reactions.clinical.safety_card import CardCode
from reactions.forms.anaphylaxis import EvidenceForm
from reactions.models import AnaphylaxisRecord, Product

# As if every warning there is had been read on the page.
EVERY_WARNING = " ".join(str(code) for code in (*CardCode, *RiskFactor))


def infusion_form(**changes: Any) -> dict[str, Any]:
    """A complete infusion of two hours in May 2026 with one vial and one drug; `changes` replaces fields."""
    data = {
        "submission_id": str(uuid4()),
        "course": "",
        "planned_days": "1",
        "day": "1",
        "product": str(Product.objects.get(name="Privigen").pk),
        "setting": "clinic",
        "started_at": "2026-05-04T09:00",
        "ended_at": "2026-05-04T13:00",
        "dose_g": "35",
        "weight_kg": "70",
        "premedication_record": "given",
        "reaction_seen": "observed",
        "notes": "",
        "safety-shown": EVERY_WARNING,
        "safety-reason": "Known, closely watched",
        **management("vials", 3),
        "vials-0-lot": "SYN-1",
        "vials-0-expires_on": "2027-01-31",
        "vials-0-grams": "35",
        **management("premedications", 3),
        "premedications-0-drug": "acetaminophen",
        "premedications-0-dose": "650 mg",
        "premedications-0-route": "PO",
        "premedications-0-minutes_before": "30",
    }
    return data | changes


def reaction_form(**changes: Any) -> dict[str, Any]:
    """Chills and hives, one drug, not serious; `changes` replaces fields. Times are those of infusion_form()."""
    data = {
        "submission_id": str(uuid4()),
        "action": "slowed",
        "treatment": "Warm blanket",
        "outcome": "recovered",
        "resolved_at": "2026-05-04T11:00",
        "dechallenge": "improved",
        "rechallenge": "not_done",
        "none_of_these": "on",
        "narrative": "",
        **management("symptoms", 3),
        "symptoms-0-term": "chills",
        "symptoms-0-grade": "2",
        "symptoms-0-onset_at": "2026-05-04T09:40",
        "symptoms-1-term": "urticaria",
        "symptoms-1-grade": "1",
        "symptoms-1-onset_at": "2026-05-04T10:00",
        **management("treatments", 2),
        "treatments-0-drug": "diphenhydramine",
        "treatments-0-dose": "25 mg",
        "treatments-0-route": "IV",
        "treatments-0-at": "2026-05-04T09:50",
    }
    return data | changes


def evidence_form(record: AnaphylaxisRecord, *ticked: str, **changes: Any) -> dict[str, Any]:
    """The evidence of suspected anaphylaxis as the page shows it for `record`, with boxes ticked and fields replaced.

    Names stand without the form's prefix.
    """
    form = EvidenceForm(record=record)
    shown = {name: form[name].value() for name in form.fields}
    data = {"exposure": "not_known"} | {name: value for name, value in shown.items() if value not in (None, "", False)}
    data |= dict.fromkeys(ticked, "on") | changes
    return {f"evidence-{name}": value for name, value in data.items()}


def management(prefix: str, rows: int) -> dict[str, str]:
    return {f"{prefix}-TOTAL_FORMS": str(rows), f"{prefix}-INITIAL_FORMS": "0"}
