import type { Frame } from './frame.ts'
import { link } from './link.ts'
import { Shell, toDocument } from './shell.tsx'
import { type Texts, texts } from './texts.ts'

export interface ProblemData {
  readonly kind: Exclude<keyof Texts['problems'], 'requestId'>
  readonly requestId: string
}

export function problemPage(frame: Frame, { kind, requestId }: ProblemData): string {
  const text = texts[frame.language]
  const { title, text: explanation } = text.problems[kind]
  return toDocument(
    <Shell frame={frame} title={title} hasError isAlone>
      <h1>{title}</h1>
      <p>{explanation}</p>
      <p class="rule">
        {text.problems.requestId}: <code>{requestId}</code>
      </p>
      <p class="aside">
        <a href={link(frame, 'account')} rel="noreferrer">
          {text.back}
        </a>
      </p>
    </Shell>,
  )
}
