"""What the log must not say: who has a patient's link answers in their name, who has an invitation's signs in."""

import logging
import re

LINK = re.compile(r"""(/c/(?:stop/)?|/invitation/[^/\s"']+/)[^/\s"']+""")


class WithoutLinks(logging.Filter):
    """Takes the token out of every path that has one, wherever in a message it stands."""

    def filter(self, record: logging.LogRecord) -> bool:
        said = record.getMessage()
        if "/c/" in said or "/invitation/" in said:
            record.msg, record.args = LINK.sub(r"\1…", said), ()
        return True
