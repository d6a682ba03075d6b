"""Server-to-server API calls whose tokens live in the database and are refreshed once for the whole fleet of workers.

Add ``"jwt_upstream"`` to ``INSTALLED_APPS``, describe each upstream in ``JWT_UPSTREAM``, log in with
``manage.py upstream_login ALIAS`` and call it with ``jwt_upstream.client.UpstreamClient(ALIAS)``.
"""

from __future__ import annotations

__version__ = "0.1.0"
