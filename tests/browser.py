"""A headless Chromium that a test talks to: pages are opened, waited for, read with their frames, and photographed.

It speaks the DevTools protocol over a pair of pipes: no port is opened, and no package is needed.
"""

import base64
import json
import os
import select
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

# Chromium wants its pipes as descriptors 3 and 4; both are taken out of the way first, as one of them may be 3 or 4.
_ON_3_AND_4 = """
import fcntl, os, sys
ends = [fcntl.fcntl(int(end), fcntl.F_DUPFD, 10) for end in sys.argv[1:3]]
os.dup2(ends[0], 3)
os.dup2(ends[1], 4)
os.execv(sys.argv[3], sys.argv[3:])
"""


def chromium_binary() -> str:
    """Return the browser's binary; skips the test, with the reason, where there is none."""
    names = ("chromium", "chromium-browser", "google-chrome")
    found = os.environ.get("CHROMIUM") or next((path for name in names if (path := shutil.which(name))), "")
    if not found:
        pytest.skip("no Chromium: install it (apt-get install chromium) or name its binary in $CHROMIUM")
    return found


class Browser:
    """One window. Frames of a page stay in the page's process, so that their text can be read too."""

    def __init__(self, folder: Path, width: int = 1500, height: int = 1000) -> None:
        down_read, down_write = os.pipe()
        up_read, up_write = os.pipe()
        flags = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run"]
        flags += ["--disable-site-isolation-trials", "--disable-features=IsolateSandboxedIframes,IsolateOrigins"]
        flags += ["--disable-background-networking", "--remote-debugging-pipe", f"--user-data-dir={folder / 'profile'}"]
        wrapper = [sys.executable, "-c", _ON_3_AND_4, str(down_read), str(up_write), chromium_binary()]
        command = [*wrapper, *flags, f"--window-size={width},{height}", "about:blank"]
        with (folder / "chromium.log").open("wb") as log:
            self._process = subprocess.Popen(
                command, pass_fds=(down_read, up_write), stdout=log, stderr=log, start_new_session=True
            )
        os.close(down_read)
        os.close(up_write)
        self._down, self._up, self._last_id, self._rest = down_write, up_read, 0, b""
        self._session: str | None = None
        self.contexts: dict[int, dict] = {}  # of JavaScript: one for each frame
        self.complaints: list[str] = []  # of pages opened so far: what their consoles and the browser itself said
        pages = self._call("Target.getTargets")["targetInfos"]
        target = next(t["targetId"] for t in pages if t["type"] == "page")
        self._session = self._call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        self._call("Page.enable")
        self._call("Runtime.enable")
        self._call("Log.enable")

    def close(self) -> None:
        self._session = None
        try:
            self._call("Browser.close")
            self._process.wait(20)
        except (RuntimeError, subprocess.TimeoutExpired):
            os.killpg(self._process.pid, 9)  # a session of its own: nobody else is in it
            self._process.wait()
        os.close(self._down)
        os.close(self._up)

    def open(self, address: str) -> "Browser":
        self._call("Page.navigate", url=address)
        return self

    def prefer(self, colours: str) -> "Browser":
        """Tell pages that the reader wants `light` or `dark`."""
        self._call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": colours}])
        return self

    def resize(self, width: int, height: int) -> "Browser":
        """Give pages another size of the window, in CSS pixels."""
        self._call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
        return self

    def evaluate(self, expression: str, context: int | None = None):
        where = {} if context is None else {"contextId": context}
        answer = self._call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True, **where)
        return answer["result"].get("value")

    def text(self) -> str:
        """Return what the page and its frames show."""
        shown = []
        self.evaluate("0")  # news about frames come with an answer
        for context in list(self.contexts):
            try:
                shown.append(self.evaluate("document.body ? document.body.innerText : ''", context) or "")
            except RuntimeError:  # the frame has gone
                continue
        return "\n".join(shown)

    def wait_for(self, *words: str, timeout_s: float = 90.0) -> str:
        """Wait until all words are shown and return the text; fails with what is shown instead."""
        deadline = time.monotonic() + timeout_s
        while True:
            text = self.text()
            missing = [word for word in words if word not in text]
            if not missing:
                return text
            assert time.monotonic() < deadline, (
                f"{missing} not shown by {self.evaluate('location.href')}:\n{text[:4000]}"
            )
            time.sleep(0.3)

    def wait_until(self, expression: str, timeout_s: float = 60.0):
        """Wait until a JavaScript expression is true, and return its value."""
        deadline = time.monotonic() + timeout_s
        while not (value := self.evaluate(expression)):
            assert time.monotonic() < deadline, f"never true: {expression}\n{self.text()[:4000]}"
            time.sleep(0.3)
        return value

    def type(self, selector: str, text: str) -> None:
        """Put text into a field as a keyboard does."""
        self.wait_until(f"(e => e && (e.focus(), true))(document.querySelector({json.dumps(selector)}))")
        self._call("Input.insertText", text=text)

    def screenshot(self, file: Path) -> Path:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(base64.b64decode(self._call("Page.captureScreenshot", format="png")["data"]))
        return file

    def _call(self, method: str, **params):
        self._last_id += 1
        message = {"id": self._last_id, "method": method, "params": params}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._down, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._read()
            if answer.get("id") == self._last_id:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']}")
                return answer["result"]
            self._notice(answer.get("method"), answer.get("params", {}))

    def _notice(self, method: str | None, params: dict) -> None:
        if method == "Runtime.executionContextCreated":
            self.contexts[params["context"]["id"]] = params["context"]
        elif method == "Runtime.executionContextDestroyed":
            self.contexts.pop(params["executionContextId"], None)
        elif method == "Runtime.executionContextsCleared":
            self.contexts.clear()
        elif method == "Runtime.consoleAPICalled":
            self.complaints.append(" ".join(str(part.get("value", part.get("description"))) for part in params["args"]))
        elif method == "Runtime.exceptionThrown":
            self.complaints.append(str(params["exceptionDetails"]))
        elif method == "Log.entryAdded":
            self.complaints.append(params["entry"]["text"])

    def _read(self, timeout_s: float = 90.0) -> dict:
        while b"\0" not in self._rest:
            if not select.select([self._up], [], [], timeout_s)[0]:
                raise RuntimeError(f"Chromium has not answered for {timeout_s:g} s")
            part = os.read(self._up, 1 << 20)
            if not part:
                raise RuntimeError("Chromium has ended")
            self._rest += part
        message, _, self._rest = self._rest.partition(b"\0")
        return json.loads(message)
