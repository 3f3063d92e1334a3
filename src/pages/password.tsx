import { ErrorSummary, Field, type FormError, HiddenUsername } from './form.tsx'
import type { Frame } from './frame.ts'
import { link } from './link.ts'
import { Shell, toDocument } from './shell.tsx'
import { type Texts, texts } from './texts.ts'

export type PasswordError =
  | { readonly kind: 'missingCurrent' | 'missingNext' | 'wrongCurrent' | 'conflict' | 'busy' | 'unavailable' }
  | { readonly kind: 'badNext'; readonly rule: string }
  | { readonly kind: 'throttled'; readonly seconds: number }

export interface PasswordData {
  readonly username: string
  readonly minLength: number
  /** Someone else set the current password: nothing else is allowed before it is changed. */
  readonly isForced: boolean
  readonly errors: readonly PasswordError[]
  /** The result of `returnTarget`. */
  readonly return?: string | undefined
}

export function passwordPage(frame: Frame, data: PasswordData): string {
  const text = texts[frame.language].password
  const { username, minLength, isForced } = data
  const errors = data.errors.map((error) => toFormError(texts[frame.language], error))
  const title = isForced ? text.forcedTitle : text.title
  return toDocument(
    <Shell frame={frame} title={title} hasError={errors.length > 0} isAlone={isForced}>
      <h1>{title}</h1>
      <ErrorSummary frame={frame} errors={errors} />
      <p>{isForced ? text.forced : text.others}</p>
      <form method="post" action={link(frame, 'account/password')} class={isForced ? undefined : 'card narrow'}>
        <HiddenUsername username={username} />
        <Field
          frame={frame}
          name="current_password"
          label={text.current}
          autocomplete="current-password"
          errors={errors}
        />
        <Field
          frame={frame}
          name="new_password"
          label={text.next}
          autocomplete="new-password"
          rule={text.rule(minLength)}
          errors={errors}
        />
        {data.return === undefined ? null : <input type="hidden" name="return" value={data.return} />}
        <button type="submit" class="primary">
          {text.submit}
        </button>
      </form>
      {isForced ? <SignOut frame={frame} /> : null}
    </Shell>,
  )
}

function SignOut({ frame }: { readonly frame: Frame }) {
  return (
    <form method="post" action={link(frame, 'sign-out')}>
      <button type="submit" class="quiet">
        {texts[frame.language].signOut.submit}
      </button>
    </form>
  )
}

function toFormError({ password, signIn, problems }: Texts, error: PasswordError): FormError {
  switch (error.kind) {
    case 'missingCurrent':
    case 'wrongCurrent':
      return { field: 'current_password', text: password[error.kind] }
    case 'missingNext':
      return { field: 'new_password', text: password.missingNext }
    case 'badNext':
      return { field: 'new_password', text: password.badNext(error.rule) }
    case 'throttled':
      return { text: signIn.throttled(error.seconds) }
    case 'conflict':
      return { text: password.conflict }
    case 'busy':
      return { text: signIn.busy }
    case 'unavailable':
      return { text: problems.unavailable.text }
  }
}
