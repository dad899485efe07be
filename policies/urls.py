"""Where policies are."""

from django.urls import URLPattern, path

from policies import api
from policies.views import backtests, deciding, editing, reading, steps

page_patterns: list[URLPattern] = [
    path("policies/", reading.policy_list, name="policy-list"),
    path("policies/new/", editing.policy_new, name="policy-new"),
    path("policies/check/", editing.policy_check, name="policy-check"),
    path("policies/in-force/", reading.policy_in_force, name="policy-in-force"),
    path("policies/controls/", reading.policy_controls, name="policy-controls"),
    path("policies/backtests/<uuid:backtest>/", backtests.backtest_detail, name="backtest-detail"),
    path("policies/backtests/<uuid:backtest>/cancel/", backtests.backtest_cancel, name="backtest-cancel"),
    path("policies/<slug:policy>/", reading.policy_detail, name="policy-detail"),
    path("policies/<slug:policy>/<int:number>/diff/", deciding.policy_diff, name="policy-diff"),
    path("policies/<slug:policy>/<int:number>/review/", deciding.policy_review, name="policy-review"),
    path("policies/<slug:policy>/<int:number>/backtest/", backtests.backtest_new, name="backtest-new"),
    path("policies/<slug:policy>/<int:number>/<slug:step>/", steps.policy_step, name="policy-step"),
]
api_patterns: list[URLPattern] = [
    path("policies", api.PolicyList.as_view(), name="api-policies"),
    path("policies/<slug:policy>", api.PolicyDetail.as_view(), name="api-policy"),
    path("policies/<slug:policy>/versions", api.VersionList.as_view(), name="api-policy-versions"),
    path("policies/<slug:policy>/versions/<int:number>", api.VersionDetail.as_view(), name="api-policy-version"),
    path(
        "policies/<slug:policy>/versions/<int:number>/<slug:step>",
        api.VersionStep.as_view(),
        name="api-policy-version-step",
    ),
    path("backtests", api.BacktestList.as_view(), name="api-backtests"),
    path("backtests/<uuid:backtest>", api.BacktestDetail.as_view(), name="api-backtest"),
]
