"""A form with sets of rows below it, handled as one."""

from abc import ABC, abstractmethod
from typing import Any, Self
from uuid import UUID

from django import forms

from patients.forms.fields import Difference, differences
from reactions.forms.rows import BaseRows, with_one_more


class Entry(ABC):
    """What the forms of an infusion and of a reaction have in common; `rows` are their sets by the names people read.

    A button may only ask for one row more, or for words beside the rows: what was typed is then shown as it stands,
    neither judged nor to be saved (`only_asks`). `data` is what was sent, with the row that was asked for.
    """

    form: Any
    rows: dict[str, BaseRows]

    def __init__(self, data: Any) -> None:
        more = data.get("add_row", "") if data is not None else ""
        self.only_asks = data is not None and bool(more or "show" in data)
        self.data = with_one_more(data, more) if more else data

    @property
    @abstractmethod
    def parts(self) -> tuple[forms.Form, ...]:
        """Every form of the page, in its order."""

    @property
    def failed(self) -> bool:
        """Something typed was refused."""
        return any(form.errors for form in self.parts)

    @property
    def is_sent(self) -> bool:
        """It is to be saved."""
        return bool(self.form.is_bound) and not self.only_asks

    def differences_from(self, fresh: Self) -> list[Difference]:
        """Every field and set of rows in which what was typed and the stored record disagree."""
        found = differences(fresh.form, self.form)
        for label, here in self.rows.items():
            there = fresh.rows[label].in_lines()
            if there != here.in_lines():
                found.append(Difference(label, there, here.in_lines()))
        return found

    @property
    def submission_id(self) -> UUID:
        submission: UUID = self.form.cleaned_data["submission_id"]
        return submission
