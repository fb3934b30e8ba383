"""What Django's own validators do not know: which words somebody tries first at this very service."""

import re
from collections.abc import Iterator
from typing import Any

from django.core.exceptions import ValidationError

from patients.models import Clinic

# Of the service and of its trade. The clinics' own names come to them.
WORDS = ("ivigtrack", "ivig", "infusion", "immunoglobulin", "myositis", "reaction", "clinic", "nurse", "password")
# Shorter parts of a clinic's name stand in too many words.
SHORTEST_PART = 4
# So many different letters beside them make it another password. This project's own.
LEAST_OF_ONES_OWN = 6
# Digits and signs that stand for letters; a one for either of two.
WRITTEN_OTHERWISE = (str.maketrans("013457@$", "oieastas"), str.maketrans("013457@$", "oleastas"))


class NotOfHereValidator:
    """Refuses a password that is little more than the name of the service, of its trade or of a clinic, with digits."""

    def validate(self, password: str, user: Any = None) -> None:
        """Raise ValidationError where too little is left without those words."""
        if any(_is_little_else(re.sub(r"[\W_]", "", password.lower().translate(table))) for table in WRITTEN_OTHERWISE):
            raise ValidationError(
                "This password is made of words that others try first here, such as the name of the clinic.",
                code="password_of_here",
            )

    def get_help_text(self) -> str:
        return "Your password can’t be made of the name of the clinic or of this service."


def _of_clinics() -> Iterator[str]:
    for name, slug in Clinic.objects.values_list("name", "slug"):
        yield from (part for part in re.findall(r"\w+", f"{name} {slug}".lower()) if len(part) >= SHORTEST_PART)


def _is_little_else(letters: str) -> bool:
    """One of the words stands there, and few letters beside."""
    left = letters
    for word in sorted({*WORDS, *_of_clinics()}, key=len, reverse=True):
        left = left.replace(word, "")
    return left != letters and len(set(re.sub(r"\d", "", left))) < LEAST_OF_ONES_OWN
