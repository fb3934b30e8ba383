"""What every staff page's frame shows."""

from django.http import HttpRequest
from django.utils.functional import SimpleLazyObject

from reactions.models import Alert, Infusion, WorkItem


def waiting(request: HttpRequest) -> dict[str, object]:
    """`open_alerts`, `open_work` and `running_infusions` of the person's clinics; asked for only where shown."""
    user = getattr(request, "user", None)
    if user is None or not user.is_authenticated:
        return {}
    return {
        "open_alerts": SimpleLazyObject(lambda: Alert.objects.visible_to(user).open().count()),
        "running_infusions": Infusion.objects.visible_to(user)
        .running()
        .select_related("patient__clinic", "product")
        .order_by("started_at"),
        "open_work": SimpleLazyObject(lambda: WorkItem.objects.visible_to(user).to_do().count()),
    }
