"""Tenants, people, keys, endpoints of webhooks and the ledger's tables."""

from tenants.models.api_key import ApiKey, Scope
from tenants.models.base import TenantForeignKey, TenantManager, TenantModel
from tenants.models.directory import DirectoryUser
from tenants.models.keys import SubjectKey, TenantKey
from tenants.models.ledger import (
    AnchorState,
    LedgerAnchor,
    LedgerCheckpoint,
    LedgerEvent,
    LedgerKey,
    LedgerLeaf,
    LedgerLog,
    LedgerQueue,
    LedgerTile,
    LogState,
)
from tenants.models.membership import Membership
from tenants.models.notification import Notification, NotificationMark
from tenants.models.refused_sign_in import RefusedSignIn
from tenants.models.tenant import SourceSystem, Tenant
from tenants.models.user import User
from tenants.models.webhook import DeliveryState, EndpointKind, WebhookAttempt, WebhookDelivery, WebhookEndpoint

__all__ = [
    "AnchorState",
    "ApiKey",
    "DeliveryState",
    "DirectoryUser",
    "EndpointKind",
    "LedgerAnchor",
    "LedgerCheckpoint",
    "LedgerEvent",
    "LedgerKey",
    "LedgerLeaf",
    "LedgerLog",
    "LedgerQueue",
    "LedgerTile",
    "LogState",
    "Membership",
    "Notification",
    "NotificationMark",
    "RefusedSignIn",
    "Scope",
    "SourceSystem",
    "SubjectKey",
    "Tenant",
    "TenantForeignKey",
    "TenantKey",
    "TenantManager",
    "TenantModel",
    "User",
    "WebhookAttempt",
    "WebhookDelivery",
    "WebhookEndpoint",
]
