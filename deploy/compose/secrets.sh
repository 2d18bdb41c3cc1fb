#!/bin/sh
# Makes the files that compose.yaml mounts as secrets, each readable by this account alone; what is there stays.
set -eu
umask 077
folder="$(dirname "$0")/secrets"
mkdir -p "$folder"
word() { head -c 48 /dev/urandom | base64 | tr -d '/+=\n'; }
keep() { [ -s "$folder/$1" ] || printf '%s' "$2" >"$folder/$1"; }
for name in database_password_admin database_password_owner database_password_app redis_password; do
  keep "$name" "$(word)"
done
keep secret_key "$(word)$(word)"
keep database_url_owner "postgres://gmud_owner:$(cat "$folder/database_password_owner")@postgres:5432/gmud"
keep database_url_app "postgres://gmud_app:$(cat "$folder/database_password_app")@postgres:5432/gmud"
keep redis_url "redis://:$(cat "$folder/redis_password")@redis:6379/0"
# What others give you: write it in where you have it, empty is none.
for name in smtp_url oidc_client_secret; do
  keep "$name" ""
done
# The folder is closed to others on this machine; containers, whose accounts are other ones, are given single files.
chmod 0700 "$folder"
chmod 0644 "$folder"/*
echo "The secrets are in $folder: keep them out of version control, and keep a copy where backups are kept."
