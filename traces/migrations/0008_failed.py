"""The few decisions that failed, found without reading the others."""

from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('traces', '0007_meaning'),
    ]

    operations = [
        migrations.AddIndex(
            model_name='decision',
            index=models.Index(condition=models.Q(('outcome', 'error')), fields=['tenant', 'occurred_at', 'id'], name='decision_failed'),
        ),
    ]
