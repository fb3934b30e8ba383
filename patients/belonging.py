"""Which rows of the database are about one patient: followed from the models, so that new ones are found too."""

from collections.abc import Iterator
from functools import cache
from typing import Any

from django.apps import apps
from django.db import models
from django.db.models import Q

from patients.models import Patient


@cache
def ways_to_patient(model: type[models.Model]) -> tuple[str, ...]:
    """Paths from a model to the patient whom a row is about, such as "infusion__patient"; none where it is about none.

    One that each row has, where there is such; else all that some rows have. "pk" for the patient itself.
    """
    return tuple(path for path, _ in _ways(model, ()))


def _ways(model: type[models.Model], passed: tuple[type[models.Model], ...]) -> list[tuple[str, bool]]:
    """(path, whether some rows lack it)."""
    if model is Patient:
        return [("pk", False)]
    found: list[tuple[str, bool]] = []
    for field in model._meta.concrete_fields:
        target: Any = field.related_model
        if target is None or target in passed or target is model:
            continue
        for path, is_lacking in _ways(target, (*passed, model)):
            whole = field.name if path == "pk" else f"{field.name}__{path}"
            found.append((whole, is_lacking or field.null))
    certain = [way for way in found if not way[1]]
    return [min(certain, key=lambda way: way[0].count("__"))] if certain else found


def rows_about(patient: Patient) -> Iterator[models.QuerySet]:
    """The rows of each model that are about the patient, the patient's own first; of proxies none.

    As plain querysets, past what managers forbid.
    """
    own = [model for model in apps.get_models() if not model._meta.proxy and ways_to_patient(model)]
    for model in sorted(own, key=lambda model: model is not Patient):
        about = Q()
        for path in ways_to_patient(model):
            about |= Q(**{path: patient.pk})
        pks: models.QuerySet = models.QuerySet(model).filter(about).order_by().values("pk")
        yield models.QuerySet(model).filter(pk__in=pks)
