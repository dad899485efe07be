"""Settings of every deployment. What changes between deployments comes from the environment (`config.env`)."""

from pathlib import Path

from csp.constants import NONE, SELF

from config.databases import databases
from config.env import env_bool, env_int, env_list, env_secret, env_secret_bytes, env_str, require_secret
from config.identity import social_providers

BASE_DIR = Path(__file__).resolve().parent.parent
VERSION = "0.1.0"

# --- Security -------------------------------------------------------------------------------------------------
DEBUG = env_bool("AFFIDAVIT_DEBUG")
SECRET_KEY = require_secret("AFFIDAVIT_SECRET_KEY")
ALLOWED_HOSTS = env_list("AFFIDAVIT_ALLOWED_HOSTS", "localhost,127.0.0.1,[::1]")
HTTPS = env_bool("AFFIDAVIT_HTTPS")
CSRF_TRUSTED_ORIGINS = env_list("AFFIDAVIT_TRUSTED_ORIGINS")
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = SECURE_SSL_REDIRECT = HTTPS
SECURE_HSTS_SECONDS = 31_536_000 if HTTPS else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = HTTPS
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if env_bool("AFFIDAVIT_BEHIND_PROXY") else None
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
SESSION_COOKIE_AGE = 12 * 3600
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
CONTENT_SECURITY_POLICY = {
    "EXCLUDE_URL_PREFIXES": ("/admin/",),  # unfold's Alpine needs 'unsafe-eval'; it gets a policy of its own
    "DIRECTIVES": {
        "default-src": [SELF],
        "img-src": [SELF, "data:"],
        "object-src": [NONE],
        "base-uri": [SELF],
        "form-action": [SELF],
        "frame-ancestors": [NONE],
    },
}

# --- Keys -----------------------------------------------------------------------------------------------------
# Each process is given only what it needs: the signer alone has the checkpoint key, and no master key.
AFFIDAVIT_MASTER_KEY = env_secret("AFFIDAVIT_MASTER_KEY")  # 32 bytes, hex: wraps the tenants' data keys
AFFIDAVIT_RECEIPT_KEY = env_secret("AFFIDAVIT_RECEIPT_KEY")  # Ed25519 seed, hex: signs receipts at ingest
AFFIDAVIT_CHECKPOINT_KEY = env_secret("AFFIDAVIT_CHECKPOINT_KEY")  # Ed25519 seed, hex: signs tree heads
# Signs final reports (PAdES). The worker alone has the key, as PEM or PKCS#12; the certificate is PEM, and public.
AFFIDAVIT_REPORT_KEY = env_secret_bytes("AFFIDAVIT_REPORT_KEY")
AFFIDAVIT_REPORT_KEY_PASSWORD = env_secret("AFFIDAVIT_REPORT_KEY_PASSWORD")
AFFIDAVIT_REPORT_CERT = env_secret_bytes("AFFIDAVIT_REPORT_CERT")
AFFIDAVIT_SIGNER_STATE = env_str("AFFIDAVIT_SIGNER_STATE")  # folder outside the database: last signed heads, anchors
AFFIDAVIT_HOME = env_str("AFFIDAVIT_HOME")  # state of a single-machine installation; empty elsewhere

