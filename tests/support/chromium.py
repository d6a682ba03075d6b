"""A headless Chromium, driven by its DevTools protocol over a pipe: needs no driver and no library."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import pytest

#: Of Debian's package, and what it is called elsewhere.
_NAMES = ("chromium", "chromium-browser", "google-chrome")
_OPTIONS = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars"]
_OPTIONS += ["--no-first-run", "--font-render-hinting=none", "--remote-debugging-pipe"]

#: Returns the texts whose contrast with what is behind them is too low (WCAG 2.2, 1.4.3, for
#: large ones as well), among those that are seen.
_LOW_CONTRAST = """
(() => {
  const parse = (text) => { const n = text.match(/[\\d.]+/g).map(Number); return [n[0], n[1], n[2], n[3] ?? 1]; };
  const over = (top, below) => [0, 1, 2].map((i) => top[i] * top[3] + below[i] * (1 - top[3])).concat(1);
  const light = (c) => [0.2126, 0.7152, 0.0722].reduce((sum, weight, i) => {
    const v = c[i] / 255; return sum + weight * (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4); }, 0);
  const ground = (element) => {
    if (!element) return [255, 255, 255, 1];
    const own = parse(getComputedStyle(element).backgroundColor);
    return own[3] === 1 ? own : over(own, ground(element.parentElement));
  };
  const found = [], walker = document.createTreeWalker(document.querySelector(ROOT), NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const text = walker.currentNode.textContent.trim(), element = walker.currentNode.parentElement;
    const box = element.getBoundingClientRect(), style = getComputedStyle(element);
    if (!text || !element.checkVisibility() || box.width < 2 || ["title", "desc"].includes(element.tagName)) continue;
    const behind = ground(element);
    const ink = over(parse(element instanceof SVGElement ? style.fill : style.color), behind);
    const [a, b] = [light(ink), light(behind)], ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < 4.5) found.push(`${text.slice(0, 40)}: ${ratio.toFixed(2)}`);
  }
  return found;
})()
"""
#: Returns what sticks out to the right, unless somebody can scroll to it.
_CUT_OFF = """
[...document.querySelectorAll(ROOT + " *")].filter((element) => {
  const box = element.getBoundingClientRect();
  return element.checkVisibility() && box.width > 1 && box.right > document.documentElement.clientWidth + 1;
}).map((element) => `${element.tagName}.${element.className} ${element.textContent.trim().slice(0, 40)}`)
"""


def path() -> str | None:
    """Return where Chromium is, if it is installed."""
    return next(filter(None, map(shutil.which, _NAMES)), None)


def require() -> None:
    """Skip the test if Chromium is not installed; where CI is set it has to be, and the test fails."""
    if path() is None:
        text = "Chromium is not installed (Debian: apt-get install chromium)"
        if os.environ.get("CI"):
            pytest.fail(text)
        pytest.skip(text)


class Chromium:
    """One page of a running browser."""

    def __init__(self, to: IO[bytes], back: IO[bytes]) -> None:
        self._to, self._back = to, back
        self._number, self._target = 0, ""
        #: What the browser complained of: errors, and violations of the content security policy.
        self.complaints: list[str] = []
        target = self._ask("Target.createTarget", url="about:blank")["targetId"]
        self._target = self._ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self._ask(f"{domain}.enable")

    @classmethod
    @contextmanager
    def started(cls, folder: Path) -> Iterator[Chromium]:
        """Start it with a profile in an empty folder; it ends with the block. Where it is missing, see ``require``."""
        require()
        (read, to), (back, write) = os.pipe(), os.pipe()
        # It reads commands from descriptor 3 and answers on 4; not every sh can name one that has two digits.
        shell = ["bash", "-c", f'exec "$0" "$@" 3<&{read} 4>&{write}', str(path())]
        command = [*shell, *_OPTIONS, f"--user-data-dir={folder}"]
        with (
            os.fdopen(to, "wb", 0) as commands,
            os.fdopen(back, "rb") as answers,
            subprocess.Popen(command, pass_fds=(read, write), stderr=subprocess.DEVNULL) as process,
        ):
            os.close(read)
            os.close(write)
            try:
                yield cls(commands, answers)
            finally:
                process.kill()

    def log_in(self, url: str, session: str) -> None:
        """Have the browser send the cookie of a session of Django's."""
        self._ask("Network.setCookie", url=url, name="sessionid", value=session)

    def look_like(self, scheme: str, width: int, height: int) -> None:
        """Prefer "light" or "dark", in a window of this size."""
        self._ask("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500}
        self._ask("Emulation.setDeviceMetricsOverride", **size)

    def without_scripts(self) -> None:
        """Run no script of any page from now on."""
        self._ask("Emulation.setScriptExecutionDisabled", value=True)

    def open(self, url: str) -> None:
        """Open a page and wait until all of it is there."""
        self._ask("Page.navigate", url=url)
        self.wait_for_page()

    def wait_for_page(self) -> None:
        """Wait until the page that was asked for is there."""
        while self._next().get("method") != "Page.loadEventFired":
            pass

    def evaluate(self, expression: str) -> Any:
        """Return the value of an expression in the page."""
        answer = self._ask("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def press(self, *keys: str) -> None:
        """Press keys, such as Tab, or type the characters of a text."""
        for key in keys:
            text = {"Enter": "\r"}.get(key, key if len(key) == 1 else "")
            code = {"Tab": 9, "Enter": 13}.get(key, 0)
            for kind in ("keyDown", "keyUp"):
                self._ask("Input.dispatchKeyEvent", type=kind, key=key, text=text, windowsVirtualKeyCode=code)

    def low_contrast(self, root: str) -> list[str]:
        """Return the texts of a part of the page that are hard to read, each with its ratio."""
        return list(self.evaluate(_LOW_CONTRAST.replace("ROOT", json.dumps(root))))

    def cut_off(self, root: str) -> list[str]:
        """Return what a part of the page has to the right of the window."""
        return list(self.evaluate(_CUT_OFF.replace("ROOT", json.dumps(root))))

    def picture(self, of: str = "") -> bytes:
        """Return the window, or all of one element, as a PNG."""
        clip: dict[str, Any] = {}
        if of:
            box = f"document.querySelector({json.dumps(of)}).getBoundingClientRect()"
            x, y, width, height = self.evaluate(f"(b => [b.x, b.y + scrollY, b.width, b.height])({box})")
            clip = {"clip": {"x": x, "y": y, "width": width, "height": height, "scale": 1}}
        shot = self._ask("Page.captureScreenshot", format="png", captureBeyondViewport=bool(of), **clip)
        return base64.b64decode(shot["data"])

    def _ask(self, method: str, **parameters: Any) -> Any:
        self._number += 1
        asked: dict[str, Any] = {"id": self._number, "method": method, "params": parameters}
        if self._target:
            asked["sessionId"] = self._target
        self._to.write(json.dumps(asked).encode() + b"\0")
        while True:
            answer = self._next()
            if answer.get("id") == self._number:
                assert "error" not in answer, (method, answer["error"])
                return answer["result"]

    def _next(self) -> dict[str, Any]:
        received = bytearray()
        while (byte := self._back.read(1)) != b"\0":
            assert byte, "Chromium has ended"
            received += byte
        message: dict[str, Any] = json.loads(received)
        if message.get("method") == "Log.entryAdded":
            entry = message["params"]["entry"]
            if not entry.get("url", "").endswith("/favicon.ico"):  # which a site may have, and ours has not
                self.complaints.append(f"{entry['level']}: {entry['text']} {entry.get('url', '')}")
        return message
