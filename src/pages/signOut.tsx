import type { Frame } from './frame.ts'
import { link } from './link.ts'
import { Shell, toDocument } from './shell.tsx'
import { texts } from './texts.ts'

export function signOutPage(frame: Frame): string {
  const text = texts[frame.language].signOut
  return toDocument(
    <Shell frame={frame} title={text.title} isAlone>
      <h1>{text.title}</h1>
      <p>{text.question(frame.title)}</p>
      <form method="post" action={link(frame, 'sign-out')}>
        <button type="submit" class="primary">
          {text.submit}
        </button>
      </form>
      <p class="aside">
        <a href={link(frame, 'account')}>{texts[frame.language].back}</a>
      </p>
    </Shell>,
  )
}
