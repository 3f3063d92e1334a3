/** Parses a comma-separated list of web origins. Empty means none. */
export function parseOrigins(text: string): readonly string[] {
  const origins = text.split(',').map((origin) => origin.trim())
  return Object.freeze(origins.filter((origin) => origin !== '').map(parseOrigin))
}

// Stricter than URL, which accepts * in a host name.
const plainOrigin = /^https?:\/\/([a-z0-9._-]+|\[[0-9a-f:]+\])(:\d+)?$/

/** Origins are compared byte by byte, so each must be written exactly as a browser sends it. */
function parseOrigin(origin: string): string {
  const isCanonical = plainOrigin.test(origin) && URL.canParse(origin) && new URL(origin).origin === origin
  if (!isCanonical)
    throw new Error(
      'must list exact origins, separated by commas, such as https://app.example.com, ' +
        'without path, trailing slash, default port, uppercase letters or wildcards',
    )
  return origin
}
