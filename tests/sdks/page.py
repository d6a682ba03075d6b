"""The code blocks of docs/howto/sdks.rst, which the tests run."""

from __future__ import annotations

import ast
import re
import textwrap
from pathlib import Path
from types import CodeType
from typing import Any

PAGE = Path(__file__).parent.parent.parent / "docs" / "howto" / "sdks.rst"
_HEADING = re.compile(r"^(.+)\n[-=]{3,}\n", re.MULTILINE)
_BLOCK = re.compile(r"^\.\. code-block:: python\n\n((?:    .*\n|\n)+)", re.MULTILINE)


def _sections() -> dict[str, list[str]]:
    _, *parts = _HEADING.split(PAGE.read_text() + "\n")
    return {title: _BLOCK.findall(text) for title, text in zip(parts[::2], parts[1::2], strict=True)}


def titles() -> list[str]:
    """Return the headings of the sections that have code."""
    return [title for title, found in _sections().items() if found]


def blocks(title: str) -> list[str]:
    """Return the code blocks below a heading of the page."""
    return [textwrap.dedent(block).strip() + "\n" for block in _sections()[title]]


class Lines:
    """The lines of a block, of which the last one assigns what a call has brought."""

    def __init__(self, code: str) -> None:
        self._statements = ast.parse(code).body
        self.names: dict[str, Any] = {}

    def run(self) -> Any:
        """Run all of them; return what the last one has assigned."""
        exec(self._code(0), self.names)
        return self._result()

    def run_last(self) -> Any:
        """Run the last one again, with all that the others have made."""
        exec(self._code(-1), self.names)
        return self._result()

    async def arun(self) -> Any:
        """Do as ``run``, where the last one awaits."""
        await eval(self._code(0), self.names)
        return self._result()

    async def arun_last(self) -> Any:
        """Do as ``run_last``, where that awaits."""
        await eval(self._code(-1), self.names)
        return self._result()

    def _code(self, first: int) -> CodeType:
        module = ast.Module(self._statements[first:], [])
        code: CodeType = compile(module, "a block of docs/howto/sdks.rst", "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
        return code

    def _result(self) -> Any:
        *_, assigned = (each for each in ast.walk(self._statements[-1]) if isinstance(each, ast.Assign))
        name = next(each for each in ast.walk(assigned.targets[0]) if isinstance(each, ast.Name))
        return self.names[name.id]
