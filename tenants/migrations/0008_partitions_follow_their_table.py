"""A new partition gets the trigger against TRUNCATE only where its table has it: a Citus cluster takes none."""

from django.db import migrations

FUNCTION = """
CREATE OR REPLACE FUNCTION affidavit_ensure_partitions(parent regclass, months_ahead integer) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    month timestamptz;
    child text;
    made integer := 0;
BEGIN
    PERFORM 1 FROM pg_partitioned_table WHERE partrelid = parent;
    IF NOT FOUND THEN
        RAISE EXCEPTION '% is not a partitioned table', parent;
    END IF;
    FOR step IN -1 .. months_ahead LOOP
        month := date_trunc('month', now() AT TIME ZONE 'UTC') AT TIME ZONE 'UTC' + make_interval(months => step);
        child := parent::text || to_char(month AT TIME ZONE 'UTC', '"_y"YYYY"m"MM');
        CONTINUE WHEN to_regclass(child) IS NOT NULL;
        EXECUTE format(
            'CREATE TABLE %I PARTITION OF %s FOR VALUES FROM (%L) TO (%L)', child, parent,
            rpad(lpad(to_hex((extract(epoch FROM month) * 1000)::bigint), 12, '0'), 32, '0')::uuid,
            rpad(lpad(to_hex((extract(epoch FROM month + interval '1 month') * 1000)::bigint), 12, '0'), 32, '0')::uuid
        );
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', child);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', child);
        EXECUTE format('REVOKE ALL ON %I FROM PUBLIC', child);
        IF EXISTS (SELECT FROM pg_trigger WHERE tgrelid = parent AND tgname = 'append_only_rows') THEN
            EXECUTE format('ALTER TABLE %I ENABLE ALWAYS TRIGGER append_only_rows', child);
        END IF;
        IF EXISTS (SELECT FROM pg_trigger WHERE tgrelid = parent AND tgname = 'append_only_table') THEN
            EXECUTE format(
                'CREATE TRIGGER append_only_table BEFORE TRUNCATE ON %I'
                ' FOR EACH STATEMENT EXECUTE FUNCTION affidavit_refuse_change()', child
            );
            EXECUTE format('ALTER TABLE %I ENABLE ALWAYS TRIGGER append_only_table', child);
        END IF;
        made := made + 1;
    END LOOP;
    RETURN made;
END $$;
"""


class Migration(migrations.Migration):
    dependencies = [("tenants", "0007_sign_in_rules")]

    operations = [migrations.RunSQL(FUNCTION, migrations.RunSQL.noop)]
