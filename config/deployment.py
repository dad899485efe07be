"""The secret files of a container deployment (`compose.yaml`). Standard library only."""

from __future__ import annotations

from pathlib import Path

from config.postgres import DATABASE, SUPERUSER
from config.servers import make_keys, role_urls, secret_file


def make_compose_secrets(folder: Path, server: str = "postgres:5432") -> None:
    """Write the administrator's password, every login's URL and the instance's keys into `folder`; keep what is there.

    Compose mounts each file into the containers that may read it, with the mode it has here, and they run as a user
    of their own: so the files are open, and the folder around them (mode 0700) is not.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder.chmod(0o700)
    password = secret_file(folder / "postgres_password")
    admin_url = f"postgresql://{SUPERUSER}:{password}@{server}/{DATABASE}"
    urls = {"": admin_url, **{f"_{role}": url for role, url in role_urls(admin_url).items()}}
    for suffix, url in urls.items():
        (folder / f"database_url{suffix}").write_text(url + "\n")
    keys = make_keys(folder / "keys")
    certificate = keys["REPORT"].with_suffix(".crt")
    for path in (folder / "postgres_password", *folder.glob("database_url*"), *keys.values(), certificate):
        path.chmod(0o644)
