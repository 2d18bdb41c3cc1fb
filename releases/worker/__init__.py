"""Floor 15: Celery tasks, the handlers of operation steps, and the table "after this, do that"."""
