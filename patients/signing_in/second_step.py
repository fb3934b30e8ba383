"""The second step of a sign-in: an authenticator app, a passkey or security key, or a recovery code.

Nobody who is staff gets beyond the page that sets one up without having one, superusers included.
"""

import time

from allauth.mfa.models import Authenticator
from allauth.usersessions.models import UserSession
from django.contrib.auth.models import AbstractBaseUser, AnonymousUser
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest

from patients.models import User, write_event
from patients.sealing.keys import seal, under_first_key, unseal

# Under which keys secrets and the seed of recovery codes are sealed (patients/sealing).
PURPOSE = "mfa_authenticator.data"
# In a session: the person who took the second step in it, and when they last did, in seconds since 1970.
TAKEN_BY, TAKEN_AT = "second_step", "second_step_at"
# For so long nobody is asked for it again before what changes it. This project's own.
JUST_S = 5 * 60
# Parts of an authenticator's data that are sealed.
SECRETS = ("secret", "seed")


def of(user: AbstractBaseUser) -> QuerySet[Authenticator]:
    """The person's second steps. Recovery codes are no step of their own: they stand in for one."""
    return Authenticator.objects.filter(user_id=user.pk).exclude(type=Authenticator.Type.RECOVERY_CODES)


def has_one(user: AbstractBaseUser | AnonymousUser) -> bool:
    return isinstance(user, AbstractBaseUser) and of(user).exists()


def note_taken(request: HttpRequest, user: AbstractBaseUser) -> None:
    """Remember in the session that this person took it. It outlives the new session key at the sign-in."""
    request.session[TAKEN_BY], request.session[TAKEN_AT] = user.pk, time.time()


def is_taken(request: HttpRequest) -> bool:
    """Whether who is signed in took the second step in this very session."""
    return request.user.is_authenticated and request.session.get(TAKEN_BY) == request.user.pk


def was_just_taken(request: HttpRequest) -> bool:
    return is_taken(request) and time.time() - request.session[TAKEN_AT] < JUST_S


@transaction.atomic
def forget(user: User, *, by: User | None, reason: str) -> None:
    """For who has lost phone and codes: no second step is left, and nobody stays signed in as this person.

    The next sign-in, with the password, sets up a new one.
    """
    Authenticator.objects.filter(user=user).delete()
    for session in UserSession.objects.filter(user=user):
        session.end()
    write_event("person.second_step_forgotten", by=by, about=user, reason=reason)


def seal_anew(authenticator: Authenticator) -> bool:
    """Seal its secrets under the first key. False where they are. Raises KeysDoNotFit where no key opens them."""
    data = dict(authenticator.data)
    old = [name for name in SECRETS if name in data and not under_first_key(PURPOSE, data[name])]
    for name in old:
        data[name] = seal(PURPOSE, unseal(PURPOSE, data[name]))
    # Where somebody changed it meanwhile, it is under a newer key already.
    return bool(old and Authenticator.objects.filter(pk=authenticator.pk, data=authenticator.data).update(data=data))
