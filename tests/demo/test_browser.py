"""The demo's page in a real browser, served by a demo that runs: what a person sees, hears and does there."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.chromium import Chromium, require
from tests.support.screenshots import keep

pytestmark = pytest.mark.browser

DESKTOP, PHONE = (1280, 860), (375, 812)


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address that the terminal shows; in the end the demo is told to end, and leaves no secret."""
    require()
    folder = tmp_path_factory.mktemp("demo")
    command = [sys.executable, "-m", "project.demo", "--page", "--port", "0", "--folder", str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        told = iter(process.stdout.readline, "")
        yield next(match[0] for line in told if (match := re.search(r"http://\S+/sign-in/\S+", line)))
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=20)
    assert process.returncode == 143
    assert {each.name for each in folder.iterdir()} <= {"lock", "log", "mails"}


@pytest.fixture
def chromium(address: str, tmp_path: Path) -> Iterator[Chromium]:
    """A browser with the page, signed in as the terminal's address does; it must have complained of nothing."""
    with Chromium.started(tmp_path) as chromium:
        chromium.look_like("light", *DESKTOP)
        chromium.open(address)
        yield chromium
        assert chromium.complaints == []


def wait_for(chromium: Chromium, condition: str) -> None:
    """Wait until an expression is true in the page, at most ten seconds."""
    give_up_at = time.monotonic() + 10
    while not chromium.evaluate(condition):
        assert time.monotonic() < give_up_at, (condition, chromium.evaluate("document.body.innerText"))
        time.sleep(0.05)  # the page polls by itself


def press(chromium: Chromium, text: str) -> None:
    """Go to a button with the tab key, and press it."""
    chromium.evaluate("document.activeElement.blur()")
    for _ in range(60):
        chromium.press("Tab")
        if chromium.evaluate("document.activeElement.textContent") == text:
            break
    else:
        pytest.fail(f"no key leads to {text}: {chromium.evaluate('location.href + document.body.innerText')}")
    assert chromium.evaluate("getComputedStyle(document.activeElement).outlineStyle") != "none"
    chromium.press("Enter")


def says(text: str) -> str:
    """Return the expression that tells whether the page says something."""
    return f"document.body?.innerText.includes({text!r})"  # a page that has just begun has no body


def polls(chromium: Chromium, times: int) -> None:
    """Wait until the page has fetched so many times more what has changed."""
    count = "performance.getEntriesByType('resource').filter(e => e.name.endsWith('/fragment/')).length"
    wait_for(chromium, f"{count} >= {chromium.evaluate(count) + times}")


def test_looks(chromium: Chromium) -> None:
    """Nothing is cut off or hard to read, in light and in dark, wide and on a phone, in good times and in bad."""
    found = {}
    press(chromium, "Call with all at once")
    wait_for(chromium, says("12 × 200"))
    polls(chromium, 2)
    chromium.evaluate("document.activeElement.blur()")
    for action in ("", "Lock the account"):
        if action:
            press(chromium, action)
            wait_for(chromium, says("Calls fail: AccountLocked."))
        for scheme, size in [("light", DESKTOP), ("dark", DESKTOP), ("light", PHONE), ("dark", PHONE)]:
            chromium.look_like(scheme, *size)
            name = f"demo-{scheme}" + ("-phone" if size is PHONE else "") + ("-bad" if action else "")
            found[name] = [*chromium.low_contrast("body"), *chromium.cut_off("body")]
            if name == "demo-light":
                keep(name, chromium)
        chromium.look_like("light", *DESKTOP)
    assert {name: problems for name, problems in found.items() if problems} == {}
    mend(chromium)


def mend(chromium: Chromium) -> None:
    """Unlock the account, log in, and wait until calls succeed."""
    press(chromium, "Unlock it")
    press(chromium, "Log in again")
    wait_for(chromium, says("Calls succeed."))


def test_what_is_read_stays(chromium: Chromium) -> None:
    """While the page polls, the focus, a selection and what is unfolded stay, in the same nodes."""
    press(chromium, "Lock the account")
    wait_for(chromium, "document.querySelector('details[data-key^=mail]') !== null")  # the admins' mail
    mend(chromium)
    chromium.evaluate("window.unfolded = document.querySelector('details[data-key^=mail]'); unfolded.open = true")
    chromium.evaluate("window.focused = document.querySelector('[data-key=overview]'); focused.focus()")
    chromium.evaluate("getSelection().selectAllChildren(document.querySelector('section.card td + td'))")
    selected = chromium.evaluate("getSelection().toString()")
    assert selected == "Ida Lund"
    generation = "document.querySelector('.left').closest('section').innerText.match(/number (\\d+)/)[1]"
    before = chromium.evaluate(generation)
    polls(chromium, 2)
    wait_for(chromium, f"{generation} !== {before!r}")
    assert chromium.evaluate("document.activeElement === focused && focused.isConnected")
    assert chromium.evaluate("getSelection().toString()") == selected
    assert chromium.evaluate("unfolded.open && unfolded.isConnected")


