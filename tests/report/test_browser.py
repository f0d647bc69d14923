"""The page in a real browser, where there is one: it must load without a single complaint, in light and dark."""

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from saerl_core.report.page import render_report
from tests.browser import Browser, chromium_binary
from tests.report.checking import SECTIONS
from tests.report.factory import HOSTILE, full_run, hostile_run

TALL = (1000, 40_000)  # every chart is near the window: all of them come alive
ALIVE = "document.querySelectorAll('.live.shown svg').length === document.querySelectorAll('.drawing').length"

# Asks the browser, not us: which sections take up room, and whether anything is wider than the window.
SEEN = "[...document.querySelectorAll('section')].filter(s => s.getBoundingClientRect().height > 80).map(s => s.id)"
FITS = "document.documentElement.scrollWidth <= innerWidth"
N_EMPTY = "[...document.querySelectorAll('.drawing svg')].filter(s => s.getBoundingClientRect().height < 40).length"
N_PLANTED = """document.querySelectorAll("img, main script:not([type='application/json'])").length"""

# Points at a mark as a reader does, and returns what the tooltip holds.
POINT = """(async (section, mark) => {
  const r = document.querySelector(section + " .drawing").querySelector(mark).getBoundingClientRect();
  const at = { bubbles: true, clientX: r.x + r.width / 2, clientY: r.y + r.height / 2 };
  const target = document.querySelector(section + " .drawing").querySelector(mark);
  for (const kind of ["pointerover", "pointermove"]) target.dispatchEvent(new PointerEvent(kind, at));
  await new Promise(resume => setTimeout(resume, 200));
  return document.getElementById("chart-tip").innerText.replace(/\\s+/g, " ").trim();
})"""

Window = Callable[..., Browser]


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    chromium_binary()  # or skip
    browser = Browser(tmp_path_factory.mktemp("browser"))
    yield browser
    browser.close()


@pytest.fixture(scope="module")
def pages() -> dict[str, str]:
    return {"full": render_report(full_run(600, n_steps=12)), "hostile": render_report(hostile_run())}


@pytest.fixture
def window(browser: Browser, pages: dict[str, str], tmp_path: Path) -> Window:
    """A function that shows a page in a window of some size, in a browser that has not complained yet."""

    def show(name: str, size: tuple[int, int] = TALL, colours: str = "light") -> Browser:
        path = tmp_path / "report.html"
        path.write_text(pages[name])
        browser.complaints.clear()
        browser.prefer(colours).resize(*size).open(path.as_uri())
        browser.wait_until(f"document.readyState === 'complete' && location.href === {json.dumps(path.as_uri())}")
        return browser

    return show


@pytest.mark.parametrize("colours", ["light", "dark"])
def test_browser_shows_every_section_without_complaint(window: Window, colours: str) -> None:
    browser = window("full", colours=colours)
    browser.wait_until(ALIVE)
    assert browser.evaluate(f"matchMedia('(prefers-color-scheme: {colours})').matches")
    assert browser.evaluate(SEEN) == list(SECTIONS)
    assert browser.evaluate(FITS)
    assert browser.evaluate(N_EMPTY) == 0
    assert browser.complaints == []


def test_browser_fits_a_narrow_window(window: Window) -> None:
    assert window("full", size=(500, 900)).evaluate(FITS)


def test_browser_runs_nothing_that_was_planted(window: Window) -> None:
    browser = window("hostile")
    browser.wait_until(ALIVE)
    assert browser.evaluate(N_PLANTED) == 0
    assert browser.complaints == []


def test_browser_tells_the_prompt_behind_a_point_and_the_value_of_a_curve(window: Window) -> None:
    browser = window("hostile")
    browser.wait_until(ALIVE)
    point = browser.evaluate(f"{POINT}('#clusters', '.mark-symbol path')")
    assert point.startswith(f"prompt {HOSTILE}")  # as text: nothing of it ran
    assert "cluster" in point
    curve = browser.evaluate(f"{POINT}('#sae', '.hover_voronoi path')")
    assert re.fullmatch(r"curve loss step \d+ value [\d.]+", curve)
    assert browser.complaints == []
