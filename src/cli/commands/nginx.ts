import type { Command } from '../command.ts'
import { nginxConfiguration } from '../nginx/configuration.ts'
import { readSite } from '../nginx/site.ts'

export const nginx: Command = {
  name: 'nginx',
  summary: 'print a configuration for Nginx that lets only signed-in users through to other services',
  words: [],
  flags: {
    'server-name': { takes: 'NAME', doc: 'public host name' },
    upstream: {
      takes: '/PATH=http://HOST:PORT[:ROLE,…]',
      doc: 'a path, the service behind it, and the roles that open it, any of them (every user)',
      isRepeatable: true,
    },
    root: { takes: 'DIRECTORY', doc: 'files of a web app, served to anyone' },
    service: { takes: 'HOST:PORT', doc: 'where Nginx reaches AuditTrail (127.0.0.1 and PORT)', isRepeatable: true },
    listen: { takes: '[ADDRESS:]PORT', doc: 'where Nginx listens (80, with a certificate 443)' },
    'tls-certificate': { takes: 'FILE', doc: 'certificate chain' },
    'tls-key': { takes: 'FILE', doc: 'private key' },
    cache: { takes: 'SECONDS', doc: 'keep a yes that long, 2 to 60; what has been revoked opens doors until then (0)' },
  },
  run: ({ config, stdout }, { flags }) => {
    stdout(nginxConfiguration(readSite(flags, config)))
    return 0
  },
}