def test_what_is_read_out(chromium: Chromium) -> None:
    """A screen reader is told politely what has changed, once, and nothing while all stays as it is."""
    chromium.evaluate(
        "window.told = []; new MutationObserver((all) => told.push(...all.map((one) => one.target.textContent)))"
        ".observe(document.getElementById('status'), {characterData: true, childList: true, subtree: true})"
    )
    assert chromium.evaluate("document.querySelectorAll('[role=status], [aria-live]').length") == 2
    polls(chromium, 2)
    assert chromium.evaluate("told") == []
    press(chromium, "Lock the account")
    wait_for(chromium, "told.length")
    assert chromium.evaluate("document.activeElement.textContent") == "Lock the account"
    assert "locked at the upstream" in chromium.evaluate("document.getElementById('messages').innerText")
    polls(chromium, 2)
    assert chromium.evaluate("told") == ["Calls fail: AccountLocked."]
    mend(chromium)


def test_pause(chromium: Chromium) -> None:
    """Who needs peace stops the page by its button, and a page that nobody sees asks nothing."""
    count = "performance.getEntriesByType('resource').filter(e => e.name.endsWith('/fragment/')).length"
    polls(chromium, 1)
    for stop, go_on in (
        ("pause.click()", "pause.click()"),
        ("show(false)", "show(true)"),
    ):
        chromium.evaluate(
            "window.show = (seen) => { Object.defineProperty(document, 'hidden', {value: !seen, configurable: true});"
            "document.dispatchEvent(new Event('visibilitychange')); }"
        )
        chromium.evaluate(stop)
        time.sleep(1)  # what was asked before may still be answered
        asked = chromium.evaluate(count)
        time.sleep(1.5)
        assert chromium.evaluate(count) == asked
        chromium.evaluate(go_on)
        polls(chromium, 1)


def test_login_by_browser(chromium: Chromium) -> None:
    """From the page's button to the upstream's own page and back into the admin, by keyboard alone."""
    shown = "[...document.querySelectorAll('code')].slice(-2).map((code) => code.textContent)"
    username, password = chromium.evaluate(shown)
    press(chromium, "Log in by browser")
    chromium.wait_for_page()
    chromium.evaluate("document.querySelector('[name=account]').value = 'ida'")
    chromium.evaluate("document.querySelector('[name=account]').form.requestSubmit()")
    chromium.wait_for_page()
    assert "/oauth/authorize/" in chromium.evaluate("location.pathname")
    assert [*chromium.low_contrast("body"), *chromium.cut_off("body")] == []
    chromium.press(*username, "Tab", *password, "Enter")
    chromium.wait_for_page()
    assert "Logged in: partner/ida." in chromium.evaluate("document.body.innerText")


def test_operator_mends_it(address: str, tmp_path: Path) -> None:
    """Somebody who has the mail and a password mends a locked account by its link and the admin, within a minute."""
    site, _, password = address.rstrip("/").rpartition("/sign-in/")
    with Chromium.started(tmp_path) as chromium:  # in which nobody is signed in
        chromium.look_like("light", *DESKTOP)
        chromium.open(site)
        locked, over = mails("is locked"), mails("works again")
        before = [chromium.evaluate(f"{each}.length") for each in (locked, over)]
        press(chromium, "Lock the account")
        wait_for(chromium, says("Calls fail: AccountLocked."))
        wait_for(chromium, f"{locked}.length > {before[0]}")
        mail = chromium.evaluate(f"{locked}[0].textContent")
        press(chromium, "Unlock it")
        wait_for(chromium, says("The account is unlocked at the upstream."))
        assert chromium.evaluate(says("Calls fail: AccountLocked."))  # until somebody acts
        began = time.monotonic()
        chromium.open(next(word for word in mail.split() if word.startswith(f"{site}/admin/")))
        wait_for(chromium, "document.activeElement.name === 'username'")
        chromium.press(*"demo", "Tab", *password, "Enter")
        wait_for(chromium, f"{says('Try again')} && document.readyState === 'complete'")
        press(chromium, "Try again")
        wait_for(chromium, says("Credential sample/default works: it has a new token."))
        chromium.open(site)
        wait_for(chromium, says("Calls succeed."))
        assert time.monotonic() - began < 60
        wait_for(chromium, f"{over}.length > {before[1]}")
        assert chromium.complaints == []


def mails(about: str) -> str:
    """Return the expression of the mails on the page whose subject says something, the newest first."""
    found = "[...document.querySelectorAll('details[data-key^=mail]')]"
    return f"{found}.filter((mail) => mail.dataset.key.includes({about!r}))"
