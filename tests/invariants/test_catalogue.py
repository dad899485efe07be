"""The database's own catalogue holds the rules of isolation; each query must return no row.

T and C numbers are those of docs/isolation.md. Global tables are the exceptions, by name.
"""

import pytest
from django.db import connections

from tenants.isolation import LOGIN_ROLES, OWNER
from tenants.provision import GLOBAL_TABLES

APP_ROLES = ", ".join(f"'affidavit_{name}'" for name in LOGIN_ROLES)

RULES = {
    "T1 tables belong to a role that cannot log in": f"""
        SELECT c.relname FROM pg_class c JOIN pg_roles r ON r.oid = c.relowner
         WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p')
           AND (r.rolname <> '{OWNER}' OR r.rolcanlogin)""",
    "T1 no role of the product is dangerous": f"""
        SELECT rolname FROM pg_roles
         WHERE rolname IN ({APP_ROLES}, '{OWNER}', 'affidavit_directory')
           AND (rolsuper OR rolbypassrls OR rolcreaterole OR rolcreatedb)""",
    "T1 no login may create in the schema": f"""
        SELECT rolname FROM pg_roles WHERE rolname IN ({APP_ROLES}) AND has_schema_privilege(rolname, 'public', 'CREATE')""",
    "T1 no login may become another role": f"""
        SELECT m.member::regrole FROM pg_auth_members m JOIN pg_roles r ON r.oid = m.member WHERE r.rolname IN ({APP_ROLES})""",
    "T1/T2 row-level security on, forced, with one restrictive tenant policy": """
        SELECT c.relname FROM pg_class c
          JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'tenant_id' AND NOT a.attisdropped
         WHERE c.relkind IN ('r', 'p') AND c.relnamespace = 'public'::regnamespace AND NOT c.relispartition
           AND (NOT c.relrowsecurity OR NOT c.relforcerowsecurity OR NOT EXISTS (
               SELECT FROM pg_policy p
                WHERE p.polrelid = c.oid AND NOT p.polpermissive AND p.polname = 'tenant_isolation'))""",
    "T2 a tenant role has no policy that its restrictive one does not cover": """
        SELECT p.polrelid::regclass, p.polname FROM pg_policy p, pg_policy r
         WHERE r.polrelid = p.polrelid AND r.polname = 'tenant_isolation'
           AND p.polname = 'tenant_rows' AND NOT p.polroles <@ r.polroles""",
    "T2 only known policies exist": """
        SELECT polrelid::regclass, polname FROM pg_policy
         WHERE polname NOT IN ('tenant_isolation', 'tenant_rows') AND polname NOT LIKE 'all\\_tenants\\_%%'""",
    "T4 nobody sees all tenants but the ledger's own roles and the directory": """
        SELECT p.polrelid::regclass, p.polname FROM pg_policy p
         WHERE p.polname LIKE 'all\\_tenants\\_%%' AND NOT (
             (p.polrelid::regclass::text LIKE 'tenants\\_ledger%%' AND p.polname IN ('all_tenants_sequencer', 'all_tenants_signer'))
             OR (p.polrelid::regclass::text IN ('tenants_membership', 'tenants_tenant') AND p.polname = 'all_tenants_directory'))""",
    "T3/C6 no sub-select and no bypass flag in a policy": """
        SELECT polrelid::regclass, polname FROM pg_policy
         WHERE concat(pg_get_expr(polqual, polrelid), pg_get_expr(polwithcheck, polrelid)) ~* '\\mselect\\M|bypass|is_admin'""",
    "T7 views ask as their caller; no materialised view": """
        SELECT c.relname FROM pg_class c WHERE c.relnamespace = 'public'::regnamespace
           AND (c.relkind = 'm' OR (c.relkind = 'v' AND NOT COALESCE('security_invoker=true' = ANY (c.reloptions), false)))""",
    "T8 partitions are closed: row-level security on, no privileges": f"""
        SELECT c.relname FROM pg_class c WHERE c.relispartition AND c.relkind = 'r' AND (
            NOT c.relrowsecurity OR NOT c.relforcerowsecurity OR EXISTS (
                SELECT FROM information_schema.role_table_grants g
                 WHERE g.table_name = c.relname AND g.grantee IN ({APP_ROLES}, 'PUBLIC')))""",
    "T9 no role of the product may truncate, reference or add triggers": f"""
        SELECT grantee, table_name, privilege_type FROM information_schema.role_table_grants
         WHERE privilege_type IN ('TRUNCATE', 'REFERENCES', 'TRIGGER') AND table_schema = 'public'
           AND grantee IN ({APP_ROLES}, 'PUBLIC')""",
    "T10 append-only triggers fire always, on partitions too": """
        SELECT tgrelid::regclass, tgname FROM pg_trigger
         WHERE tgname IN ('append_only_rows', 'append_only_table', 'full_tile') AND tgenabled <> 'A'""",
    "T10 a table with the row trigger has the TRUNCATE trigger": """
        SELECT t.tgrelid::regclass FROM pg_trigger t WHERE t.tgname = 'append_only_rows' AND NOT EXISTS (
            SELECT FROM pg_trigger o WHERE o.tgrelid = t.tgrelid AND o.tgname = 'append_only_table')""",
    "T11 functions with their owner's rights are known, and fix their search path": """
        SELECT proname FROM pg_proc WHERE prosecdef AND pronamespace = 'public'::regnamespace AND (
            proconfig IS NULL OR NOT 'search_path=public, pg_temp' = ANY (proconfig)
            OR proname NOT IN ('affidavit_ensure_partitions', 'affidavit_memberships', 'affidavit_tenant_ids'))""",
    "T11 nobody calls them by default": """
        SELECT p.proname FROM pg_proc p, aclexplode(p.proacl) a
         WHERE p.prosecdef AND p.pronamespace = 'public'::regnamespace AND a.grantee = 0""",
    "C1 tenant_id is a uuid, never null": """
        SELECT a.attrelid::regclass FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
         WHERE a.attname = 'tenant_id' AND c.relkind IN ('r', 'p') AND c.relnamespace = 'public'::regnamespace
           AND (NOT a.attnotnull OR a.atttypid <> 'uuid'::regtype)""",
    "C2 every key contains the tenant": """
        SELECT i.indexrelid::regclass FROM pg_index i
          JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attname = 'tenant_id'
          JOIN pg_class c ON c.oid = i.indrelid AND c.relnamespace = 'public'::regnamespace
         WHERE (i.indisunique OR i.indisexclusion) AND NOT (a.attnum = ANY (i.indkey::int2[]))""",
    "C3/C4 references between tenant tables carry the tenant, at the same place": """
        SELECT k.conname FROM pg_constraint k
          JOIN pg_attribute s ON s.attrelid = k.conrelid AND s.attname = 'tenant_id'
          JOIN pg_attribute t ON t.attrelid = k.confrelid AND t.attname = 'tenant_id'
         WHERE k.contype = 'f'
           AND array_position(k.conkey, s.attnum) IS DISTINCT FROM COALESCE(array_position(k.confkey, t.attnum), -1)""",
    "C3 no key is emptied or reset when what it refers to goes": """
        SELECT k.conname FROM pg_constraint k WHERE k.contype = 'f' AND k.connamespace = 'public'::regnamespace
           AND (k.confdeltype IN ('n', 'd') OR k.confupdtype IN ('n', 'd'))""",
    "C4 no global table refers to a tenant's": """
        SELECT k.conname FROM pg_constraint k
          JOIN pg_attribute t ON t.attrelid = k.confrelid AND t.attname = 'tenant_id'
         WHERE k.contype = 'f' AND NOT EXISTS (
            SELECT FROM pg_attribute s WHERE s.attrelid = k.conrelid AND s.attname = 'tenant_id')""",
    "C5 one level of partitions": """
        SELECT relname FROM pg_class WHERE relispartition AND relkind = 'p'""",
    "C5 the key of a partitioned table begins with the tenant and has what it is partitioned by": """
        SELECT p.partrelid::regclass FROM pg_partitioned_table p
          JOIN pg_index i ON i.indrelid = p.partrelid AND i.indisprimary
          JOIN pg_attribute t ON t.attrelid = p.partrelid AND t.attname = 'tenant_id'
         WHERE i.indkey[0] <> t.attnum OR NOT p.partattrs::int2[] <@ i.indkey::int2[]""",
    "C8 no role of the product holds what a statement trigger refuses: privileges alone keep tables append-only": f"""
        SELECT r.rolname, t.tgrelid::regclass FROM pg_trigger t, pg_roles r
         WHERE r.rolname IN ({APP_ROLES}) AND (
             (t.tgname = 'append_only_table' AND has_table_privilege(r.oid, t.tgrelid, 'TRUNCATE'))
             OR (t.tgname = 'append_only_rows' AND has_table_privilege(r.oid, t.tgrelid, 'UPDATE, DELETE')))""",
    "C8 other triggers are of rows, and of no extension": """
        SELECT t.tgrelid::regclass, t.tgname FROM pg_trigger t
         WHERE NOT t.tgisinternal AND (
             (t.tgtype & 1 = 0 AND t.tgname <> 'append_only_table')
             OR EXISTS (SELECT FROM pg_depend d WHERE d.objid = t.oid AND d.deptype = 'e'))""",
    "C9 no sequence but the queue's, whose numbers may have gaps": """
        SELECT a.attrelid::regclass, a.attname FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
          JOIN pg_attribute t ON t.attrelid = c.oid AND t.attname = 'tenant_id'
         WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') AND c.relname <> 'tenants_ledgerqueue'
           AND (a.attidentity <> '' OR pg_get_serial_sequence(c.oid::regclass::text, a.attname) IS NOT NULL)""",
    "C9 no 32-bit identity": """
        SELECT a.attrelid::regclass, a.attname FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
         WHERE a.attidentity <> '' AND a.atttypid = 'int4'::regtype AND c.relnamespace = 'public'::regnamespace
           AND c.relname NOT LIKE 'auth\\_%%' AND c.relname NOT LIKE 'django\\_%%' AND c.relname NOT LIKE 'guardian\\_%%'
           AND c.relname NOT LIKE 'account\\_%%' AND c.relname NOT LIKE 'socialaccount\\_%%'""",
    "C14 no views that could be written through": """
        SELECT relname FROM pg_class WHERE relkind = 'v' AND relnamespace = 'public'::regnamespace""",
    "C16 nobody reads the decisions of all tenants: what spans tenants is the ledger's, or a tenant's sums": """
        SELECT polrelid::regclass, polname FROM pg_policy
         WHERE polname LIKE 'all\\_tenants\\_%%' AND polrelid::regclass::text !~ '^tenants_(ledger|membership|tenant)'""",
    "C18 the tenant's column hashes, and sorts in no language": """
        SELECT a.attrelid::regclass FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
         WHERE a.attname = 'tenant_id' AND c.relkind IN ('r', 'p') AND c.relnamespace = 'public'::regnamespace
           AND (a.attcollation <> 0 OR NOT EXISTS (
               SELECT FROM pg_opclass o JOIN pg_am m ON m.oid = o.opcmethod
                WHERE m.amname = 'hash' AND o.opcintype = a.atttypid AND o.opcdefault))""",
    "C14 no rules": """
        SELECT ev_class::regclass FROM pg_rewrite r JOIN pg_class c ON c.oid = r.ev_class
         WHERE c.relkind IN ('r', 'p') AND c.relnamespace = 'public'::regnamespace""",
}


@pytest.mark.parametrize("rule", RULES)
def test_the_catalogue_keeps_the_rule(rule: str) -> None:
    with connections["owner"].cursor() as cursor:
        cursor.execute(RULES[rule].replace("%%", "%"))
        assert cursor.fetchall() == []


def test_tables_without_a_tenant_are_known() -> None:
    with connections["owner"].cursor() as cursor:
        cursor.execute("""
            SELECT c.relname FROM pg_class c WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p')
               AND NOT EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attname = 'tenant_id')""")
        found = {row[0] for row in cursor.fetchall()}
    assert found == set(GLOBAL_TABLES) | {"tenants_tenant"}
