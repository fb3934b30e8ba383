"""Looking at a page as its users would: at three widths, in light and dark, with an eye for what keeps people out.

Pictures for people to look at take half of a journey's time and find nothing by themselves, so they are taken when the
environment variable PICTURES is set: `PICTURES=1 make test` leaves them in var/screenshots.
"""

import os
from pathlib import Path

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Error, Page

WIDTHS = {390: 844, 820: 1180, 1280: 800}
PICTURES = Path(__file__).resolve().parents[2] / "var" / "screenshots"
TARGET_PX = 48
# What is tapped: a tick-box by its label. Links within a text are read before they are tapped.
LOWER_THAN = """(target) => {
  const shown = (one) => one.checkVisibility({visibilityProperty: true}) && !one.closest(".visually-hidden");
  const tapped = (one) => ["checkbox", "radio"].includes(one.type) ? one.labels[0] ?? one : one;
  return [...document.querySelectorAll("main :is(button, input, select, textarea, summary, a.btn, a.correct)")]
    .filter((one) => one.type !== "hidden" && shown(one) && shown(tapped(one)))
    .filter((one) => tapped(one).getBoundingClientRect().height < target - 0.5)
    .map((one) => `${one.tagName} ${one.name || one.id || one.textContent.trim()}`);
}"""
# A change of scheme fades in over a moment on some pages, whose colours between the two are nobody's.
COLOURS_CHANGED = "() => Promise.all(document.getAnimations().map((fading) => fading.finished.catch(() => null)))"
# Chromium's words for a picture that it did not take; nothing of the page is meant.
NO_PICTURE = "Unable to capture screenshot"
# The browser's own console words for an answer of 404, 410 or 503, which some journeys provoke.
EXPECTED_IN_CONSOLE = "Failed to load resource"


def look_at(page: Page, name: str) -> None:
    """Check at each width and scheme that nothing is cut off or out of reach; keep a picture of each when asked to.

    Raises AssertionError when the page scrolls sideways, breaks a rule of WCAG 2.2, level AA, or has a button or field
    that a gloved finger misses; the administration is for a mouse.
    """
    page.wait_for_load_state()
    size = page.viewport_size
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        page.evaluate(COLOURS_CHANGED)
        for width, height in WIDTHS.items():
            page.set_viewport_size({"width": width, "height": height})
            if os.environ.get("PICTURES"):
                _keep_picture(page, f"{name}-{width}-{scheme}")
            wider = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
            assert wider <= 0, f"{name} is {wider} px wider than a screen of {width} px"
            low = [] if "/admin/" in page.url else page.evaluate(LOWER_THAN, TARGET_PX)
            assert not low, f"{name}: lower than {TARGET_PX} px on a screen of {width} px: {low}"
        _check_rules(page, f"{name}, {scheme}")
    page.emulate_media(color_scheme="light")
    if size:
        page.set_viewport_size(size)


def _keep_picture(page: Page, name: str) -> None:
    """A browser that is short of time or memory takes no picture at once, and takes it when asked again."""
    PICTURES.mkdir(parents=True, exist_ok=True)
    for attempts_left in (2, 1, 0):
        try:
            page.screenshot(path=PICTURES / f"{name}.png", full_page=True)
        except Error as error:
            if NO_PICTURE not in error.message or not attempts_left:
                raise
        else:
            return


def _check_rules(page: Page, where: str) -> None:
    rules = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
    # Without the thousands of elements that break none, which take longer to hand over than to look at.
    found = Axe().run(page, options={"runOnly": rules, "resultTypes": ["violations"]})
    broken = [
        f"{violation['id']}: {[node['target'] for node in violation['nodes'][:3]]}"
        for violation in found.response["violations"]
    ]
    assert not broken, f"{where}: {os.linesep.join(broken)}"
