import { AppError } from '../../error.ts'
import { type ProblemContext, problemResponse } from '../problem.ts'

export interface RouteList {
  readonly routes: readonly { readonly method: string; readonly path: string }[]
}

/** The methods by which a path is served, sorted; none where there is nothing. HEAD comes with GET. */
export function methodsAt({ routes }: RouteList, path: string): readonly string[] {
  const methods = new Set(routes.filter((route) => fits(route.path, path)).map((route) => route.method))
  if (methods.has('GET')) methods.add('HEAD')
  return [...methods].sort()
}

/** 405 with `Allow` (RFC 9110 §15.5.6). */
export function refuseMethod(methods: readonly string[], context: ProblemContext): Response {
  const allow = methods.join(', ')
  const detail = allow === '' ? 'This method is not supported.' : `This path only supports ${allow}.`
  const response = problemResponse(new AppError('method_not_allowed', detail), context)
  response.headers.set('allow', allow)
  return response
}

/** A parameter of the path is one segment and not empty. A slash at the end makes no difference. */
function fits(pattern: string, path: string): boolean {
  const [expected, given] = [pattern.split('/'), path.replace(/\/$/, '').split('/')]
  return (
    expected.length === given.length &&
    expected.every((part, index) => (part.startsWith(':') ? given[index] !== '' : part === given[index]))
  )
}
