"""Mutes that still hold are found by an index: each alert asks for them."""

from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('tenants', '0001_initial'),
        ('traces', '0013_erasure'),
    ]

    operations = [
        migrations.AddIndex(
            model_name='driftalertstate',
            index=models.Index(condition=models.Q(('standing', 'muted')), fields=['tenant', 'muted_until'], name='drift_state_muted'),
        ),
    ]
