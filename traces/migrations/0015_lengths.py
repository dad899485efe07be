"""Lengths that changed, told within a few records and given their price."""

from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('tenants', '0001_initial'),
        ('traces', '0014_mutes'),
    ]

    operations = [
        migrations.AlterField(
            model_name='costanomaly',
            name='kind',
            field=models.CharField(choices=[('runaway_session', 'Runaway session'), ('repeated_requests', 'Repeated requests'), ('lengths', 'Lengths changed'), ('task_cost', 'A task costs more')], max_length=20),
        ),
        migrations.AlterField(
            model_name='driftalert',
            name='kind',
            field=models.CharField(choices=[('behaviour', 'Behaviour changed'), ('input', 'Inputs shifted'), ('repeated_requests', 'Repeated requests'), ('runaway_session', 'Runaway session'), ('lengths', 'Lengths changed'), ('odd_inputs', 'Unusual inputs')], max_length=20),
        ),
    ]
