"""Certificates: what the upstream's own is verified with, and the one that the client shows."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any

from .core import Configurable


class Certificates(Configurable):
    """The part of a backend that says how TLS is spoken; every annotated attribute is an option."""

    verify: bool | str = True
    cert: str | tuple[str, str] | None = None

    def __init__(self, alias: str, base_url: str, /, **options: Any) -> None:
        super().__init__(alias, base_url, **options)
        # To requests whatever is false means False, also the "" of an environment variable that is not set. Not every
        # server runs the checks, which refuse it.
        self.verify = self.verify or self.verify is not False

    def missing_certificate(self) -> str:
        """Return which option names a file that there isn't, in a sentence; "" if none does."""
        certificates = [self.cert] if isinstance(self.cert, str) else self.cert or []
        named = [("verify", self.verify), *(("cert", path) for path in certificates)]
        missing = (each for each in named if isinstance(each[1], str) and not os.path.exists(each[1]))
        return next((f"{option} names {path!r}, and there is no such file" for option, path in missing), "")

    def _check_certificates(self) -> Iterable[str]:
        if self._options.get("verify") == "":
            yield "verify must be True, False or the path of a CA bundle, not empty"
        if self.cert is not None and not all([self.cert] if isinstance(self.cert, str) else self.cert):
            yield "cert must be the path of a client certificate, or that and its key's, not empty"
