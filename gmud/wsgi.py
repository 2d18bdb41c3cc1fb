"""The WSGI application."""

import os

from django.core.wsgi import get_wsgi_application

from gmud import strict

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "gmud.settings")
strict.insist()
application = get_wsgi_application()
