"""What is written down is true."""

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def test_every_setting_of_the_environment_is_documented_and_nothing_else() -> None:
    read = set(re.findall(r'env\.\w+\(\s*"([A-Z_]+)"', (ROOT / "ivigtrack" / "settings.py").read_text()))
    written = set(re.findall(r"^\| `([A-Z_]+)` \|", (ROOT / "docs" / "settings.md").read_text(), re.MULTILINE))
    assert read == written


def test_the_tests_that_ci_runs_are_the_ones_of_the_readme() -> None:
    assert "\nmake test " in (ROOT / "README.md").read_text()
    assert (ROOT / ".ci" / "run").read_text().splitlines()[-1] == "make test"


def test_every_page_that_the_readme_names_is_there() -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", (ROOT / "README.md").read_text()):
        assert (ROOT / target).exists(), target


def test_the_order_of_imports_is_written_down_as_it_is_enforced() -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    page = (ROOT / "docs" / "architecture.md").read_text().replace("\n  ", " ").replace("`", "")
    for app in ("reactions", "patients"):
        [layers] = [contract["layers"] for contract in contracts if contract.get("containers") == [app]]
        order = " → ".join(layer.replace(" : ", ", ") for layer in layers)
        assert f"- inside {app}: {order}\n" in page


def test_the_decisions_are_numbered_without_gaps() -> None:
    numbers = sorted(int(page.name[:4]) for page in (ROOT / "docs" / "adr").glob("*.md"))
    assert numbers == list(range(1, len(numbers) + 1))


def test_each_security_requirement_is_answered_once_and_by_what_is_there() -> None:
    asked = [line for line in (ROOT / "tests/data/asvs_5_level_2.txt").read_text().splitlines() if line[0] == "V"]
    page = (ROOT / "docs" / "security.md").read_text()
    assert sorted(re.findall(r"\bV\d+\.\d+\.\d+\b", page)) == sorted(asked)
    for file in set(re.findall(r"`((?:[\w./]+/)?(?:test_\w+\.py|access\.txt))`", page)):
        assert (ROOT / file).exists() or (ROOT / "tests" / "security" / file).exists(), file
    for file in set(re.findall(r"`((?:patients|reactions|ivigtrack)/[\w./]+\.py)`", page)):
        assert (ROOT / file).exists(), file
