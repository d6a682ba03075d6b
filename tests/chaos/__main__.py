"""``python -m tests.chaos [--seconds 180] [--seed 1] [--database sqlite|postgres|mariadb] [--own-server]``."""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import sys
import tempfile
from pathlib import Path
from random import SystemRandom

from tests.chaos import logs, stage
from tests.chaos.checks import table

_URLS = {
    "sqlite": "",
    "postgres": "postgres://root@127.0.0.1:5432/test",
    "mariadb": "mysql://root@127.0.0.1:3306/test",
}


def main(arguments: list[str]) -> int:
    """Run, check, and print one table; return the exit code, 1 if anything is wrong."""
    options = _parser().parse_args(arguments)
    url = os.environ.get("DATABASE_URL", "") if options.database is None else _URLS[options.database]
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # the processes and the database are not left behind
    folder = Path(tempfile.mkdtemp(prefix="jwt_upstream_chaos_"))
    stage.run(folder, url, options.seconds, options.seed, own_server=options.own_server)
    text, is_well = table.of(logs.read(folder))
    print(text)
    if is_well and not options.keep:
        shutil.rmtree(folder)
    else:
        print(f"logs: {folder}")
    print(f'repeat: make chaos CHAOS_ARGS="--seconds {options.seconds:g} --seed {options.seed}"')
    return 0 if is_well else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--seconds", type=_seconds, default=180.0, help="5 to 1800; below 60 nothing is broken")
    parser.add_argument("--seed", type=int, default=SystemRandom().randrange(10_000), help="decides the faults")
    parser.add_argument("--database", choices=_URLS, help="instead of DATABASE_URL; SQLite without either")
    parser.add_argument("--own-server", action="store_true", help="start a server for the run, and restart it as well")
    parser.add_argument("--keep", action="store_true", help="keep the logs also if all is well")
    return parser


def _seconds(text: str) -> float:
    seconds = float(text)
    if not 5 <= seconds <= 1800:
        raise argparse.ArgumentTypeError("5 to 1800 seconds")
    return seconds


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
