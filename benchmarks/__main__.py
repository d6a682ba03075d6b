"""``python -m benchmarks [hot_path] [stampede] [scale] [--quick]``: run them and write ``benchmarks/results``."""

from __future__ import annotations

import argparse
import os
import tempfile
from pathlib import Path

from benchmarks import databases, hot_path, readme, report, scale, stampede, upstreams

ALL = ["hot_path", "stampede", "scale"]


def main() -> None:
    """Make the databases, run what was asked for, and destroy them."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("which", nargs="*", default=ALL, metavar="|".join(ALL))
    parser.add_argument("--quick", action="store_true", help="A smoke test that keeps no results.")
    parser.add_argument("--effort", type=float, default=1.0, help="Less than 1: fewer rounds, for a busy machine.")
    told = parser.parse_args()
    if told.quick:
        report.Folder.path = Path(tempfile.mkdtemp(prefix="jwt_upstream_benchmarks_"))
    report.Folder.path.mkdir(exist_ok=True)
    # What this machine's environment says of proxies and certificates is no part of the comparison.
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"):
        os.environ.pop(name, None)
    with databases.made() as aliases:
        if "hot_path" in told.which:
            with upstreams.running("fast") as url:
                hot_path.run(aliases, url, rounds=20 if told.quick else int(600 * told.effort))
        if "stampede" in told.which:
            with upstreams.running("rotating") as url:
                stampede.run(aliases, url, is_quick=told.quick, effort=told.effort)
        if "scale" in told.which:
            with upstreams.running("fast") as url:
                scale.run(aliases, url, is_quick=told.quick, number=3 if told.quick else int(15 * told.effort))
    if not told.quick and all((report.RESULTS / f"{name}.json").exists() for name in ALL):
        readme.write()


if __name__ == "__main__":
    main()
