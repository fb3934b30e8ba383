"""What happens by itself: a database that is opened is looked at, its trail is guarded, who signs in is noted down."""

from typing import Any

from allauth.account.signals import password_changed
from allauth.mfa.models import Authenticator
from allauth.mfa.signals import (
    authentication_failed,
    authenticator_added,
    authenticator_removed,
    authenticator_reset,
    authenticator_used,
)
from django.contrib.auth.signals import user_logged_in, user_logged_out, user_login_failed
from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.signals import connection_created
from django.db.models import Model
from django.db.models.signals import post_migrate, pre_migrate
from django.dispatch import receiver
from django.http import HttpRequest

from patients import guards
from patients.models import AuditSeal, FieldKey, User, write_event
from patients.rotating import check_keys
from patients.sealing.keys import KeysDoNotFit
from patients.signing_in import lasting, second_step

# Databases that this process has looked into.
_fitting: set[str] = set()


@receiver(connection_created, dispatch_uid="patients.check_keys")
def look_at_once(sender: Any, connection: BaseDatabaseWrapper, **kwargs: Any) -> None:
    """Before the first read and the first write. Raises KeysDoNotFit, and leaves the database closed."""
    name = f"{connection.settings_dict['HOST']}/{connection.settings_dict['NAME']}"
    if name in _fitting or not _has(connection, FieldKey):
        return
    try:
        check_keys(connection.alias)
    except KeysDoNotFit:
        connection.close()
        raise
    _fitting.add(name)


@receiver(user_logged_in, dispatch_uid="patients.signed_in")
def somebody_signed_in(sender: Any, request: HttpRequest, user: User, **kwargs: Any) -> None:
    lasting.begin(request)
    write_event("person.signed_in", by=user, about=user)


@receiver(authenticator_used, dispatch_uid="patients.second_step_taken")
def somebody_took_the_second_step(sender: Any, request: HttpRequest, user: User, **kwargs: Any) -> None:
    second_step.note_taken(request, user)


@receiver(authenticator_added, dispatch_uid="patients.second_step_added")
def somebody_set_up_a_second_step(
    sender: Any, request: HttpRequest, user: User, authenticator: Authenticator, **kwargs: Any
) -> None:
    second_step.note_taken(request, user)
    write_event("person.second_step_added", by=user, about=user, reason=authenticator.type)


@receiver(authenticator_removed, dispatch_uid="patients.second_step_removed")
def somebody_removed_a_second_step(sender: Any, user: User, authenticator: Authenticator, **kwargs: Any) -> None:
    write_event("person.second_step_removed", by=user, about=user, reason=authenticator.type)


@receiver(authenticator_reset, dispatch_uid="patients.recovery_codes_made")
def somebody_made_new_recovery_codes(sender: Any, user: User, authenticator: Authenticator, **kwargs: Any) -> None:
    write_event("person.recovery_codes_made", by=user, about=user)


@receiver(authentication_failed, dispatch_uid="patients.second_step_failed")
def somebody_failed_the_second_step(sender: Any, user: User, authenticator: Authenticator, **kwargs: Any) -> None:
    """Whoever it was had the right password."""
    write_event("person.second_step_failed", by=None, about=user, reason=authenticator.type)


@receiver(password_changed, dispatch_uid="patients.password_changed")
def somebody_changed_their_password(sender: Any, user: User, **kwargs: Any) -> None:
    write_event("person.password_changed", by=user, about=user)


@receiver(user_logged_out, dispatch_uid="patients.signed_out")
def somebody_signed_out(sender: Any, user: User | None, **kwargs: Any) -> None:
    if user is not None:
        write_event("person.signed_out", by=user, about=user)


@receiver(user_login_failed, dispatch_uid="patients.sign_in_failed")
def somebody_could_not_sign_in(sender: Any, credentials: dict[str, Any], **kwargs: Any) -> None:
    """The name is sealed, since people type passwords there; the account is told where there is one of that name."""
    name = f"{credentials.get('username', '')}"[:150]
    write_event("person.sign_in_failed", by=None, about=User.objects.filter(username=name).first(), reason=name)


@receiver(pre_migrate, dispatch_uid="patients.take_guards_off")
def take_guards_off(sender: Any, using: str, plan: Any = (), **kwargs: Any) -> None:
    """Only where a migration follows, which may build the trail's tables anew."""
    if sender.name == "patients" and plan:
        guards.take_off(using)


@receiver(post_migrate, dispatch_uid="patients.put_guards_on")
def put_guards_on(sender: Any, using: str, **kwargs: Any) -> None:
    if sender.name == "patients" and _has(connections[using], AuditSeal):
        guards.put_on(using)


@receiver(post_migrate, dispatch_uid="patients.check_keys")
def look_after_migrating(sender: Any, using: str, **kwargs: Any) -> None:
    """A new database notes down the key that it begins with."""
    if sender.name == "patients" and _has(connections[using], FieldKey):
        check_keys(using)


def _has(connection: BaseDatabaseWrapper, model: type[Model]) -> bool:
    """False for a database that was not migrated so far."""
    return model._meta.db_table in connection.introspection.table_names()
