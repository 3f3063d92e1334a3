import type { Frame } from './frame.ts'
import { link } from './link.ts'
import { Shell, Time, toDocument } from './shell.tsx'
import { texts } from './texts.ts'

export interface ActivityItem {
  /** ISO 8601. */
  readonly time: string
  readonly text: string
  readonly isRefusal: boolean
}

export interface ActivityData {
  readonly items: readonly ActivityItem[]
  /** The cursor of the next page. */
  readonly next: string | undefined
  readonly isFirst: boolean
}

export function activityPage(frame: Frame, { items, next, isFirst }: ActivityData): string {
  const text = texts[frame.language].activity
  return toDocument(
    <Shell frame={frame} title={text.title}>
      <h1>{text.title}</h1>
      <p>{text.intro}</p>
      {items.length === 0 ? (
        <p class="card">{isFirst ? text.none : text.noneOlder}</p>
      ) : (
        <div class="card">
          <ActivityList frame={frame} items={items} />
        </div>
      )}
      <p class="pages">
        {isFirst ? null : (
          <a class="button quiet" href={link(frame, 'account/activity')}>
            {text.newest}
          </a>
        )}
        {next === undefined ? null : (
          <a class="button quiet" href={link(frame, 'account/activity', { after: next })}>
            {text.older}
          </a>
        )}
      </p>
    </Shell>,
  )
}

export function ActivityList({ frame, items }: { readonly frame: Frame; readonly items: readonly ActivityItem[] }) {
  return (
    <ol class="activity">
      {items.map(({ time, text, isRefusal }) => (
        <li class={isRefusal ? 'refusal' : undefined}>
          <bdi>{text.charAt(0).toUpperCase() + text.slice(1)}</bdi>
          <Time frame={frame} at={time} />
        </li>
      ))}
    </ol>
  )
}