# --- The product ----------------------------------------------------------------------------------------------
AFFIDAVIT_INSTANCE = env_str("AFFIDAVIT_INSTANCE", "affidavit.local")  # first part of every log's origin
AFFIDAVIT_MMD_SECONDS = 60  # maximum merge delay: a receipt's promise
AFFIDAVIT_QUEUE_LIMIT = env_int("AFFIDAVIT_QUEUE_LIMIT", 100_000)  # leaves waiting, per tenant, before push-back
AFFIDAVIT_MAX_BODY = 16 * 2**20  # bytes on the wire
AFFIDAVIT_MAX_UNPACKED = 64 * 2**20  # bytes after gunzip
AFFIDAVIT_MAX_BATCH = 1_000  # decisions a request
# What all keys of a tenant may use a second (`tenants.metering`), unless it has limits of its own; 0: no limit.
AFFIDAVIT_RATE_RECORDS = env_int("AFFIDAVIT_RATE_RECORDS", 2_000)
AFFIDAVIT_RATE_REQUESTS = env_int("AFFIDAVIT_RATE_REQUESTS", 100)
AFFIDAVIT_RATE_KEY_SHARE = env_int("AFFIDAVIT_RATE_KEY_SHARE", 75)  # per cent of it that one key may use
AFFIDAVIT_ANCHOR_DIR = env_str("AFFIDAVIT_ANCHOR_DIR", AFFIDAVIT_HOME and f"{AFFIDAVIT_HOME}/anchors")  # empty: none
AFFIDAVIT_ERASURE_DIR = env_str(
    "AFFIDAVIT_ERASURE_DIR", AFFIDAVIT_HOME and f"{AFFIDAVIT_HOME}/erasures"
)  # certificates
AFFIDAVIT_TSA_URL = env_str("AFFIDAVIT_TSA_URL")  # RFC 3161 time-stamping authority; empty: none
AFFIDAVIT_TSA_ROOTS = env_str("AFFIDAVIT_TSA_ROOTS")  # PEM file: the certificates that its tokens must lead to
AFFIDAVIT_WITNESS_URL = env_str("AFFIDAVIT_WITNESS_URL")  # C2SP witness; empty: none
AFFIDAVIT_S3_BUCKET = env_str("AFFIDAVIT_S3_BUCKET")  # with Object Lock: a copy of every log; empty: none
AFFIDAVIT_S3_PREFIX = env_str("AFFIDAVIT_S3_PREFIX")
AFFIDAVIT_S3_ENDPOINT = env_str("AFFIDAVIT_S3_ENDPOINT")  # of a store that is not Amazon's
AFFIDAVIT_S3_RETAIN_DAYS = env_int("AFFIDAVIT_S3_RETAIN_DAYS", 0)  # in compliance mode; 0: the bucket's own rule
AFFIDAVIT_SYSLOG = env_str("AFFIDAVIT_SYSLOG")  # tcp://host:601 or tls://host:6514, a line a leaf; empty: none
AFFIDAVIT_SYSLOG_ROOTS = env_str("AFFIDAVIT_SYSLOG_ROOTS")  # PEM file; empty: the system's
AFFIDAVIT_SYSLOG_BODIES = env_bool(
    "AFFIDAVIT_SYSLOG_BODIES"
)  # with the events' own words, which nobody can erase there
AFFIDAVIT_JUDGE_URL = env_str("AFFIDAVIT_JUDGE_URL")  # OpenAI-compatible, up to /v1; empty: no model judges answers
AFFIDAVIT_JUDGE_MODEL = env_str("AFFIDAVIT_JUDGE_MODEL")
AFFIDAVIT_JUDGE_KEY = env_secret("AFFIDAVIT_JUDGE_KEY")
AFFIDAVIT_JUDGE_TENANTS = env_list("AFFIDAVIT_JUDGE_TENANTS")  # slugs of those whose content may be sent there
AFFIDAVIT_JUDGE_SHARE = env_str("AFFIDAVIT_JUDGE_SHARE", "0.05")  # of their decisions, 0 to 1
AFFIDAVIT_JUDGE_TIMEOUT = env_int("AFFIDAVIT_JUDGE_TIMEOUT", 30)  # seconds a call
AFFIDAVIT_WITNESS_VKEY = env_str("AFFIDAVIT_WITNESS_VKEY")
AFFIDAVIT_METRICS_TOKEN = env_secret("AFFIDAVIT_METRICS_TOKEN")  # who may read /metrics; none: this machine alone
AFFIDAVIT_METRICS_TENANTS = env_bool("AFFIDAVIT_METRICS_TENANTS")  # /metrics names tenants by their short names
# Networks (CIDR, comma-separated) that are no part of the public internet and may be told of events all the same.
AFFIDAVIT_WEBHOOK_NETWORKS = env_list("AFFIDAVIT_WEBHOOK_NETWORKS")
AFFIDAVIT_PUBLIC_URL = env_str("AFFIDAVIT_PUBLIC_URL").rstrip("/")  # for links in what is sent; empty: no links

