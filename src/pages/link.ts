import type { Frame } from './frame.ts'

/** A URL that was made by `link`. */
export type Link = string & { readonly made: unique symbol }

/** The pages that a link or a redirect can lead to, below BASE_PATH. */
export const pagePaths = [
  'sign-in',
  'sign-out',
  'account',
  'account/password',
  'account/sessions',
  'account/activity',
] as const
export type PagePath = (typeof pagePaths)[number]

export interface LinkQuery {
  readonly after?: string | undefined
  /** The message to show. */
  readonly done?: string | undefined
  /** Our page that follows the sign-in. */
  readonly page?: PagePath | undefined
  /** The result of `returnTarget`. It comes last: everything after `return=` is part of it. */
  readonly return?: string | undefined
}

/**
 * Returns the URL of one of our pages, assets or parts of a page. It is relative to the requested
 * path, because a proxy may strip a prefix that the server does not know.
 */
export function link(
  { path }: Pick<Frame, 'path'>,
  target: PagePath | `pages/${string}` | `#${string}`,
  query: LinkQuery = {},
): Link {
  if (target.startsWith('#')) return target as Link
  const toBase = '../'.repeat(path.split('/').length - 2)
  const { after, done, page } = query
  const parameters = [
    ...Object.entries({ after, done, page }).flatMap(([name, value]) =>
      value === undefined ? [] : [`${name}=${encodeURIComponent(value)}`],
    ),
    ...(query.return === undefined ? [] : [`return=${query.return}`]),
  ]
  const search = parameters.length > 0 ? `?${parameters.join('&')}` : ''
  return `${toBase}${target}${search}` as Link
}
