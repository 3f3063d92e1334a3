import { type ComposedRoute, isGuarded } from './guard.ts'

/** The routes without a guard, as `GET /health`. */
export interface UnguardedRoutes {
  /** Need no credentials. */
  readonly open: readonly string[]
  /** Check the credentials in their handler. */
  readonly selfGuarded: readonly string[]
}

/** Throws unless each route is either guarded or declared, and each declared route exists. */
export function requireLockedByDefault(
  routes: readonly ComposedRoute[],
  { basePath, unguarded }: { readonly basePath: string; readonly unguarded: UnguardedRoutes },
): void {
  const nameOf = ({ method, path }: ComposedRoute) => `${method} ${path.slice(basePath.length)}`
  const declared = new Set([...unguarded.open, ...unguarded.selfGuarded])
  for (const route of routes) {
    const name = nameOf(route)
    if (isGuarded(route) && declared.has(name))
      throw new Error(`Route "${name}" has a guard: do not declare it as open.`)
    if (!isGuarded(route) && !declared.has(name))
      throw new Error(`Route "${name}" has no guard: use one or declare it.`)
  }
  const names = new Set(routes.map(nameOf))
  const missing = [...declared].filter((name) => !names.has(name))
  if (missing.length > 0) throw new Error(`No such route: ${missing.join(', ')}. Remove it from the declared routes.`)
}
