import type { Command } from '../command.ts'
import { nginxConfiguration } from '../nginx/configuration.ts'
import { readSite } from '../nginx/site.ts'

export const nginx: Command = {
  name: 'nginx',
  summary: 'Print an Nginx configuration with forward auth',
  details:
    'The configuration lets only signed-in users, or users with a role, reach other services, and passes their identity in headers.',
  arguments: [],
  flags: {
    'server-name': { value: 'NAME', doc: 'Public host name (required)' },
    upstream: {
      value: '/PATH=http://HOST:PORT[:ROLE,…]',
      doc: 'A protected path, the service behind it, and the roles that may use it (default: every user)',
      isRepeatable: true,
    },
    files: {
      value: '/PATH=DIRECTORY[:ROLE,…]',
      doc: 'A protected path, the directory of its static files, and the roles that may read them (default: every user)',
      isRepeatable: true,
    },
    'sign-in': {
      value: 'on|off',
      doc: 'Send people in browsers to the sign-in page and back, and accept their session cookie (default: PAGES)',
    },
    root: { value: 'DIRECTORY', doc: 'Files of a web app, served to everyone' },
    service: {
      value: 'HOST:PORT',
      doc: 'Where Nginx reaches AuditTrail (default: 127.0.0.1 and PORT)',
      isRepeatable: true,
    },
    listen: {
      value: '[ADDRESS:]PORT',
      doc: 'Where Nginx listens (default: 80, or 443 with TLS)',
      isRepeatable: true,
    },
    'tls-certificate': { value: 'FILE', doc: 'TLS certificate chain' },
    'tls-key': { value: 'FILE', doc: 'TLS private key' },
    body: { value: 'SIZE', doc: 'The largest request body, such as 512k or 10m (default: 1m)' },
    'pass-token': { doc: 'Pass the Authorization header on to the services' },
    'matrix-parameters': {
      value: '/PATH',
      doc: 'Allow ";" in the paths of this upstream. It must not contain another one with other roles',
      isRepeatable: true,
    },
    cache: {
      value: 'SECONDS',
      doc: 'Cache granted access for 2 to 60 seconds. Revoked access stays open that long (default: 0, no cache)',
    },
  },
  run: ({ config, stdout }, { flags }) => {
    stdout(nginxConfiguration(readSite(flags, { ...config, hasPages: config.pages === 'on' })))
    return 0
  },
}
