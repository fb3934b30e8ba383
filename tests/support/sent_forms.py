"""The forms of a page as a browser finds them: where they go, and what they send when nobody touches them."""

from dataclasses import dataclass, field
from html.parser import HTMLParser

TYPED = {"text", "email", "tel", "number", "date", "datetime-local", "password", "search", "textarea"}


@dataclass
class SentForm:
    """A form with method POST: `data` is sent by a browser, `kinds` names the type of every control.

    A text field that asks for the keys of a number counts as "number".
    """

    action: str
    data: dict[str, list[str]] = field(default_factory=dict)
    kinds: dict[str, str] = field(default_factory=dict)

    def typed(self) -> dict[str, list[str]]:
        """What stands in controls that a person sees and fills."""
        return {name: values for name, values in self.data.items() if self.kinds[name] not in {"hidden", "submit"}}


def forms_of(page: str, address: str) -> list[SentForm]:
    """The forms of the page at `address` that POST, those of the frame around it, such as signing out, left out."""
    reader = _Reader(address)
    reader.feed(page)
    return [form for form in reader.forms.values() if form.kinds and not form.action.endswith("/sign-out/")]


class _Reader(HTMLParser):
    def __init__(self, address: str) -> None:
        super().__init__()
        self.address = address
        self.forms: dict[int, SentForm] = {}
        self.by_id: dict[str, SentForm] = {}
        self.form: SentForm | None = None
        self.select = self.area = ""
        self.area_form: SentForm | None = None
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        has = dict(attrs)
        name, kind = has.get("name") or "", has.get("type") or "text"
        if kind == "text" and has.get("inputmode") in {"decimal", "numeric"}:
            kind = "number"
        if tag == "form":
            self.form = (
                SentForm(has.get("action") or self.address) if (has.get("method") or "").lower() == "post" else None
            )
            if self.form:
                self.forms[len(self.forms)] = self.form
                self.by_id[has.get("id") or ""] = self.form
            return
        form = self.by_id.get(has.get("form") or "", self.form) if has.get("form") else self.form
        if form is None:
            return
        if tag == "option" and self.select:
            if "selected" in has:
                form.data.setdefault(self.select, []).append(has.get("value") or "")
            return
        if not name or name == "csrfmiddlewaretoken" or "disabled" in has:
            return
        if tag == "input":
            form.kinds[name] = kind
            if kind in {"checkbox", "radio"}:
                if "checked" in has:
                    form.data.setdefault(name, []).append(has.get("value") or "on")
            elif kind not in {"submit", "button"}:
                form.data.setdefault(name, []).append(has.get("value") or "")
        elif tag == "select":
            form.kinds[name], self.select = "select", name
        elif tag == "textarea":
            form.kinds[name], self.area, self.area_form, self.text = "textarea", name, form, ""

    def handle_data(self, data: str) -> None:
        if self.area:
            self.text += data

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self.form = None
        elif tag == "select":
            self.select = ""
        elif tag == "textarea" and self.area and self.area_form:
            # A browser leaves out the line break that begins it.
            text = self.text.removeprefix("\r\n").removeprefix("\n")
            self.area_form.data.setdefault(self.area, []).append(text)
            self.area = ""
