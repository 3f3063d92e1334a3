#!/bin/sh
# Makes the secrets that docker-compose.yml needs, once: the first `docker compose up -d` works with nothing prepared, and
# no password in it is one that everybody knows. What is there already is kept; what the environment gives is taken.
set -eu
umask 077
directory=${SECRETS_DIR:-/secrets}

random() { od -An -v -tx1 -N32 /dev/urandom | tr -d ' \n'; }

# keep FILE VALUE: writes VALUE, or, where it is empty and there is no such file yet, something random.
keep() {
  if [ -n "$2" ] || [ ! -s "$directory/$1" ]; then
    printf '%s' "${2:-$(random)}" > "$directory/$1.new"
    mv "$directory/$1.new" "$directory/$1"
  fi
}

case ${POSTGRES_PASSWORD:-} in
  *[!A-Za-z0-9._~-]*)
    echo 'POSTGRES_PASSWORD goes into a URL here: letters, digits and . _ ~ - only' >&2
    exit 1
    ;;
esac
keep postgres-password "${POSTGRES_PASSWORD:-}"
keep secret-key "${SECRET_KEY:-}"
keep database-url "postgresql://audittrail:$(cat "$directory/postgres-password")@db:5432/audittrail"

# Each file for the one that reads it: the user of deploy/Dockerfile, and root, as whom PostgreSQL's image starts.
chmod 0711 "$directory"
chown "${API_USER:-65532:65532}" "$directory/secret-key" "$directory/database-url"
chmod 0400 "$directory/secret-key" "$directory/database-url" "$directory/postgres-password"
