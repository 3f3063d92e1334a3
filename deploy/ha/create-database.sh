#!/bin/sh
# Patroni runs this once, when it has created the cluster; $1 is a connection string of the superuser.
set -eu
psql --no-psqlrc --quiet --set=ON_ERROR_STOP=1 --set=password="$AUDITTRAIL_PASSWORD" "$1" <<'SQL'
CREATE ROLE audittrail LOGIN PASSWORD :'password';
-- Lets AuditTrail see the state of replication, in pg_stat_replication and pg_stat_wal_receiver.
GRANT pg_read_all_stats TO audittrail;
CREATE DATABASE audittrail OWNER audittrail;
SQL
