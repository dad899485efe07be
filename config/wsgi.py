"""The web process: sync views under WSGI (an ASGI handler costs Django five to nine times the CPU, see ADR 6)."""

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

application = get_wsgi_application()
