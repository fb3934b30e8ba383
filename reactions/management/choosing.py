"""Which clinics a command is about."""

from django.core.management.base import CommandError

from patients.models import Clinic


def clinics_named(slug: str | None) -> list[Clinic]:
    """That clinic alone, or all without a slug. Raises CommandError with those there are for an unknown one."""
    clinics = list(Clinic.objects.all())
    chosen = [clinic for clinic in clinics if clinic.slug == slug] if slug else clinics
    if slug and not chosen:
        known = ", ".join(clinic.slug for clinic in clinics) or "none yet"
        raise CommandError(f"There is no clinic “{slug}”. Clinics: {known}.")
    return chosen
