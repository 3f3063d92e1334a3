#!/bin/sh
# Creates the secrets for docker-compose.yml, so that the first `docker compose up -d` needs no
# preparation and uses no well-known password. Existing secrets are kept unless the environment sets
# them.
set -eu
umask 077
directory=${SECRETS_DIR:-/secrets}

random() { od -An -v -tx1 -N32 /dev/urandom | tr -d ' \n'; }

# keep FILE VALUE: writes VALUE. If VALUE is empty and the file is missing or empty, writes a random
# one.
keep() {
  if [ -n "$2" ] || [ ! -s "$directory/$1" ]; then
    printf '%s' "${2:-$(random)}" > "$directory/$1.new"
    mv "$directory/$1.new" "$directory/$1"
  fi
}

case ${POSTGRES_PASSWORD:-} in
  *[!A-Za-z0-9._~-]*)
    echo 'POSTGRES_PASSWORD becomes part of a URL: use only letters, digits and . _ ~ -' >&2
    exit 1
    ;;
esac
keep postgres-password "${POSTGRES_PASSWORD:-}"
keep secret-key "${SECRET_KEY:-}"
keep database-url "postgresql://audittrail:$(cat "$directory/postgres-password")@db:5432/audittrail"

# Each file belongs to its reader: the user of deploy/Dockerfile, or root, as which the PostgreSQL
# image starts.
chmod 0711 "$directory"
chown "${API_USER:-65532:65532}" "$directory/secret-key" "$directory/database-url"
chmod 0400 "$directory/secret-key" "$directory/database-url" "$directory/postgres-password"
