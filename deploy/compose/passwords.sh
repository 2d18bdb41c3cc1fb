#!/bin/sh
# Runs once, when the database is made, after roles.sql: gives the two roles their passwords, from files.
set -eu
for role in owner app; do
  psql -v ON_ERROR_STOP=1 --no-psqlrc --username "$POSTGRES_USER" --dbname "$POSTGRES_DB" \
    --set=role="gmud_$role" --set=password="$(cat "/run/secrets/database_password_$role")" <<'SQL'
ALTER ROLE :"role" PASSWORD :'password';
SQL
done
