"""What every staff page's frame shows."""

from functools import cached_property

from django.http import HttpRequest
from django.utils import timezone
from django.utils.functional import SimpleLazyObject

from patients.models import Patient, User
from reactions.models import Alert, Infusion, Report, WorkItem, silent_patients


class WorkCounts:
    """How much waits on each list of the worklist; each is asked for only where it is shown."""

    def __init__(self, user: User) -> None:
        self.user = user

    @cached_property
    def serious(self) -> int:
        return WorkItem.objects.visible_to(self.user).to_do().count()

    @cached_property
    def reports(self) -> int:
        return Report.objects.visible_to(self.user).to_review().count()

    @cached_property
    def silent(self) -> int:
        """Shown on the worklist only: it takes too long for every page, and nobody runs to the telephone."""
        return len(silent_patients(Patient.objects.visible_to(self.user), timezone.now()))

    @property
    def urgent(self) -> int:
        return self.serious + self.reports


def waiting(request: HttpRequest) -> dict[str, object]:
    """What waits in the person's clinics; asked for only where it is shown.

    `open_alerts`, `work_counts`, of which `open_work` is what is urgent, and `running_infusions`.
    """
    user = getattr(request, "user", None)
    if user is None or not user.is_authenticated:
        return {}
    counts = WorkCounts(user)
    return {
        "open_alerts": SimpleLazyObject(lambda: Alert.objects.visible_to(user).open().count()),
        "running_infusions": Infusion.objects.visible_to(user)
        .running()
        .select_related("patient__clinic", "product")
        .order_by("started_at"),
        "work_counts": counts,
        "open_work": SimpleLazyObject(lambda: counts.urgent),
    }
