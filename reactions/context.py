"""What every staff page's frame shows."""

from django.http import HttpRequest
from django.utils.functional import SimpleLazyObject

from reactions.models import Alert


def open_alerts(request: HttpRequest) -> dict[str, object]:
    """`open_alerts`: how many alerts await the signed-in person; asked of the database only where it is shown."""
    user = getattr(request, "user", None)
    if user is None or not user.is_authenticated:
        return {}
    return {"open_alerts": SimpleLazyObject(lambda: Alert.objects.visible_to(user).open().count())}
