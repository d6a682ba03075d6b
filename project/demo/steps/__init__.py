"""The steps of the story by subject; the docstring of each is its heading."""

from __future__ import annotations
