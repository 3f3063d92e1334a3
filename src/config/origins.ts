/** Parses a comma-separated list of web origins. Empty means none. */
export function parseOrigins(text: string): readonly string[] {
  const origins = text.split(',').map((origin) => origin.trim())
  return Object.freeze(origins.filter((origin) => origin !== '').map(parseOrigin))
}

/** Parses a comma-separated list of origins of websites. Empty means none. */
export function parseWebOrigins(text: string): readonly string[] {
  const origins = parseOrigins(text)
  if (!origins.every((origin) => /^https?:/.test(origin)))
    throw new Error('must list origins that begin with https:// or http://, separated by commas')
  return origins
}

// Stricter than URL, which accepts * in a host name.
const webOrigin = /^(https?|wss?|ftp):\/\/([a-z0-9._-]+|\[[0-9a-f:]+\])(:\d+)?$/
/** Apps and extensions have schemes of their own, whose hosts keep their case. */
const appOrigin = /^(?!(https?|wss?|ftp|file|null):)[a-z][a-z0-9+.-]*:\/\/([A-Za-z0-9._~-]+|\[[0-9a-f:]+\])(:\d+)?$/

/** Returns whether it is an origin, written exactly as a browser sends it. */
export function isOrigin(origin: string): boolean {
  const url = URL.canParse(origin) ? new URL(origin) : undefined
  return webOrigin.test(origin) ? url?.origin === origin : appOrigin.test(origin) && url?.href === origin
}

/** Origins are compared byte by byte. */
function parseOrigin(origin: string): string {
  if (!isOrigin(origin))
    throw new Error(
      'must list exact origins, separated by commas, such as https://app.example.com or capacitor://localhost, ' +
        'without path, trailing slash, default port, wildcards or uppercase letters in a web address',
    )
  return origin
}
