"""Pages with forms, as a person uses them who logs in and consents."""

from __future__ import annotations

import re
from html import unescape
from urllib.parse import urljoin

import requests

SECONDS = 20


class Page:
    """A page with forms, in a browser of its own that keeps cookies."""

    def __init__(self, url: str) -> None:
        self._session = requests.Session()
        self._answer = self._session.get(url, timeout=SECONDS)

    @property
    def text(self) -> str:
        return self._answer.text

    def submit(self, **filled: str) -> None:
        """Fill the page's form in and send it; follow to the next page."""
        form = re.search(r"<form.*?</form>", self.text, re.DOTALL)
        assert form, self.text
        action = re.search(r'action="([^"]*)"', form[0])
        hidden = re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', form[0])
        fields = {name: unescape(value) for name, value in hidden}
        url = urljoin(self._answer.url, action[1] if action else "")
        self._answer = self._session.post(url, {**fields, **filled}, timeout=SECONDS)
        assert self._answer.status_code == 200, self.text

    def follow(self, text: str) -> None:
        """Follow the link that has a text."""
        link = re.search(rf'<a [^>]*href="([^"]*)"[^>]*>{re.escape(text)}</a>', self.text)
        assert link, self.text
        self._answer = self._session.get(urljoin(self._answer.url, unescape(link[1])), timeout=SECONDS)
        assert self._answer.status_code == 200, self.text
