import { AppError } from '../../error.ts'
import { type ProblemContext, problemResponse } from '../problem.ts'

export interface RouteList {
  readonly routes: readonly { readonly method: string; readonly path: string }[]
}

/**
 * Paths match with or without one trailing slash. A path parameter is one segment, not empty; a `*`
 * at the end is any number of them.
 */
export interface RouteTable {
  /** Returns the sorted methods of a path, HEAD included; empty if no route matches. */
  methodsOf(path: string): readonly string[]
  /** Returns the route of a path without BASE_PATH, such as `/users/:id`, or `unmatched`. */
  labelOf(path: string): string
  /** Returns whether the path is a route's without parameters: it contains no data. */
  isFixed(path: string): boolean
}

interface Route {
  readonly label: string
  readonly segments: readonly string[]
  readonly methods: readonly string[]
}

/** Labels never contain request data, so there are only as many as there are routes. */
const unmatchedLabel = 'unmatched'
const knownMethods = new Set(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'])
/** No route has more segments, so splitting a long path stops here. */
const maxSegments = 16

export function createRouteTable({ routes }: RouteList, basePath: string): RouteTable {
  const { fixed = [], parameterized = [] } = Object.groupBy(mergeMethods(routes, basePath), ({ label }) =>
    /[:*]/.test(label) ? 'parameterized' : 'fixed',
  )
  const fixedByPath = new Map<string, Route>()
  for (const route of fixed) {
    const path = route.segments.join('/')
    // A fixed path can match a parameterized route too. It then supports the methods of both.
    const matches = [route, ...parameterized.filter((other) => isMatch(other, route.segments))]
    for (const variant of [path, `${path}/`]) fixedByPath.set(variant, { ...route, methods: union(matches) })
  }

  // The route of BASE_PATH is also there without a slash, and at the root.
  const landing = fixedByPath.get(`${basePath}/`)
  if (landing) for (const path of [basePath, '/']) fixedByPath.set(path, landing)

  const findParameterized = (path: string): readonly Route[] => {
    const segments = path.split('/', maxSegments + 2)
    if (segments.length > 1 && segments.at(-1) === '') segments.pop()
    return parameterized.filter((route) => isMatch(route, segments))
  }
  return {
    methodsOf: (path) => fixedByPath.get(path)?.methods ?? union(findParameterized(path)),
    labelOf: (path) => (fixedByPath.get(path) ?? findParameterized(path)[0])?.label ?? unmatchedLabel,
    isFixed: (path) => fixedByPath.has(path),
  }
}

/** Returns one route for each path, with all of its methods. */
function mergeMethods(routes: RouteList['routes'], basePath: string): readonly Route[] {
  return [...Map.groupBy(routes, ({ path }) => path)].map(([path, sharing]) => ({
    label: path.startsWith(`${basePath}/`) ? path.slice(basePath.length) : path,
    segments: path.split('/'),
    methods: sharing.flatMap(({ method }) => (method === 'GET' ? ['GET', 'HEAD'] : [method])),
  }))
}

function union(routes: readonly Route[]): readonly string[] {
  return [...new Set(routes.flatMap(({ methods }) => methods))].sort()
}

function isMatch({ segments: pattern }: Route, segments: readonly string[]): boolean {
  const isOpen = pattern.at(-1) === '*'
  return (
    (isOpen
      ? pattern.length <= segments.length && !segments.slice(pattern.length).includes('')
      : pattern.length === segments.length) &&
    pattern.every((part, index) => (/^[:*]/.test(part) ? segments[index] !== '' : part === segments[index]))
  )
}

/** Returns the method as a metrics label: a known method, or `other`. */
export function methodLabel(method: string): string {
  return knownMethods.has(method) ? method : 'other'
}

/** Returns a 405 response with `Allow` (RFC 9110 §15.5.6). */
export function methodNotAllowed(methods: readonly string[], context: ProblemContext): Response {
  const allow = methods.join(', ')
  const detail = allow === '' ? 'This method is not supported.' : `This path only supports ${allow}.`
  const response = problemResponse(new AppError('method_not_allowed', detail), context)
  response.headers.set('allow', allow)
  return response
}
