"""Pages with forms, as a person uses them who logs in and consents: in a real browser, or faster without one."""

from __future__ import annotations

import json
import re
from html import unescape
from typing import Protocol
from urllib.parse import urljoin

import requests

from tests.support.chromium import Chromium

SECONDS = 20


class Shown(Protocol):
    """A page that a person sees."""

    @property
    def text(self) -> str:
        """What is on it."""

    def submit(self, **filled: str) -> None:
        """Fill the page's form in and send it; follow to the next page. A button is pressed by its name."""

    def follow(self, text: str) -> None:
        """Follow the link that has a text."""


class Opens(Protocol):
    """Opens an address in a browser."""

    def __call__(self, url: str, /) -> Shown:
        """Return the page that is there."""


class Page:
    """A page whose forms are sent by requests, with cookies of its own."""

    def __init__(self, url: str) -> None:
        self._session = requests.Session()
        self._answer = self._session.get(url, timeout=SECONDS)

    @property
    def text(self) -> str:
        return self._answer.text

    def submit(self, **filled: str) -> None:
        form = re.search(r"<form.*?</form>", self.text, re.DOTALL)
        assert form, self.text
        action = re.search(r'action="([^"]*)"', form[0])
        hidden = re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', form[0])
        fields = {name: unescape(value) for name, value in hidden}
        url = urljoin(self._answer.url, action[1] if action else "")
        self._answer = self._session.post(url, {**fields, **filled}, timeout=SECONDS)
        assert self._answer.status_code == 200, self.text

    def follow(self, text: str) -> None:
        link = re.search(rf'<a [^>]*href="([^"]*)"[^>]*>{re.escape(text)}</a>', self.text)
        assert link, self.text
        self._answer = self._session.get(urljoin(self._answer.url, unescape(link[1])), timeout=SECONDS)
        assert self._answer.status_code == 200, self.text


#: Fills the first form in, and presses the button that is named, or the first one.
_SUBMIT = """
(filled => {
  const form = document.forms[0], buttons = [...form.elements].filter(element => element.type === "submit");
  const named = buttons.find(button => button.name in filled && button.value === filled[button.name]);
  for (const [name, value] of Object.entries(filled)) if (name !== named?.name) form.elements[name].value = value;
  (named ?? buttons[0]).click();
})(FILLED)
"""


class PageInChromium:
    """A page that Chromium shows: what it runs, sends and refuses is up to the browser."""

    def __init__(self, chromium: Chromium, url: str) -> None:
        self._chromium = chromium
        chromium.open(url)

    @property
    def text(self) -> str:
        return str(self._chromium.evaluate("document.body.innerText"))

    def submit(self, **filled: str) -> None:
        self._chromium.evaluate(_SUBMIT.replace("FILLED", json.dumps(filled)))
        self._chromium.wait_for_page()

    def follow(self, text: str) -> None:
        self._chromium.evaluate(f"[...document.links].find(link => link.textContent === {json.dumps(text)}).click()")
        self._chromium.wait_for_page()
