"""Every end that an activation ever had, so that what was believed at any time can still be told."""

from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('policies', '0001_initial'),
    ]

    operations = [
        migrations.AddField(
            model_name='policyactivation',
            name='past_ends',
            field=models.JSONField(blank=True, default=list),
        ),
        migrations.RunSQL(
            "GRANT UPDATE (past_ends) ON policies_policyactivation TO affidavit_web",
            "REVOKE UPDATE (past_ends) ON policies_policyactivation FROM affidavit_web",
        ),
    ]
