#!/bin/sh
# Starts Nginx with the HTTPS lines of nginx.conf, which are comments there. Used by
# docker-compose.tls.yml.
set -eu
source=${NGINX_CONF:-/etc/nginx/nginx.conf}
target=${NGINX_TLS_CONF:-/run/nginx-tls.conf}
certificates=${NGINX_CERTIFICATES:-/etc/nginx/tls}

for file in fullchain.pem privkey.pem; do
  if [ ! -r "$certificates/$file" ]; then
    echo "$file is missing: put fullchain.pem and privkey.pem into the directory of TLS_DIR (./tls)" >&2
    exit 1
  fi
done

# The first "listen 80" gives way; the server that redirects to HTTPS has the other.
sed -e '/^    listen 80;$/d' \
  -e 's/^\( *\)# \(listen 443 ssl;\)$/\1\2/' \
  -e 's/^\( *\)# \(ssl_[a-z_]* .*;\)$/\1\2/' \
  -e 's/^\( *\)# \(add_header Strict-Transport-Security .*;\)$/\1\2/' \
  -e '/^  # server {$/,/^  # }$/s/^  # /  /' \
  "$source" > "$target"

exec nginx -c "$target" -g 'daemon off;'
