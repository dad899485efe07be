"""The web process: sync views under WSGI (an ASGI handler costs Django five to nine times the CPU, see ADR 6)."""

import gc
import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

application = get_wsgi_application()

# What is loaded by now stays: the collector need not walk it again. A batch makes some ten thousand objects that die
# with it, by reference counts; looking for cycles among them every 700 took a sixth of the write path's time.
gc.collect()
gc.freeze()
gc.set_threshold(50_000, 20, 50)
