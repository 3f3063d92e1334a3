import type { ComponentChildren } from 'preact'
import type { Frame } from './frame.ts'
import { link } from './link.ts'
import { texts } from './texts.ts'

/** An error of one field, or of the form as a whole. */
export interface FormError {
  readonly field?: string
  readonly text: string
}

/** Returns the id of the text of an error, for `aria-describedby`. */
function errorId(field: string | undefined): string {
  return `${field ?? 'form'}-error`
}

/** Gets the focus when the page opens, so that screen readers read it first. */
export function ErrorSummary({ frame, errors }: { readonly frame: Frame; readonly errors: readonly FormError[] }) {
  const text = texts[frame.language]
  if (errors.length === 0) return null
  return (
    <div class="problem" role="alert" tabindex={-1} autofocus aria-labelledby="problem-title">
      <h2 id="problem-title">{text.problemTitle}</h2>
      {errors.map(({ field, text }) =>
        field === undefined ? (
          <p id={errorId(field)}>{text}</p>
        ) : (
          <p>
            <a href={link(frame, `#${field}`)}>{text}</a>
          </p>
        ),
      )}
    </div>
  )
}

export function Notice({ children }: { readonly children: ComponentChildren }) {
  return (
    <p class="notice" role="status">
      {children}
    </p>
  )
}

interface FieldProps {
  readonly frame: Frame
  readonly name: string
  readonly label: string
  readonly errors: readonly FormError[]
  /** Whether an error of the whole form is about this field. */
  readonly isBlamed?: boolean
  readonly rule?: string
  readonly autocomplete: 'username' | 'current-password' | 'new-password'
  readonly value?: string
  readonly isFocused?: boolean
}

export function Field(props: FieldProps) {
  const { frame, name, label, errors, isBlamed = false, rule, autocomplete, value, isFocused } = props
  const text = texts[frame.language]
  const own = errors.find(({ field }) => field === name)
  const isForm = !own && isBlamed && errors.some(({ field }) => field === undefined)
  const isPassword = autocomplete !== 'username'
  const described = [rule ? `${name}-rule` : '', own ? errorId(name) : '', isForm ? errorId(undefined) : '']
  return (
    <div class={own || isForm ? 'field wrong' : 'field'}>
      <label for={name}>{label}</label>
      {rule ? (
        <p class="rule" id={`${name}-rule`}>
          {rule}
        </p>
      ) : null}
      {own ? (
        <p class="wrong-text" id={errorId(name)}>
          {own.text}
        </p>
      ) : null}
      <div class="input">
        <input
          id={name}
          name={name}
          // The types of the two have different roles.
          type={(isPassword ? 'password' : 'text') as 'text'}
          autocomplete={autocomplete}
          autocapitalize="none"
          spellcheck={false}
          required
          value={isPassword ? undefined : value}
          autofocus={isFocused === true}
          aria-invalid={own || isForm ? 'true' : undefined}
          aria-describedby={described.filter(Boolean).join(' ') || undefined}
        />
        {isPassword ? (
          <button
            type="button"
            class="show"
            data-shows={name}
            aria-pressed="false"
            aria-label={text.showPassword}
            hidden
          >
            <Eye />
          </button>
        ) : null}
      </div>
    </div>
  )
}

/** Lets password managers know whose password it is. */
export function HiddenUsername({ username }: { readonly username: string }) {
  return <input type="text" name="username" autocomplete="username" value={username} readonly hidden />
}

function Eye() {
  return (
    <svg
      width="20"
      height="20"
      viewBox="0 0 24 24"
      aria-hidden="true"
      focusable="false"
      fill="none"
      stroke="currentColor"
      stroke-width="1.8"
      stroke-linecap="round"
      stroke-linejoin="round"
    >
      <path d="M2 12s3.5-7 10-7 10 7 10 7-3.5 7-10 7-10-7-10-7z" />
      <circle cx="12" cy="12" r="3" />
      <path class="closed" d="M4 20L20 4" />
    </svg>
  )
}
