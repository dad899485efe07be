"""`DATABASES` from the environment: one PostgreSQL, several logins, each process with no more than it needs.

`DATABASE_URL` is an administrator's login, for migrations only. The others are `DATABASE_URL_WEB`, `_WORKER`,
`_INGEST`, `_SEQUENCER` and `_SIGNER`; one that is not given is derived from the administrator's, so that a single
URL is enough for a small installation and for tests.
"""

from typing import Any

from psycopg.conninfo import conninfo_to_dict

from config.env import env_secret, env_str
from config.servers import role_urls

ROLES = ("web", "worker", "ingest", "sequencer", "signer")


def database_urls() -> dict[str, str]:
    """URL by role, for the roles that this process was given."""
    admin = env_secret("DATABASE_URL")
    derived = role_urls(admin) if admin else {}
    urls = {role: env_secret(f"DATABASE_URL_{role.upper()}") or derived.get(role) for role in ROLES}
    return {role: url for role, url in urls.items() if url} | ({"owner": admin} if admin else {})


def django_database(url: str, *, role: str = "") -> dict[str, Any]:
    """Django's settings for a libpq URL; `role` is taken on right after connecting."""
    parts = {key: str(value) for key, value in conninfo_to_dict(url).items() if value is not None}
    options: dict[str, Any] = {k: v for k, v in parts.items() if k in {"sslmode", "sslrootcert", "connect_timeout"}}
    if role:  # what holds for the other logins is kept with their roles (`tenants.provision`)
        options["options"] = f"-c timezone=UTC -c random_page_cost=1.1 -c role={role}"
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": parts.get("dbname", "affidavit"),
        "USER": parts.get("user", ""),
        "PASSWORD": parts.get("password", ""),
        "HOST": parts.get("host", ""),
        "PORT": parts.get("port", ""),
        "CONN_MAX_AGE": None,
        "CONN_HEALTH_CHECKS": True,
        # Transaction pooling (PgBouncer) has no session to keep a cursor in.
        "DISABLE_SERVER_SIDE_CURSORS": True,
        "OPTIONS": options,
    }


def databases() -> dict[str, dict[str, Any]]:
    """One alias a role; `default` is this process's own (`AFFIDAVIT_ROLE`, the web's unless said)."""
    urls = database_urls()
    if not urls:
        return {}
    aliases = {
        name: django_database(url, role="affidavit_owner" if name == "owner" else "") for name, url in urls.items()
    }
    own = env_str("AFFIDAVIT_ROLE", "web")
    aliases["default"] = aliases.get(own) or next(iter(aliases.values()))
    return aliases
