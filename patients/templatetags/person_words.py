"""How people and their addresses are written where there is little room."""

from django import template
from django.template import Context
from django.utils.html import format_html

from patients.models import User
from patients.signing_in import lasting

register = template.Library()


@register.simple_tag(takes_context=True)
def session_left(context: Context) -> str:
    """For the body of a page: the seconds until somebody has to do something, and until the session ends anyway."""
    request = context.get("request")
    if request is None or not request.user.is_authenticated:
        return ""
    return format_html('data-idle="{}" data-shift="{}"', *lasting.seconds_left(request))


@register.filter
def initials(user: User) -> str:
    """“NT” for Nora Test; the beginning of the username of somebody without a name."""
    return (user.first_name[:1] + user.last_name[:1] or user.username[:2]).upper()


@register.filter
def breaks_after_at(address: str) -> str:
    """An email address that a narrow column breaks after its “@” first."""
    name, at, host = address.partition("@")
    return format_html("{}{}<wbr>{}", name, at, host) if at else address
