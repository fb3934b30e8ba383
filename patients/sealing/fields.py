"""Columns that hold sealed text. In Python they are what they were; the database sees a token, or that there is none.

An empty text stays empty, and a missing value NULL, so that constraints and filters can ask whether something is there.
Every other comparison in the database is refused: it would compare tokens, of which no two are alike.
"""

import json
from collections.abc import Sequence
from datetime import date
from typing import Any

from django.core.exceptions import FieldError
from django.core.serializers.json import DjangoJSONEncoder
from django.db import models
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models.lookups import Exact, IsNull, Lookup

from patients.sealing.keys import seal, unseal


class OnlyEmpty(Exact):
    """`field=""`: the one thing that a sealed text can be compared with."""

    def __init__(self, lhs: Any, rhs: Any) -> None:
        if rhs is not None and rhs != "":
            raise FieldError(
                "A sealed value can only be compared with an empty text. Search by patients.sealing.marks."
            )
        super().__init__(lhs, rhs)


class Sealed(models.Field):
    """What the fields below have in common. `to_text` and `of_text` lead from a value to its text and back."""

    @property
    def purpose(self) -> str:
        """Which key seals it: one for each column."""
        return f"{self.model._meta.label_lower}.{self.name}"

    def get_internal_type(self) -> str:
        return "TextField"

    def get_lookup(self, lookup_name: str) -> type[Lookup] | None:
        return {"exact": OnlyEmpty, "isnull": IsNull}.get(lookup_name)

    def get_transform(self, lookup_name: str) -> Any:
        """None: what is sealed has no parts."""
        return None

    def get_prep_value(self, value: Any) -> Any:
        return value

    def get_db_prep_value(self, value: Any, connection: BaseDatabaseWrapper, prepared: bool = False) -> str | None:
        if value is None or value == "":
            return value
        return seal(self.purpose, self.to_text(value))

    def get_db_prep_save(self, value: Any, connection: BaseDatabaseWrapper) -> Any:
        if hasattr(value, "as_sql"):
            return value
        return self.get_db_prep_value(value, connection)

    def from_db_value(self, value: str | None, expression: Any, connection: BaseDatabaseWrapper) -> Any:
        return value if value is None or value == "" else self.of_text(unseal(self.purpose, value))

    def to_text(self, value: Any) -> str:
        return str(value)

    def of_text(self, text: str) -> Any:
        return text


class SealedCharField(Sealed, models.CharField):
    """A line of text. `max_length` counts what is typed; the token is longer, and has room."""


class SealedTextField(Sealed, models.TextField):
    pass


class SealedEmailField(Sealed, models.EmailField):
    pass


class SealedDateField(Sealed, models.DateField):
    def to_text(self, value: Any) -> str:
        return self.to_python(value).isoformat()

    def of_text(self, text: str) -> date:
        return date.fromisoformat(text)


class SealedJSONField(Sealed, models.JSONField):
    get_transform: Any = Sealed.get_transform

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **{"encoder": DjangoJSONEncoder} | kwargs)

    def to_text(self, value: Any) -> str:
        return json.dumps(value, cls=self.encoder)

    def of_text(self, text: str) -> Any:
        return json.loads(text, cls=self.decoder)


def sealed_fields(model: type[models.Model]) -> Sequence[Sealed]:
    """The model's columns that are sealed."""
    return [field for field in model._meta.concrete_fields if isinstance(field, Sealed)]
