import { createHash } from 'node:crypto'
import { type ComputedVariable, variable } from './maps.ts'

const style =
  ':root{color-scheme:light dark}body{margin:0;min-height:100vh;display:grid;place-content:center;background:#f5f7f6;color:#18201d;' +
  'font:1rem/1.5 system-ui,sans-serif}main{max-width:26rem;margin:1rem;padding:2rem;border:1px solid #dde3e0;border-radius:.75rem;' +
  'background:#fff}h1{margin:0 0 .5rem;font-size:1.625rem;line-height:1.25}p{margin:0}small{display:block;margin-top:1.5rem;color:#55605b}' +
  '@media(prefers-color-scheme:dark){body{background:#121615;color:#e7edea}main{background:#1b211f;border-color:#313a36}small{color:#a4b0ab}}'

/** Everything is in the page, because Nginx may show it while nothing else responds. */
export const problemPagePolicy = `default-src 'none'; style-src 'sha256-${createHash('sha256').update(style).digest('base64')}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'`

/** The titles and texts for people, by status. */
export const problemPageTexts = {
  413: ['Too much data', 'The request is too large. Go back and shorten what you entered.'],
  429: [
    'Too many attempts',
    'Too many requests came from your network. Wait SECONDS seconds, then go back and try again.',
  ],
  default: ['Temporarily unavailable', 'The service is temporarily unavailable. Try again shortly.'],
} as const

/** Returns the page. The arguments are variables of Nginx. */
export function problemPage(title: string, text: string, requestId: string): string {
  return `<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>${title}</title><style>${style}</style></head><body><main><h1>${title}</h1><p>${text}</p><small>Request ID: ${requestId}</small></main></body></html>`
}

/**
 * The problems that have a page. Others are not about the person, or lead to a page of AuditTrail.
 */
export const hasProblemPage = '~^(?:413|429|50[0-9]) 1\\z'

/**
 * Browsers without HTTPS do not say that they navigate, so that only the path and `Accept` show it.
 */
export function pageRequestPatterns(base: string): readonly string[] {
  const pages = `${base.replaceAll('.', '\\.')}/(?:sign-in|sign-out|refused|account)`
  return ['~^navigate[|]{3}', `~^[|]{3}${pages}(?:/[^|]*)?[|].*text/html`]
}
export const pageRequestSource = '"$http_sec_fetch_mode|$http_upgrade|$http_x_requested_with|$uri|$http_accept"'

export interface ProblemVariables {
  readonly isPage: ComputedVariable
  readonly title: ComputedVariable
  readonly text: ComputedVariable
  readonly type: ComputedVariable
  readonly policy: ComputedVariable
  readonly body: ComputedVariable
}

/** Returns the variables of Nginx's own errors: a page for people, JSON for everything else. */
export function createProblemVariables(
  base: string,
  { json, requestId, retryAfter }: { readonly json: string; readonly requestId: string; readonly retryAfter: string },
): ProblemVariables {
  const isPage = variable('seen', pageRequestSource, {
    ...Object.fromEntries(pageRequestPatterns(base).map((pattern) => [pattern, '1'])),
    default: '""',
  })
  const byStatus = (index: 0 | 1) =>
    Object.fromEntries(
      Object.entries(problemPageTexts).map(([status, texts]) => [
        status,
        `"${texts[index].replace('SECONDS', retryAfter)}"`,
      ]),
    )
  const title = variable('head', '$status', byStatus(0))
  const text = variable('say', '$status', byStatus(1))
  const source = `"$status ${isPage.name}"`
  return {
    isPage,
    title,
    text,
    type: variable('type', source, {
      [hasProblemPage]: '"text/html; charset=utf-8"',
      default: 'application/problem+json',
    }),
    policy: variable('csp', source, { [hasProblemPage]: `"${problemPagePolicy}"`, default: '""' }),
    body: variable('body', source, {
      [hasProblemPage]: `'${problemPage(title.name, text.name, requestId)}'`,
      default: `'${json}'`,
    }),
  }
}
