"""Where tenants' own things are: sign-in, members, keys, the log; pages under `/t/<tenant>/`, the API under `/api/v1/`.

A tenant's start page and its ledger page show what upper apps know too: `config.home` composes them.
"""

from allauth.account import views as account
from allauth.socialaccount import views as identity
from django.contrib.auth.decorators import login_not_required
from django.urls import URLPattern, URLResolver, include, path

from tenants import account_views, api, sign_in_views, views
from tenants.notices import views as notices
from tenants.scim import urls as scim
from tenants.webhooks import urls as webhooks

choose_password = login_not_required(account_views.ChoosePassword.as_view())

# Of allauth's addresses only those that this product has: nobody signs up, confirms an address or asks for a password.
urlpatterns: list[URLPattern | URLResolver] = [
    path("", views.start, name="start"),
    path("organisations/", views.tenant_choose, name="tenant-choose"),
    path("accounts/login/", account.login, name="account_login"),
    path("accounts/logout/", account.logout, name="account_logout"),
    path("accounts/inactive/", account.account_inactive, name="account_inactive"),
    path("accounts/confirm/", account.reauthenticate, name="account_reauthenticate"),
    path("accounts/password/change/", account.password_change, name="account_change_password"),
    path("accounts/password/set/", account.password_set, name="account_set_password"),
    path("accounts/password/<uidb64>/<token>/", choose_password, name="password-choose"),
    *scim.urlpatterns,
    path("accounts/security/", include("allauth.mfa.urls")),
    path("accounts/oidc/cancelled/", identity.login_cancelled, name="socialaccount_login_cancelled"),
    path("accounts/oidc/", include("allauth.socialaccount.providers.openid_connect.urls")),
    path("accounts/sessions/", account_views.session_list, name="session-list"),
    path("accounts/sessions/end/", account_views.session_end_others, name="session-end-others"),
    path("accounts/sessions/<int:pk>/end/", account_views.session_end, name="session-end"),
    path("accounts/admission/<slug:organisation>/", account_views.admission_page, name="admission"),
]

page_patterns: list[URLPattern] = [
    path("ledger/verify/", views.ledger_verify, name="ledger-verify"),
    path("members/", views.member_list, name="member-list"),
    path("members/<uuid:pk>/", views.member_edit, name="member-edit"),
    path("members/<uuid:pk>/invite/", views.member_invite, name="member-invite"),
    path("members/<uuid:pk>/remove/", views.member_remove, name="member-remove"),
    path("sign-in/", sign_in_views.sign_in_rules, name="sign-in-rules"),
    path("sign-ins/", sign_in_views.sign_in_list, name="sign-in-list"),
    path("keys/", views.key_list, name="api-key-list"),
    path("keys/<uuid:pk>/rotate/", views.key_rotate, name="api-key-rotate"),
    path("keys/<uuid:pk>/revoke/", views.key_revoke, name="api-key-revoke"),
    path("notifications/", notices.notification_list, name="notification-list"),
    path("notifications/read/", notices.notification_read, name="notification-read"),
    *webhooks.page_patterns,
]

api_patterns: list[URLPattern] = [
    path("ledger/checkpoint", api.LedgerCheckpointView.as_view(), name="api-ledger-checkpoint"),
    path("ledger/tile/<path:path>", api.LedgerTileView.as_view(), name="api-ledger-tile"),
    path("ledger/proof/inclusion", api.LedgerInclusionView.as_view(), name="api-ledger-inclusion"),
    path("ledger/proof/consistency", api.LedgerConsistencyView.as_view(), name="api-ledger-consistency"),
    path("ledger/key", api.LedgerKeyView.as_view(), name="api-ledger-key"),
    path("decisions/<uuid:pk>/proof", api.DecisionProofView.as_view(), name="api-decision-proof"),
    *webhooks.api_patterns,
]
