"""How the house is wired: settings, URLs, Celery, logs, the command line, the demo and the sandboxes."""