# --- E-mail ---------------------------------------------------------------------------------------------------
EMAIL_HOST = env_str("AFFIDAVIT_SMTP_HOST")  # empty: no e-mail is sent, and no endpoint can be one
EMAIL_PORT = env_int("AFFIDAVIT_SMTP_PORT", 587)
EMAIL_HOST_USER = env_str("AFFIDAVIT_SMTP_USER")
EMAIL_HOST_PASSWORD = env_secret("AFFIDAVIT_SMTP_PASSWORD") or ""
EMAIL_USE_TLS = env_bool("AFFIDAVIT_SMTP_STARTTLS", True)
EMAIL_TIMEOUT = 10  # seconds
DEFAULT_FROM_EMAIL = env_str("AFFIDAVIT_EMAIL_FROM", "Affidavit <affidavit@localhost>")

# --- Django ---------------------------------------------------------------------------------------------------
INSTALLED_APPS = [
    "tenants",
    "policies",
    "traces",
    "audits",
    "config",
    "unfold",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.humanize",
    "django.contrib.postgres",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "guardian",
    "allauth",
    "allauth.account",
    "allauth.socialaccount",
    "allauth.socialaccount.providers.openid_connect",
    "allauth.mfa",
    "allauth.usersessions",
    "django_htmx",
    "csp",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "config.logs.RequestLogMiddleware",
    "tenants.middleware.RateLimitMiddleware",
    "csp.middleware.CSPMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "django.contrib.auth.middleware.LoginRequiredMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "tenants.middleware.TenantMiddleware",
]
ROOT_URLCONF = "config.urls"
WSGI_APPLICATION = "config.wsgi.application"
APPEND_SLASH = True
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "tenants.navigation.chrome",
            ],
        },
    },
]
DATABASES = databases()
DATABASE_ROUTERS = ["tenants.routers.OwnerMigrates"]
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
AUTH_USER_MODEL = "tenants.User"
AUTHENTICATION_BACKENDS = ["django.contrib.auth.backends.ModelBackend", "guardian.backends.ObjectPermissionBackend"]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 12}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
PASSWORD_HASHERS = ["django.contrib.auth.hashers.ScryptPasswordHasher"]
ANONYMOUS_USER_NAME = None  # guardian: no row for nobody
LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = "start"
LOGOUT_REDIRECT_URL = "account_login"
LANGUAGE_CODE = "en"
TIME_ZONE = "UTC"
USE_TZ = True
USE_I18N = False
STATIC_URL = "/static/"
STATIC_ROOT = env_str("AFFIDAVIT_STATIC_ROOT", str(BASE_DIR / "staticfiles"))
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"},
}
# Source maps are for debuggers: compressing them took half the time of a first start.
WHITENOISE_SKIP_COMPRESS_EXTENSIONS = ("map", "png", "woff", "woff2", "gz", "br", "jpg", "webp", "ico")
DATA_UPLOAD_MAX_MEMORY_SIZE = AFFIDAVIT_MAX_BODY

