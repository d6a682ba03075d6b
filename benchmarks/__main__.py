"""Run ``python -m benchmarks``, or some of it by name, and write ``benchmarks/results``."""

from __future__ import annotations

import argparse
import os
import tempfile
from collections.abc import Callable
from pathlib import Path

from benchmarks import (
    accounts,
    async_calls,
    background_refresh,
    databases,
    hot_path,
    imports,
    profile,
    readme,
    report,
    scale,
    single_refresh,
    stampede,
    token_cache,
    upstreams,
)

Told = argparse.Namespace


def _hot_path(aliases: list[str], url: str, told: Told) -> None:
    hot_path.run(aliases, url, rounds=20 if told.quick else int(400 * told.effort))


def _profile(aliases: list[str], url: str, told: Told) -> None:
    profile.run(aliases, url, rounds=10 if told.quick else int(500 * told.effort))


def _async_calls(aliases: list[str], url: str, told: Told) -> None:
    async_calls.run(aliases, url, is_quick=told.quick, effort=told.effort)


def _token_cache(aliases: list[str], url: str, told: Told) -> None:
    token_cache.run(aliases, url, is_quick=told.quick, effort=told.effort)


def _accounts(aliases: list[str], url: str, told: Told) -> None:
    accounts.run(aliases, url, is_quick=told.quick, effort=told.effort)


def _stampede(aliases: list[str], url: str, told: Told) -> None:
    stampede.run(aliases, url, is_quick=told.quick, effort=told.effort)


def _scale(aliases: list[str], url: str, told: Told) -> None:
    scale.run(aliases, url, is_quick=told.quick, number=3 if told.quick else int(15 * told.effort))


def _background_refresh(aliases: list[str], url: str, told: Told) -> None:
    background_refresh.run(aliases, url, size=200 if told.quick else told.due, most=told.refresh)


def _single_refresh(aliases: list[str], url: str, told: Told) -> None:
    number, rare = (5, 1) if told.quick else (int(200 * told.effort), 5)
    single_refresh.run(aliases, url, number=number, rare=rare)


def _imports(_: list[str], __: str, told: Told) -> None:
    imports.run(rounds=1 if told.quick else 10)


#: Each with the upstream that it calls.
ALL: dict[str, tuple[str, Callable[[list[str], str, Told], None]]] = {
    "hot_path": ("fast", _hot_path),
    "profile": ("fast", _profile),
    "async_calls": ("slow", _async_calls),
    "token_cache": ("fast", _token_cache),
    "accounts": ("fast", _accounts),
    "stampede": ("rotating", _stampede),
    "scale": ("fast", _scale),
    "background_refresh": ("counting", _background_refresh),
    "single_refresh": ("fast", _single_refresh),
    "imports": ("fast", _imports),
}


def main() -> None:
    """Make the databases, run what was asked for, and destroy them."""
    told = _told()
    if told.quick:
        report.Folder.path = Path(tempfile.mkdtemp(prefix="jwt_upstream_benchmarks_"))
    report.Folder.path.mkdir(exist_ok=True)
    # What this machine's environment says of proxies and certificates is no part of the comparison.
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"):
        os.environ.pop(name, None)
    with databases.made() as aliases:
        for name in told.which:
            kind, run = ALL[name]
            with upstreams.running(kind) as url:
                run(aliases, url, told)
    if not told.quick and all((report.RESULTS / f"{name}.json").exists() for name in ALL):
        readme.write()


def _told() -> Told:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("which", nargs="*", help=f"{', '.join(ALL)}; all of them by default.")
    parser.add_argument("--quick", action="store_true", help="A smoke test that keeps no results.")
    parser.add_argument("--due", type=int, default=10_000, help="Credentials of the background refresh (%(default)s).")
    parser.add_argument("--refresh", type=int, default=10_000, help="How many of them at most (%(default)s).")
    parser.add_argument("--effort", type=float, default=1.0, help="Less than 1: fewer rounds, for a busy machine.")
    told = parser.parse_args()
    if unknown := set(told.which) - set(ALL):
        parser.error(f"there is no {', '.join(sorted(unknown))}; there are {', '.join(ALL)}")
    told.which = told.which or list(ALL)
    return told


if __name__ == "__main__":
    main()
