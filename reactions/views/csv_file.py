"""What a view answers where a file is asked for that a spreadsheet opens."""

from django.forms import Form
from django.http import HttpResponse, HttpResponseBadRequest


def csv_file(name: str, text: str) -> HttpResponse:
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return HttpResponse(text, content_type="text/csv; charset=utf-8", headers=headers)


def no_file(form: Form) -> HttpResponseBadRequest:
    """What is amiss with the filters, in words, where there is no page to mark them on."""
    said = " ".join(
        f"{form[name].label}: {error}" if name in form.fields else str(error)
        for name, errors in form.errors.items()
        for error in errors
    )
    return HttpResponseBadRequest(f"{said}\n", content_type="text/plain; charset=utf-8")
