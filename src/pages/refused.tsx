import type { Frame } from './frame.ts'
import { link } from './link.ts'
import { Shell, toDocument } from './shell.tsx'
import { texts } from './texts.ts'

export const refusals = ['role', 'password', 'origin', 'cookie', 'loop'] as const
export type Refusal = (typeof refusals)[number]

export interface RefusedData {
  readonly refusal: Refusal
  /** The result of `returnTarget`. */
  readonly return?: string | undefined
}

/** Says why access is refused, and offers the next step. */
export function refusedPage(frame: Frame, data: RefusedData): string {
  const text = texts[frame.language].refused
  const { title, text: explanation } = text[data.refusal]
  const { user } = frame
  return toDocument(
    <Shell frame={frame} title={title} isAlone>
      <h1>{title}</h1>
      <p>{explanation}</p>
      {user && data.refusal !== 'cookie' ? (
        <p>
          {texts[frame.language].signedInAs}{' '}
          <strong>
            <bdi>{user.username}</bdi>
          </strong>
          .
        </p>
      ) : null}
      <NextStep frame={frame} data={data} />
    </Shell>,
  )
}

/** The sign-in page takes a `Referer` of its own URL, where this may be, for a lost cookie. */
function NextStep({ frame, data: { refusal, return: back } }: { readonly frame: Frame; readonly data: RefusedData }) {
  const text = texts[frame.language].refused
  if (!frame.user || refusal === 'cookie')
    return (
      <a class="button" href={link(frame, 'sign-in', { return: back })} rel="noreferrer">
        {text.signIn}
      </a>
    )
  if (refusal === 'loop')
    return (
      <a class="button" href={link(frame, 'sign-in', { return: back })}>
        {text.tryAgain}
      </a>
    )
  if (refusal === 'password')
    return (
      <a class="button" href={link(frame, 'account/password', { return: back })}>
        {text.changePassword}
      </a>
    )
  if (refusal === 'origin')
    return (
      <a class="button" href={link(frame, 'account')}>
        {text.goToAccount}
      </a>
    )
  return (
    <form method="post" action={link(frame, 'sign-out')}>
      {back === undefined ? null : <input type="hidden" name="return" value={back} />}
      <button type="submit" class="primary">
        {text.otherAccount}
      </button>
    </form>
  )
}
