export interface RouteList {
  readonly routes: readonly { readonly path: string }[]
}

/** Where no route is. */
const unmatched = 'unmatched'
/** Methods that a client may have meant; whatever else it sends counts as one. */
const knownMethods = new Set(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'])

/**
 * The route of a path as it is written in the code and without BASE_PATH: `/users/:id`. Nothing of what a client writes comes
 * out, so that there are as many answers as there are routes, and one.
 */
export function createRoutePattern({ routes }: RouteList, basePath: string): (path: string) => string {
  const nameOf = (path: string) => (path.startsWith(`${basePath}/`) ? path.slice(basePath.length) : path)
  const fixed = new Map<string, string>()
  const open: { readonly name: string; readonly parts: readonly string[] }[] = []
  for (const path of new Set(routes.map((route) => route.path))) {
    const name = nameOf(path)
    if (path.includes(':')) open.push({ name, parts: path.split('/') })
    else for (const spelling of [path, `${path}/`]) fixed.set(spelling, name)
  }
  return (path) => fixed.get(path) ?? findOpen(path.split('/', mostParts + 2)) ?? unmatched

  function findOpen(given: string[]): string | undefined {
    if (given.length > 1 && given.at(-1) === '') given.pop()
    return open.find(({ parts }) => fits(parts, given))?.name
  }
}

/** More parts has no route; a path of thousands is not taken apart. */
const mostParts = 16

function fits(pattern: readonly string[], given: readonly string[]): boolean {
  return (
    pattern.length === given.length &&
    pattern.every((part, at) => (part.startsWith(':') ? given[at] !== '' : part === given[at]))
  )
}

export function methodLabel(method: string): string {
  return knownMethods.has(method) ? method : 'other'
}
