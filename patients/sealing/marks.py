"""Marks by which patients are found though their names are sealed: a blind index.

A mark is eight bytes of a keyed digest of the beginning of a name, of the beginning of a record number, or of a birth
date, within one clinic. Equal beginnings have equal marks: who steals the database and no key learns how often some
beginning occurs in a clinic, not which one it is.
"""

import unicodedata
from collections.abc import Iterable, Iterator
from datetime import date

from patients.sealing.keys import digests

# Beginnings that have a mark, in letters. Of a longer name only its first letters count, of a longer number the whole.
NAME_LENGTHS = range(2, 13)
# Patients of one clinic often have numbers that begin alike.
NUMBER_LENGTHS = range(3, 13)
# Letters whose strokes are no accents of their own in Unicode.
WHOLE = str.maketrans({"ł": "l", "ø": "o", "đ": "d", "ð": "d", "þ": "th", "æ": "ae", "œ": "oe", "ı": "i"})


def normal(text: str) -> str:
    """The text without accents, in small letters: “Müller” and “MULLER” are found alike."""
    apart = unicodedata.normalize("NFKD", text.casefold().translate(WHOLE))
    return "".join(letter for letter in apart if not unicodedata.combining(letter))


def marks_of(clinic_pk: int, names: Iterable[str], number: str, born: date | None) -> set[int]:
    """The marks to keep of a patient."""
    said = [("name", beginning) for name in names for word in _words(name) for beginning in _begin(word, NAME_LENGTHS)]
    plain = normal(number)
    said += [("number", beginning) for beginning in (*_begin(plain, NUMBER_LENGTHS), plain)]
    if born is not None:
        said.append(("born", f"{born}"))
    return {_marks(clinic_pk, *what)[0] for what in said}


def marks_for(clinic_pk: int, word: str) -> set[int]:
    """Each patient of the clinic for whom the word may stand has one of these marks; under each key in use."""
    plain = normal(word)
    said = [("name", plain[: NAME_LENGTHS[-1]]), ("number", plain), ("born", plain)]
    return {mark for what in said for mark in _marks(clinic_pk, *what)}


def _words(name: str) -> Iterator[str]:
    """The words of a name, and the parts of those with a hyphen."""
    for word in normal(name).split():
        yield word
        yield from filter(None, word.split("-")[1:])


def _begin(word: str, lengths: range) -> list[str]:
    """The word's beginnings of those lengths. One that is shorter than all of them is its own."""
    return [word[:length] for length in lengths if length <= len(word)] or [word]


def _marks(clinic_pk: int, kind: str, said: str) -> list[int]:
    found = digests("patients.mark", f"{clinic_pk} {kind} {said}")
    return [int.from_bytes(digest[:8], signed=True) for digest in found]
