"""A worker writes a request again that a restored backup has lost; the two people in it are still two."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("audits", "0009_retention")]

    operations = [
        migrations.RunSQL(
            "GRANT INSERT ON audits_erasure TO affidavit_worker", "REVOKE INSERT ON audits_erasure FROM affidavit_worker"
        )
    ]
