import { type ActivityItem, ActivityList } from './activity.tsx'
import { Notice } from './form.tsx'
import type { Frame } from './frame.ts'
import { link } from './link.ts'
import { Shell, Time, toDocument } from './shell.tsx'
import { type Texts, texts } from './texts.ts'

export interface AccountData {
  readonly username: string
  readonly fullName: string
  readonly roles: readonly string[]
  /** ISO 8601. Undefined if the audit log has no change. */
  readonly passwordChangedAt: string | undefined
  readonly devices: number
  readonly activity: readonly ActivityItem[]
  readonly done?: keyof Texts['account']['done'] | undefined
}

export function accountPage(frame: Frame, data: AccountData): string {
  const text = texts[frame.language].account
  return toDocument(
    <Shell frame={frame} title={text.title}>
      <h1>{text.title}</h1>
      {data.done ? <Notice>{text.done[data.done]}</Notice> : null}
      <div class="cards">
        <Profile frame={frame} data={data} />
        <section class="card" aria-labelledby="password">
          <h2 id="password">{text.password}</h2>
          <p>
            {data.passwordChangedAt === undefined ? (
              text.passwordUnknown
            ) : (
              <>
                {text.passwordChanged} <Time frame={frame} at={data.passwordChangedAt} />
              </>
            )}
          </p>
          <a class="button quiet" href={link(frame, 'account/password')}>
            {text.changePassword}
          </a>
        </section>
        <section class="card" aria-labelledby="devices">
          <h2 id="devices">{text.devices}</h2>
          <p>{text.signedInDevices(data.devices)}</p>
          <a class="button quiet" href={link(frame, 'account/sessions')}>
            {text.manageDevices}
          </a>
        </section>
        <section class="card wide" aria-labelledby="activity">
          <h2 id="activity">{text.activity}</h2>
          {data.activity.length === 0 ? <p>{text.noActivity}</p> : <ActivityList frame={frame} items={data.activity} />}
          <p class="rule">{text.suspicious}</p>
          <a class="button quiet" href={link(frame, 'account/activity')}>
            {text.allActivity}
          </a>
        </section>
      </div>
    </Shell>,
  )
}

function Profile({ frame, data }: { readonly frame: Frame; readonly data: AccountData }) {
  const text = texts[frame.language].account
  return (
    <section class="card wide" aria-labelledby="profile">
      <h2 id="profile">{text.profile}</h2>
      <dl>
        <div>
          <dt>{text.fullName}</dt>
          <dd>
            <bdi>{data.fullName}</bdi>
          </dd>
        </div>
        <div>
          <dt>{text.username}</dt>
          <dd>
            <bdi>{data.username}</bdi>
          </dd>
        </div>
        <div>
          <dt>{text.roles}</dt>
          <dd>{data.roles.length === 0 ? text.noRoles : data.roles.join(', ')}</dd>
        </div>
      </dl>
    </section>
  )
}
