"""What every staff page's frame shows."""

from dataclasses import dataclass

from django.http import HttpRequest
from django.utils import timezone
from django.utils.functional import SimpleLazyObject

from patients.models import Patient, User
from reactions.models import Alert, Infusion, Report, WorkItem, silent_patients


@dataclass(frozen=True)
class WorkCounts:
    """How much waits on each list of the worklist."""

    serious: int
    reports: int
    silent: int

    @property
    def all(self) -> int:
        return self.serious + self.reports + self.silent


def waiting(request: HttpRequest) -> dict[str, object]:
    """What waits in the person's clinics; asked for only where it is shown.

    `open_alerts`, `work_counts` and their sum `open_work`, and `running_infusions`.
    """
    user = getattr(request, "user", None)
    if user is None or not user.is_authenticated:
        return {}
    counts: WorkCounts = SimpleLazyObject(lambda: _count_work(user))  # type: ignore[assignment]
    return {
        "open_alerts": SimpleLazyObject(lambda: Alert.objects.visible_to(user).open().count()),
        "running_infusions": Infusion.objects.visible_to(user)
        .running()
        .select_related("patient__clinic", "product")
        .order_by("started_at"),
        "work_counts": counts,
        "open_work": SimpleLazyObject(lambda: counts.all),
    }


def _count_work(user: User) -> WorkCounts:
    return WorkCounts(
        serious=WorkItem.objects.visible_to(user).to_do().count(),
        reports=Report.objects.visible_to(user).to_review().count(),
        silent=silent_patients(Patient.objects.visible_to(user), timezone.now()).count(),
    )
