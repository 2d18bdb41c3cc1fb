-- Two roles for PostgreSQL 15 or newer, so that what runs day by day cannot rewrite the audit record.
--
--   gmud_owner   owns the tables; only `manage.py migrate` connects as it
--   gmud_app     web, workers, beat and sealer; reads and writes, owns nothing, changes no table
--
-- Run once as a superuser, connected to the database of GMUD, before the first migrate; running it again changes
-- nothing:
--
--   createdb gmud
--   psql -d gmud -v ON_ERROR_STOP=1 -f deploy/sql/roles.sql
--   psql -d gmud -c '\password gmud_owner' -c '\password gmud_app'
--
-- Other names: -v owner=… -v app=…. What the two must not do on the audit tables is taken from them by the migration
-- that puts the triggers in place; GMUD_STRICT=1 looks at every start whether it still holds.

\set ON_ERROR_STOP 1
\if :{?owner} \else \set owner gmud_owner \endif
\if :{?app} \else \set app gmud_app \endif

BEGIN;

SELECT format('CREATE ROLE %I LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS', name)
FROM unnest(ARRAY[:'owner', :'app']) AS name
WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = name)
\gexec

SELECT format('REVOKE ALL ON DATABASE %I FROM PUBLIC', current_database())
\gexec
SELECT format('GRANT CONNECT ON DATABASE %I TO %I, %I', current_database(), :'owner', :'app')
\gexec

REVOKE ALL ON SCHEMA public FROM PUBLIC;
ALTER SCHEMA public OWNER TO :"owner";
GRANT USAGE ON SCHEMA public TO :"app";

-- What the owner makes from now on, the other may use; never TRUNCATE, TRIGGER or REFERENCES.
ALTER DEFAULT PRIVILEGES FOR ROLE :"owner" IN SCHEMA public
  GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO :"app";
ALTER DEFAULT PRIVILEGES FOR ROLE :"owner" IN SCHEMA public
  GRANT USAGE, SELECT ON SEQUENCES TO :"app";

COMMIT;
