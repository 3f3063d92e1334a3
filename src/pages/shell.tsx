import type { ComponentChildren } from 'preact'
import { renderToString } from 'preact-render-to-string'
import type { Frame } from './frame.ts'
import { link, type PagePath } from './link.ts'
import { texts } from './texts.ts'

interface ShellProps {
  readonly frame: Frame
  readonly title: string
  readonly hasError?: boolean
  /** One form or message in the middle of the page, without navigation. */
  readonly isAlone?: boolean
  readonly children: ComponentChildren
}

const sections = ['account', 'account/password', 'account/sessions', 'account/activity'] as const

/** Returns the document that `Shell` makes. */
export function toDocument(page: Parameters<typeof renderToString>[0]): string {
  return `<!doctype html>${renderToString(page)}`
}

export function Shell({ frame, title, hasError = false, isAlone = false, children }: ShellProps) {
  const { language, assets } = frame
  const text = texts[language]
  const named = title.includes(frame.title) ? title : `${title} – ${frame.title}`
  return (
    <html lang={language}>
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <meta name="color-scheme" content="light dark" />
        <meta name="robots" content="noindex" />
        <title>{hasError ? text.error(named) : named}</title>
        <link rel="icon" type="image/svg+xml" href={link(frame, `pages/${assets.icon}`)} />
        <link rel="stylesheet" href={link(frame, `pages/${assets.style}`)} />
        <script type="module" src={link(frame, `pages/${assets.script}`)} />
      </head>
      <body class={isAlone ? 'alone' : 'signed-in'}>
        {isAlone ? null : (
          <a class="skip" href={link(frame, '#content')}>
            {text.skip}
          </a>
        )}
        <header>
          <div class="bar">
            <p class="brand">
              <Mark />
              <span>{frame.title}</span>
            </p>
            {isAlone ? null : <Person frame={frame} />}
          </div>
          {isAlone ? null : <Navigation frame={frame} />}
        </header>
        <main id="content" tabindex={-1}>
          {children}
        </main>
        {isAlone ? <footer>{frame.host}</footer> : null}
      </body>
    </html>
  )
}

function Navigation({ frame }: { readonly frame: Frame }) {
  const text = texts[frame.language]
  const names: Record<(typeof sections)[number], string> = {
    account: text.nav.account,
    'account/password': text.nav.password,
    'account/sessions': text.nav.sessions,
    'account/activity': text.nav.activity,
  }
  return (
    <nav aria-label={text.navigation}>
      <ul>
        {sections.map((section) => (
          <li>
            <a href={link(frame, section)} aria-current={isAt(frame, section) ? 'page' : undefined}>
              {names[section]}
            </a>
          </li>
        ))}
      </ul>
    </nav>
  )
}

function Person({ frame }: { readonly frame: Frame }) {
  const text = texts[frame.language]
  return (
    <div class="person">
      {frame.user ? (
        <p>
          <span class="hidden">{text.signedInAs} </span>
          <bdi>{frame.user.username}</bdi>
        </p>
      ) : null}
      <form method="post" action={link(frame, 'sign-out')}>
        <button type="submit" class="quiet">
          {text.signOut.submit}
        </button>
      </form>
    </div>
  )
}

function isAt({ path }: Frame, section: PagePath): boolean {
  return path.replace(/\/$/, '') === `/${section}`
}

function Mark() {
  return (
    <svg width="28" height="28" viewBox="0 0 32 32" aria-hidden="true" focusable="false">
      <rect class="mark" width="32" height="32" rx="7" />
      <path
        class="check"
        d="M9 17l5 5 10-12"
        fill="none"
        stroke-width="4"
        stroke-linecap="round"
        stroke-linejoin="round"
      />
    </svg>
  )
}

/** A time in UTC. The script replaces it by the local time. */
export function Time({ frame, at }: { readonly frame: Frame; readonly at: string }) {
  return (
    <time datetime={at}>
      {at.slice(0, 10)} {at.slice(11, 16)} {texts[frame.language].utc}
    </time>
  )
}
