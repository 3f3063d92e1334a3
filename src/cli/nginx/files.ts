import { type Names, verifyPathOf } from './locations.ts'
import { isHidden, rejectIf } from './paths.ts'
import type { ProtectedFiles, Site } from './site.ts'

/** Returns the locations of the protected static sites. */
export function fileLocations(site: Site, names: Names): string {
  if (site.files.length === 0) return ''
  return `${site.files.map((files) => locationOf(site, files, names)).join('')}
  # For directories without an index file.
  location = ${missingPath} {
    internal;
    return 404;
  }
`
}

const missingPath = '/_audittrail/missing'

function locationOf(site: Site, { path, directory, roles }: ProtectedFiles, { maps }: Names): string {
  const folder = path === '/' ? '/' : `${path}/`
  const hsts = site.tls ? `    add_header Strict-Transport-Security ${maps.hsts.name} always;\n` : ''
  const toFolder =
    path === '/'
      ? ''
      : `
  location = ${path} {
    absolute_redirect off;
    return 301 ${folder}$is_args$args;
  }`
  return `${toFolder}
  # Files of ${directory}. Both slashes matter: without them, ${path}../x would leave the directory.
  location ${folder} {
    # Never serves hidden files such as .env and .git.
${rejectIf(`$uri ~ "${isHidden}"`)}    auth_request ${verifyPathOf(site, { roles })};
    alias ${directory === '/' ? '' : directory}/;
    index index.html ${missingPath};
    absolute_redirect off;
    # Browsers keep pages, but ask again before they show one, also after a sign-out.
    add_header Cache-Control "private, no-cache" always;
    add_header X-Content-Type-Options nosniff always;
    add_header X-Frame-Options SAMEORIGIN always;
    add_header Referrer-Policy same-origin always;
${hsts}  }
`
}
