"""A Sphinx extension that makes the reference's tables of the code, so that no page repeats a fact of it.

Each directive is a function that yields lines of reStructuredText. Where the code has no words for something, such as
most columns, the directive's content has them, one ``name: text`` for each; the build fails for a missing or unknown
name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, ClassVar

from sphinx.util.docutils import SphinxDirective

from . import checks, commands, errors, options, rows, settings

if TYPE_CHECKING:
    from docutils.nodes import Node
    from sphinx.application import Sphinx

#: By the name of the directive; what takes an argument or content is told so by its parameters.
DIRECTIVES: dict[str, Callable[..., Iterable[str]]] = {
    "upstream-settings": settings.lines,
    "upstream-keys": settings.keys,
    "upstream-options": options.lines,
    "upstream-backends": options.by_backend,
    "upstream-commands": commands.lines,
    "upstream-checks": checks.lines,
    "upstream-errors": errors.lines,
    "upstream-choices": rows.choices,
    "upstream-columns": rows.columns,
    "upstream-permissions": rows.permissions,
}


class Generated(SphinxDirective):
    """A place where lines are put that are made of the code."""

    has_content = True
    optional_arguments = 1
    final_argument_whitespace = True
    make: ClassVar[Callable[..., Iterable[str]]]

    def run(self) -> list[Node]:
        """Return what the lines are parsed to."""
        self.env.note_reread()  # Sphinx doesn't know which of the code it is made of
        given = [*self.arguments, *([list(self.content)] if self.content else [])]
        try:
            text = "\n".join(type(self).make(*given))
        except (LookupError, TypeError) as error:
            raise self.error(f"{self.name} {' '.join(self.arguments)}: {error}") from error
        return self.parse_text_to_nodes(text, allow_section_headings=True)


def setup(app: Sphinx) -> dict[str, Any]:
    """Add the directives."""
    for name, make in DIRECTIVES.items():
        app.add_directive(name, type(name, (Generated,), {"make": staticmethod(make)}))
    return {"parallel_read_safe": True}
