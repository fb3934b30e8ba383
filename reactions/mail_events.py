"""What a mail provider tells us about mails that we sent through it, by way of django-anymail.

Loaded only where ANYMAIL_WEBHOOK_SECRET is set; without it there is no such address. A provider must name our own
Message-ID, as Mailgun does in every event. Any other id matches no mail of ours.
"""

from typing import Any

from anymail.signals import EventType, RejectReason, tracking
from anymail.urls import urlpatterns as views_of_providers
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.dispatch import receiver
from django.urls import path
from django.utils import timezone

from reactions.mail_status import STATUS, is_for_good, without_addresses
from reactions.recording import record_bounce

WRONG_ADDRESS = {RejectReason.BOUNCED, RejectReason.INVALID}


@receiver(tracking)
def hear(sender: Any, event: Any, esp_name: str, **kwargs: Any) -> None:
    """Write down that a mail came back or is held up; every other event is not asked for."""
    if event.event_type not in {EventType.BOUNCED, EventType.REJECTED, EventType.DEFERRED}:
        return
    said = event.mta_response or event.description or event.reject_reason or "no reason given"
    words = without_addresses(f"{esp_name}: {said}")
    # Providers leave out the brackets with which it stands in a mail's header, or keep them.
    message_id = f"<{str(event.message_id).strip('<> ')}>"
    addresses = [event.recipient] if event.recipient else []
    record_bounce(
        message_id,
        words=words,
        for_good=_is_for_good(event),
        given_up=event.event_type != EventType.DEFERRED,
        addresses=addresses,
        now=timezone.now(),
    )


def _is_for_good(event: Any) -> bool:
    """By the enhanced status code where the receiving server gave one, otherwise by the provider's own judgement."""
    if event.event_type == EventType.DEFERRED:
        return False
    status = STATUS.search(event.mta_response or "")
    return is_for_good(status.group(1)) if status else event.reject_reason in WRONG_ADDRESS


def _view_of(provider: str) -> Any:
    """The view that takes the provider's events. Raises ImproperlyConfigured for one that django-anymail lacks."""
    views = {view.name: view.callback for view in views_of_providers}
    try:
        return views[f"{provider}_tracking_webhook"]
    except KeyError:
        known = sorted(name.removesuffix("_tracking_webhook") for name in views if name.endswith("_tracking_webhook"))
        raise ImproperlyConfigured(f"ANYMAIL_PROVIDER is “{provider}”, which is none of {', '.join(known)}.") from None


urlpatterns = [path("", _view_of(settings.ANYMAIL_PROVIDER), name="mail_events")]
