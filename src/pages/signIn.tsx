import { ErrorSummary, Field, type FormError, Notice } from './form.tsx'
import type { Frame } from './frame.ts'
import { link, type PagePath } from './link.ts'
import { Shell, toDocument } from './shell.tsx'
import { type Texts, texts } from './texts.ts'

export type SignInError =
  | { readonly kind: 'missing' | 'incorrect' | 'busy' | 'unavailable' }
  | { readonly kind: 'throttled'; readonly seconds: number }

export interface SignInData {
  /** As entered before. A password is never shown again. */
  readonly username?: string | undefined
  readonly stay?: boolean
  /** REFRESH_TOKEN_EXPIRE_DAYS. */
  readonly stayDays: number
  readonly error?: SignInError | undefined
  readonly done?: keyof Texts['signIn']['done'] | undefined
  /** The result of `returnTarget`. */
  readonly return?: string | undefined
  /** The page of ours that follows. */
  readonly page?: PagePath | undefined
}

export function signInPage(frame: Frame, data: SignInData): string {
  const text = texts[frame.language].signIn
  const { username, stay = false, stayDays, error, done } = data
  const errors: readonly FormError[] = error ? [{ text: textOf(text, error) }] : []
  const isBlamed = error?.kind === 'incorrect' || error?.kind === 'missing'
  const title = text.title(frame.title)
  return toDocument(
    <Shell frame={frame} title={title} hasError={error !== undefined} isAlone>
      <h1>{title}</h1>
      {done && !error ? <Notice>{text.done[done]}</Notice> : null}
      <ErrorSummary frame={frame} errors={errors} />
      {frame.isEncrypted ? null : <p class="warning">{texts[frame.language].unencrypted}</p>}
      <form method="post" action={link(frame, 'sign-in')}>
        <Field
          frame={frame}
          name="username"
          label={text.username}
          autocomplete="username"
          value={username ?? ''}
          errors={errors}
          isBlamed={isBlamed}
          isFocused={!error && !done}
        />
        <Field
          frame={frame}
          name="password"
          label={text.password}
          autocomplete="current-password"
          errors={errors}
          isBlamed={isBlamed}
        />
        <label class="choice">
          <input type="checkbox" name="stay" value="true" checked={stay} />
          <span>{text.stay(stayDays)}</span>
        </label>
        {data.return === undefined ? null : <input type="hidden" name="return" value={data.return} />}
        {data.page === undefined ? null : <input type="hidden" name="page" value={data.page} />}
        <button type="submit" class="primary">
          {text.submit}
        </button>
      </form>
      <p class="aside">{text.forgotten}</p>
    </Shell>,
  )
}

function textOf(text: Texts['signIn'], error: SignInError): string {
  return error.kind === 'throttled' ? text.throttled(error.seconds) : text[error.kind]
}
