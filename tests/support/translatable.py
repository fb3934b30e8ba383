"""Which texts of a template or module are to be translated, read from the source. Pure."""

import ast
import re

TRANSLATE = re.compile(r"""\{%\s*trans(?:late)?\s+(?:"(?P<double>[^"]*)"|'(?P<single>[^']*)')""")
BLOCK = re.compile(r"\{%\s*blocktrans(?:late)?\b[^%]*%\}(?P<text>.*?)\{%\s*endblocktrans(?:late)?\s*%\}", re.DOTALL)
FILTERED = re.compile(r"""_\((?:"([^"]*)"|'([^']*)')\)""")
VARIABLE = re.compile(r"\{\{\s*(\w+)[^}]*\}\}")
CALLS = {"_", "gettext", "gettext_lazy"}


def of_template(source: str) -> set[str]:
    """The texts of `translate` and `blocktranslate`, as they stand in a `.po` file."""
    plain = {found["double"] or found["single"] for found in TRANSLATE.finditer(source)}
    filtered = {one or two for one, two in FILTERED.findall(source)}
    blocks = {VARIABLE.sub(r"%(\1)s", found["text"].replace("%", "%%")) for found in BLOCK.finditer(source)}
    return plain | filtered | blocks


def of_module(source: str) -> set[str]:
    """The constant texts that are handed to gettext."""
    calls = (node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call))
    named = (node for node in calls if isinstance(node.func, ast.Name) and node.func.id in CALLS)
    given = (node.args[0] for node in named if node.args)
    return {one.value for one in given if isinstance(one, ast.Constant) and isinstance(one.value, str)}
