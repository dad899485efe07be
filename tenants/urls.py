"""Where tenants' own things are: sign-in, members, keys, the log; pages under `/t/<tenant>/`, the API under `/api/v1/`.

A tenant's start page and its ledger page show what upper apps know too: `config.home` composes them.
"""

from django.contrib.auth.decorators import login_not_required
from django.contrib.auth.views import LoginView, LogoutView, PasswordResetConfirmView
from django.urls import URLPattern, path, reverse_lazy

from tenants import api, views
from tenants.notices import views as notices
from tenants.scim import urls as scim
from tenants.signin import SignInForm
from tenants.webhooks import urls as webhooks

sign_in = LoginView.as_view(authentication_form=SignInForm, redirect_authenticated_user=True)
choose_password = login_not_required(
    PasswordResetConfirmView.as_view(
        template_name="registration/password_choose.html", success_url=reverse_lazy("login"), title="Choose a password"
    )
)

urlpatterns: list[URLPattern] = [
    path("", views.start, name="start"),
    path("organisations/", views.tenant_choose, name="tenant-choose"),
    path("accounts/login/", sign_in, name="login"),
    path("accounts/logout/", LogoutView.as_view(), name="logout"),
    path("accounts/password/<uidb64>/<token>/", choose_password, name="password-choose"),
    *scim.urlpatterns,
]

page_patterns: list[URLPattern] = [
    path("ledger/verify/", views.ledger_verify, name="ledger-verify"),
    path("members/", views.member_list, name="member-list"),
    path("members/<uuid:pk>/", views.member_edit, name="member-edit"),
    path("members/<uuid:pk>/remove/", views.member_remove, name="member-remove"),
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
