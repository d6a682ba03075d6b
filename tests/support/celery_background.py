"""A Celery app as a project has it, whose worker finds the tasks of jwt_upstream; the environment names the broker."""

from __future__ import annotations

import os

from celery import Celery

from tests.support import workers

workers.configure()

app = Celery("project", broker=os.environ["BROKER_URL"])
app.conf.broker_connection_retry_on_startup = True
app.conf.task_default_queue = os.environ["QUEUE"]
app.autodiscover_tasks(["jwt_upstream"], force=True)
