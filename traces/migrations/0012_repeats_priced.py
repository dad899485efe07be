"""What identical requests cost, whose they were, and a second word about what has grown."""

from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('tenants', '0001_initial'),
        ('traces', '0011_dearest'),
    ]

    operations = [
        migrations.AddField(
            model_name='costanomaly',
            name='who_kind',
            field=models.SmallIntegerField(choices=[(1, 'User'), (2, 'Session')], null=True),
        ),
        migrations.AlterField(
            model_name='costanomaly',
            name='kind',
            field=models.CharField(choices=[('runaway_session', 'Runaway session'), ('repeated_requests', 'Repeated requests'), ('task_cost', 'A task costs more')], max_length=20),
        ),
        migrations.RemoveConstraint(model_name='costanomaly', name='cost_anomaly_once'),
        migrations.AddConstraint(
            model_name='costanomaly',
            constraint=models.UniqueConstraint(fields=('tenant', 'day', 'kind', 'deployment', 'who', 'n'), name='cost_anomaly_once'),
        ),
    ]
