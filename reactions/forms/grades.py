"""What the grades of a CTCAE term mean, beside a row of the reaction's form and on a page of their own."""

from dataclasses import dataclass

from reactions.clinical import ctcae


@dataclass(frozen=True)
class Grades:
    """A term in a version: the grades that exist, and what to bear in mind."""

    term: ctcae.Term
    version: str
    hints: dict[int, str]
    note: str
    remarks: tuple[str, ...]


def grades_of(term: str, version: str) -> Grades:
    """Raises KeyError for an unknown term. `hints` is empty when the version does not have the term."""
    return Grades(
        term=ctcae.TERMS[term],
        version=version,
        hints=ctcae.hints(term, version),
        note=ctcae.note(term, version),
        remarks=ctcae.remarks(version),
    )
