"""What the log must not say: whoever has a patient's link can answer in their name."""

import logging
import re

LINK = re.compile(r"(/c/(?:stop/)?)[^/\\s\"']+")


class WithoutLinks(logging.Filter):
    """Takes the token out of every path of a patient's page, wherever in a message it stands."""

    def filter(self, record: logging.LogRecord) -> bool:
        said = record.getMessage()
        if "/c/" in said:
            record.msg, record.args = LINK.sub(r"\1…", said), ()
        return True
