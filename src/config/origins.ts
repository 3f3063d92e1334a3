/** A list of web origins with commas between; empty for none. Throws an Error that says what it takes. */
export function parseOrigins(text: string): readonly string[] {
  const origins = text.split(',').map((origin) => origin.trim())
  return Object.freeze(origins.filter((origin) => origin !== '').map(parseOrigin))
}

// The platform's URL takes a * for part of a name.
const plainOrigin = /^https?:\/\/([a-z0-9._-]+|\[[0-9a-f:]+\])(:\d+)?$/

/** As a browser writes it, since it is compared letter by letter. */
function parseOrigin(origin: string): string {
  const isRight = plainOrigin.test(origin) && URL.canParse(origin) && new URL(origin).origin === origin
  if (!isRight)
    throw new Error(
      'exact origins as browsers write them, with a comma between (https://app.example.com, http://localhost:5173): ' +
        'no path, no slash at the end, no default port, small letters, neither * nor null',
    )
  return origin
}
