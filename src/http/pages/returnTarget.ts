/** Path, query and fragment in visible ASCII. `//` and a backslash start another host's name. */
const wellFormed = /^\/(?!\/)[\x21-\x5b\x5d-\x7e]{0,1999}$/
const base = new URL('http://here.invalid')

/**
 * Returns the path, query and fragment to send the browser to, or undefined unless the text stays
 * on the same origin and is no sign-in or sign-out page of ours (decision 0031).
 */
export function returnTarget(text: string, basePath: string): string | undefined {
  if (!wellFormed.test(text)) return undefined
  const url = URL.parse(text, base.href)
  if (!url || url.origin !== base.origin || url.username !== '' || url.password !== '') return undefined
  const { pathname, search, hash } = url
  // `/.//host` has this path: sent as a Location, it would be another host's.
  if (pathname.startsWith('//') || !pathname.startsWith('/')) return undefined
  const page = pathname.replace(/\/$/, '')
  if (page === `${basePath}/sign-in` || page === `${basePath}/sign-out`) return undefined
  const target = pathname + search + hash
  return wellFormed.test(target) ? target : undefined
}

/**
 * Returns the query parameters of a page. Everything after `return=` is its value, undecoded: Nginx
 * cannot encode `$request_uri`.
 */
export function readPageQuery(url: string): { readonly parameters: URLSearchParams; readonly target: string } {
  const start = url.indexOf('?')
  const query = start < 0 ? '' : url.slice(start + 1).replace(/#.*$/s, '')
  const found = /(?:^|&)return=/.exec(query)
  return {
    parameters: new URLSearchParams(found ? query.slice(0, found.index) : query),
    target: found ? query.slice(found.index + found[0].length) : '',
  }
}

const pagesWithTarget = ['/sign-in', '/refused', '/account/password']

/** Returns a check for the paths whose query may end in an undecodable `return`. */
export function createHasTarget(basePath: string): (path: string) => boolean {
  const paths = new Set(pagesWithTarget.flatMap((path) => [basePath + path, `${basePath}${path}/`]))
  return (path) => paths.has(path)
}
