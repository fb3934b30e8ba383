"""Rows in a form: vials, drugs, symptoms. Blank rows are passed over; a button of the form adds more, no script."""

import re
from typing import Any, cast

from crispy_forms.helper import FormHelper
from django import forms
from django.core.validators import RegexValidator
from django.forms.utils import ErrorDict, ErrorList
from django.http import QueryDict

from patients.forms.fields import as_read, with_value

MOST_ROWS = 40


class OwnWordsField(forms.CharField):
    """A name in the person's own words. Brackets enclose such names in an infusion log, so they hold none."""

    default_validators = [RegexValidator(r"^[^()]*$", "Write it without brackets.")]


class RowForm(forms.Form):
    """One row. `meaningful` names the fields that make it count as filled in, `more` a template shown below them.

    `widths` are the columns that fields take on a wide screen; they share the line evenly otherwise.
    """

    meaningful: tuple[str, ...] = ()
    widths: dict[str, str] = {}
    more = ""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.empty_permitted = False
        self.use_required_attribute = False
        self.helper = FormHelper()
        self.helper.form_tag = False

    @property
    def placed(self) -> list[tuple[forms.BoundField, str]]:
        """Each field to show, with its width."""
        return [(field, self.widths.get(field.name, "col-lg")) for field in self.visible_fields()]

    def is_blank(self) -> bool:
        """Nothing that matters was typed in this row."""
        return all(not str(self.data.get(self.add_prefix(name), "")).strip() for name in self.meaningful)

    def full_clean(self) -> None:
        if self.is_bound and self.is_blank():
            self._errors, self.cleaned_data = ErrorDict(), {}
            return
        super().full_clean()

    def need(self, name: str, message: str) -> None:
        """Say beside the field that it is missing, unless something is said there already."""
        if self.cleaned_data.get(name) in (None, "") and name not in self.errors:
            self.add_error(name, message)


class BaseRows(forms.BaseFormSet):
    """A set of rows. Where the count of its rows got lost on the way, the rows that came are counted."""

    _errors: list[Any] | None
    _non_form_errors: ErrorList | None

    def __init__(self, data: Any = None, *, prefix: str, **kwargs: Any) -> None:
        if data is not None:
            for limit in ("MIN_NUM", "MAX_NUM"):
                # The page sends them along; nobody goes by them.
                data = with_value(data, f"{prefix}-{limit}_FORMS", "")
            counts = [data.get(f"{prefix}-{count}_FORMS", "") for count in ("TOTAL", "INITIAL")]
            if not all(re.fullmatch(r"\d{1,9}", count, re.ASCII) for count in counts):
                data = _counted(data, prefix)
        super().__init__(data, prefix=prefix, **kwargs)

    def filled(self) -> list[dict[str, Any]]:
        """The values of the rows in which something was typed."""
        return [form.cleaned_data for form in self.forms if form.cleaned_data]

    def in_lines(self) -> str:
        """The rows as a person reads them, a line each; “none” without any."""
        rows = [[as_read(field) for field in form.visible_fields()] for form in self.forms]
        lines = [" ".join(words for words in row if words not in {"empty", "no"}) for row in rows]
        return "\n".join(line for line in lines if line) or "none"

    def filled_forms(self) -> list[Any]:
        return [form for form in self.forms if form.cleaned_data]


def rows_of(form: type[RowForm], *, spare: int) -> type[BaseRows]:
    """A set of rows with some to spare."""
    made = forms.formset_factory(
        form, formset=BaseRows, extra=spare, max_num=MOST_ROWS, validate_max=True, absolute_max=MOST_ROWS + 10
    )
    return cast("type[BaseRows]", made)


def _counted(data: QueryDict, prefix: str) -> QueryDict:
    rows = [int(found[1]) for name in data if (found := re.match(rf"{prefix}-(\d{{1,3}})-", name))]
    counted = with_value(data, f"{prefix}-TOTAL_FORMS", str(max(rows, default=-1) + 1))
    return with_value(counted, f"{prefix}-INITIAL_FORMS", "0")


def with_one_more(data: QueryDict, prefix: str) -> QueryDict:
    """The data that was typed, with one blank row more in the set of that prefix."""
    count = data.get(f"{prefix}-TOTAL_FORMS", "0")
    rows = int(count) if count.isdecimal() and len(count) < 4 else 0
    return with_value(data, f"{prefix}-TOTAL_FORMS", str(min(rows + 1, MOST_ROWS)))


def forget_errors(*entries: Any) -> None:
    """Show forms as they were typed, without judging them yet."""
    for entry in entries:
        if isinstance(entry, BaseRows):
            entry._errors, entry._non_form_errors = [{} for _ in entry.forms], ErrorList()
            forget_errors(*entry.forms)
        else:
            entry._errors, entry.cleaned_data = ErrorDict(), {}
