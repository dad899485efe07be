"""Settings of the test run: the same code, a fast password hasher, plain static files."""

import os

os.environ.setdefault("AFFIDAVIT_SECRET_KEY", "only-for-tests")
os.environ.setdefault("AFFIDAVIT_MASTER_KEY", "11" * 32)
os.environ.setdefault("AFFIDAVIT_RECEIPT_KEY", "22" * 32)
os.environ.setdefault("AFFIDAVIT_CHECKPOINT_KEY", "33" * 32)
os.environ.setdefault("AFFIDAVIT_LOGS", "plain")

from config.settings import *  # noqa: F403

PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
ALLOWED_HOSTS = ["*"]
STORAGES["staticfiles"] = {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}  # noqa: F405
MIDDLEWARE.remove("whitenoise.middleware.WhiteNoiseMiddleware")  # noqa: F405  nothing is collected to serve
