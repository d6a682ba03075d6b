"""A real upstream to call: djangorestframework-simplejwt, in a process and a database of its own.

Its tokens are also given for the code of a login by a browser (OAuth 2 with PKCE).

``SAMPLE_UPSTREAM_PASSWORD=… python -m project.sample_upstream`` starts it. It shares nothing with the project that
calls it.
"""

from __future__ import annotations
