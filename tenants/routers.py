"""Which connection may change the schema."""

from typing import Any


class OwnerMigrates:
    """Only the tables' owner runs migrations; every other login lacks the right anyway, and says so late."""

    def allow_migrate(self, db: str, app_label: str, model_name: str | None = None, **hints: Any) -> bool | None:
        return db == "owner"

    def allow_relation(self, first: Any, second: Any, **hints: Any) -> bool | None:
        """Aliases are logins of one database, so rows read by one may refer to rows read by another."""
        return True
