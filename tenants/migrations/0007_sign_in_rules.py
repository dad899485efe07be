"""What an organisation asks at sign-in, told by the look-up that a sign-in makes; and refused sign-ins as a queue."""

import django.db.models.deletion
import django.utils.timezone
from django.conf import settings
from django.db import migrations, models

MEMBERSHIPS = """
-- More columns need another function. Code of the release before names its columns, and goes on.
DROP FUNCTION affidavit_memberships(uuid);
CREATE FUNCTION affidavit_memberships(person uuid)
RETURNS TABLE (tenant_id uuid, slug varchar, name varchar, roles varchar[], expires_at timestamptz,
               second_factor_from timestamptz, sso_provider varchar, sso_from timestamptz)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT t.id, t.slug, t.name, m.roles, m.expires_at, t.second_factor_from, t.sso_provider, t.sso_from
      FROM tenants_membership m JOIN tenants_tenant t ON t.id = m.tenant_id
     WHERE m.user_id = person ORDER BY t.name
$$;
ALTER FUNCTION affidavit_memberships(uuid) OWNER TO affidavit_directory;
REVOKE ALL ON FUNCTION affidavit_memberships(uuid) FROM PUBLIC;
-- The worker tells organisations of refused sign-ins, so it has to know which are the person's.
GRANT EXECUTE ON FUNCTION affidavit_memberships(uuid) TO affidavit_web, affidavit_worker;
GRANT UPDATE (second_factor_from, sso_provider, sso_from) ON tenants_tenant TO affidavit_web;
"""


class Migration(migrations.Migration):

    dependencies = [("tenants", "0006_notifications")]

    operations = [
        migrations.AddField("tenant", "second_factor_from", models.DateTimeField(editable=False, null=True)),
        migrations.AddField(
            "tenant", "sso_provider", models.CharField(blank=True, default="", editable=False, max_length=60)
        ),
        migrations.AddField("tenant", "sso_from", models.DateTimeField(editable=False, null=True)),
        migrations.AddConstraint(
            "tenant",
            models.CheckConstraint(
                condition=models.Q(
                    models.Q(("sso_from__isnull", True), ("sso_provider", "")),
                    models.Q(models.Q(("sso_provider", ""), _negated=True), ("sso_from__isnull", False)),
                    _connector="OR",
                ),
                name="tenant_sso_provider_with_moment",
            ),
        ),
        migrations.CreateModel(
            name="RefusedSignIn",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("method", models.CharField(max_length=32)),
                ("at", models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                (
                    "user",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
        ),
        migrations.RunSQL(MEMBERSHIPS),
    ]
