"""A real upstream to call: djangorestframework-simplejwt, in a process and a database of its own.

``SAMPLE_UPSTREAM_PASSWORD=… python -m project.sample_upstream`` starts it. It shares nothing with the project that
calls it.
"""

from __future__ import annotations
