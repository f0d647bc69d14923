"""The page in a real browser, where there is one: it must load without a single complaint, in light and dark."""

import base64
import hashlib
import re
import subprocess
from html import unescape
from pathlib import Path

import pytest

from saerl_core.report.page import render_report
from tests.browser import chromium_binary
from tests.report.checking import SECTIONS
from tests.report.factory import HOSTILE, full_run, hostile_run

# Asks the browser, not us: which sections take up room, and whether anything is wider than the window.
PROBE = """addEventListener("load",async()=>{
const boxes=document.querySelectorAll(".drawing"),shown=()=>document.querySelectorAll(".live.shown svg").length;
for(let i=0;i<100&&innerHeight>9000&&shown()<boxes.length;i++)await new Promise(r=>setTimeout(r,50));
const seen=[...document.querySelectorAll("section")].filter(s=>s.getBoundingClientRect().height>80).map(s=>s.id);
const empty=[...document.querySelectorAll(".drawing svg")].filter(s=>s.getBoundingClientRect().height<40).length;
const planted=document.querySelectorAll("img,main script:not([type='application/json'])").length;
document.title=["PROBE",seen.join(","),document.documentElement.scrollWidth<=innerWidth,empty,planted,shown()===boxes.length].join("|")})"""

# Points at a prompt of the map and at a curve, as a reader does, and says what the tooltip holds.
POINT = """addEventListener("load",async()=>{
const wait=ms=>new Promise(r=>setTimeout(r,ms)),box=id=>[...document.querySelectorAll(id+" .drawing")];
for(let i=0;i<100&&document.querySelectorAll(".live.shown svg").length<box("").length;i++)await wait(50);
const told=[];
const find=(section,mark)=>box(section)[0].querySelector(mark);
for(const mark of [find("#clusters",".mark-symbol path"),find("#sae",".hover_voronoi path")]){
const r=mark.getBoundingClientRect(),at={bubbles:true,clientX:r.x+r.width/2,clientY:r.y+r.height/2};
for(const kind of ["pointerover","pointermove"])mark.dispatchEvent(new PointerEvent(kind,at));
await wait(100);told.push(document.getElementById("chart-tip").innerText.replace(/\\s+/g," "))}
document.title=told.join("|")})"""

TALL = "--window-size=1000,40000"  # every chart is near the window: all of them come alive


@pytest.fixture(scope="module")
def chromium() -> str:
    return chromium_binary()


def _open(chromium: str, tmp_path: Path, html: str, *arguments: str, probe: str = PROBE) -> tuple[str, str]:
    path = tmp_path / "report.html"
    digest = base64.b64encode(hashlib.sha256(probe.encode()).digest()).decode()
    html = html.replace("script-src ", f"script-src 'sha256-{digest}' ", 1)
    before, end, after = html.rpartition("</body>")  # the page's own script holds one too
    path.write_text(f"{before}<script>{probe}</script>{end}{after}")
    flags = ["--headless=new", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path / 'profile'}"]
    quiet = ["--enable-logging=stderr", "--v=0", "--virtual-time-budget=10000", *arguments]
    run = subprocess.run(
        [chromium, *flags, *quiet, "--dump-dom", path.as_uri()], capture_output=True, text=True, timeout=120, check=True
    )
    title = run.stdout.split("<title>")[1].split("</title>")[0]
    console = [line for line in run.stderr.splitlines() if "CONSOLE" in line]
    return title, "\n".join(console)


@pytest.mark.parametrize("colours", ["light", "dark"])
def test_browser_shows_every_section_without_complaint(chromium: str, tmp_path: Path, colours: str) -> None:
    scheme = f"--blink-settings=preferredColorScheme={int(colours == 'light')}"
    title, console = _open(chromium, tmp_path, render_report(full_run(600, n_steps=12)), scheme, TALL)
    mark, seen, fits, n_empty, _, live = title.split("|")
    assert mark == "PROBE"
    assert seen.split(",") == list(SECTIONS)
    assert fits == "true"
    assert n_empty == "0"
    assert live == "true"
    assert console == ""


def test_browser_fits_a_narrow_window(chromium: str, tmp_path: Path) -> None:
    title, _ = _open(chromium, tmp_path, render_report(full_run(600, n_steps=12)), "--window-size=500,900")
    assert title.split("|")[2] == "true"


def test_browser_runs_nothing_that_was_planted(chromium: str, tmp_path: Path) -> None:
    title, console = _open(chromium, tmp_path, render_report(hostile_run()), TALL)
    assert title.split("|")[4:] == ["0", "true"]
    assert console == ""


def test_browser_tells_the_prompt_behind_a_point_and_the_value_of_a_curve(chromium: str, tmp_path: Path) -> None:
    inputs = hostile_run()
    title, console = _open(chromium, tmp_path, render_report(inputs), TALL, probe=POINT)
    point, curve = unescape(title).split("|")
    assert point.startswith(f"prompt {HOSTILE}")  # as text: nothing of it ran
    assert "cluster" in point
    assert re.fullmatch(r"curve loss step \d+ value [\d.]+", curve.strip())
    assert console == ""
