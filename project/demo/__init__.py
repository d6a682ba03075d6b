"""The demo: starts everything, tells a story of real calls in the terminal, then serves the page."""

from __future__ import annotations
