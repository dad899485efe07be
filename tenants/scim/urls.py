"""Where an identity provider finds the directory: `/scim/v2`, with a key of scope `directory`."""

from django.urls import URLPattern, path

from tenants.scim import api

urlpatterns: list[URLPattern] = [
    path("scim/v2/ServiceProviderConfig", api.ServiceProviderConfig.as_view(), name="api-scim-config"),
    path("scim/v2/ResourceTypes", api.ResourceTypes.as_view(), name="api-scim-resource-types"),
    path("scim/v2/Schemas", api.Schemas.as_view(), name="api-scim-schemas"),
    path("scim/v2/Users", api.UserList.as_view(), name="api-scim-users"),
    path("scim/v2/Users/<uuid:pk>", api.UserDetail.as_view(), name="api-scim-user"),
    path("scim/v2/Groups", api.GroupList.as_view(), name="api-scim-groups"),
    path("scim/v2/Groups/<slug:role>", api.GroupDetail.as_view(), name="api-scim-group"),
]