# --- Sign-in (allauth: headed, with our templates) ------------------------------------------------------------
ALLAUTH_TRUSTED_PROXY_COUNT = 1 if SECURE_PROXY_SSL_HEADER else 0
ACCOUNT_ADAPTER = "tenants.signin.AccountAdapter"
ACCOUNT_FORMS = {"login": "tenants.signin.SignInForm"}
ACCOUNT_LOGIN_METHODS = {"email"}
ACCOUNT_SIGNUP_FIELDS = ["email*", "password1*"]  # sign-up is closed; without them sign-in would ask for no password
ACCOUNT_USER_MODEL_USERNAME_FIELD = None
ACCOUNT_EMAIL_VERIFICATION = "none"  # whoever invites a person vouches for the address
ACCOUNT_SESSION_REMEMBER = True  # for SESSION_COOKIE_AGE
ACCOUNT_REAUTHENTICATION_TIMEOUT = 900  # for keys, members, rules and second factors
# By address and place, and by place alone; codes of a second factor by person ("login" would count right ones too).
ACCOUNT_RATE_LIMITS = {"login": "", "login_failed": "10/15m/key,60/15m/ip", "reauthenticate": "10/m/user"}
MFA_ADAPTER = "tenants.signin.FactorAdapter"
MFA_FORMS = {
    "authenticate": "tenants.signin.CodeForm",
    "authenticate_webauthn": "tenants.signin.PasskeyForm",
    "reauthenticate": "tenants.signin.CodeAgainForm",
    "add_webauthn": "tenants.signin.AddPasskeyForm",
}
MFA_SUPPORTED_TYPES = ["totp", "webauthn", "recovery_codes"]
MFA_PASSKEY_LOGIN_ENABLED = True
MFA_TOTP_ISSUER = "Affidavit"
MFA_TOTP_TOLERANCE = 1  # a clock may be half a minute off
SOCIALACCOUNT_ADAPTER = "tenants.signin.IdentityAdapter"
SOCIALACCOUNT_PROVIDERS = social_providers(env_secret("AFFIDAVIT_OIDC"))
SOCIALACCOUNT_OPENID_CONNECT_URL_PREFIX = ""
SOCIALACCOUNT_LOGIN_ON_GET = True  # a link: our own `form-action` would stop a form that leads to a provider

# --- Redis and Celery -----------------------------------------------------------------------------------------
REDIS_URL = env_str("REDIS_URL")
CACHES = {
    "default": (
        {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": REDIS_URL}
        if REDIS_URL
        else {"BACKEND": "django.core.cache.backends.dummy.DummyCache"}
    )
}

# --- REST -----------------------------------------------------------------------------------------------------
REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["tenants.authentication.ApiKeyAuthentication"],
    "DEFAULT_PERMISSION_CLASSES": ["tenants.permissions.HasScope"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["rest_framework.parsers.JSONParser"],
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "EXCEPTION_HANDLER": "tenants.problems.exception_handler",
    "UNAUTHENTICATED_USER": None,
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Affidavit",
    "DESCRIPTION": "The system of record for AI decisions.",
    "VERSION": VERSION,
    "OAS_VERSION": "3.1.0",
    "SERVE_INCLUDE_SCHEMA": False,
    "SERVE_PUBLIC": True,
    "SERVE_AUTHENTICATION": [],  # the document holds nothing of anybody
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "SCHEMA_PATH_PREFIX": r"/api/v1",
    "POSTPROCESSING_HOOKS": [
        "drf_spectacular.hooks.postprocess_schema_enums",
        "config.openapi.tell_refusals",
    ],
}

# --- Logs -----------------------------------------------------------------------------------------------------
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "json": {"()": "config.logs.JsonFormatter"},
        "plain": {"()": "config.logs.PlainFormatter", "format": "%(levelname)s %(name)s: %(message)s"},
    },
    "handlers": {
        "console": {
            "class": "logging.StreamHandler",
            "formatter": "json" if env_str("AFFIDAVIT_LOGS", "json") == "json" else "plain",
        }
    },
    "root": {"handlers": ["console"], "level": env_str("AFFIDAVIT_LOG_LEVEL", "INFO")},
    # What Celery says of each task that it took and did would drown what matters.
    "loggers": {name: {"level": "WARNING"} for name in ("django.server", "granian.access", "celery", "kombu")},
}
UNFOLD = {
    "SITE_TITLE": "Affidavit",
    "SITE_HEADER": "Affidavit",
    "SITE_SUBHEADER": "System of record for AI decisions",
    "SHOW_HISTORY": False,
    "SHOW_VIEW_ON_SITE": True,
}
