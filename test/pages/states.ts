import { accountPage } from '../../src/pages/account.tsx'
import { activityPage } from '../../src/pages/activity.tsx'
import type { Frame } from '../../src/pages/frame.ts'
import { type PasswordError, passwordPage } from '../../src/pages/password.tsx'
import { problemPage } from '../../src/pages/problem.tsx'
import { refusals, refusedPage } from '../../src/pages/refused.tsx'
import { sessionsPage } from '../../src/pages/sessions.tsx'
import { type SignInData, signInPage } from '../../src/pages/signIn.tsx'
import { signOutPage } from '../../src/pages/signOut.tsx'

/** Texts that users, browsers and administrators choose. */
export interface Chosen {
  readonly title: string
  readonly host: string
  readonly username: string
  readonly fullName: string
  readonly role: string
  readonly agent: string
  readonly address: string
  readonly activity: string
  readonly rule: string
  readonly requestId: string
  readonly cursor: string
  readonly target: string
}

export const usual: Chosen = {
  title: 'Northwind',
  host: 'apps.example.com',
  username: 'ada.lovelace',
  fullName: 'Ada Lovelace',
  role: 'billing',
  agent: 'Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/156.0.0.0 Safari/537.36',
  address: '198.51.100.7',
  activity: 'signed in from 198.51.100.7',
  rule: 'must have at least 12 characters (got 8)',
  requestId: '51773a8f-7a1e-4a57-9f5e-0a4a3a0f6c11',
  cursor: 'bmV4dA',
  target: '/reports/q3?tab=costs',
}

export interface State {
  readonly path: string
  render(frame: Frame): string
}

const created = '2026-11-20T08:14:00.000Z'
const lastUsed = '2026-11-28T17:42:00.000Z'

/** Returns every page in every state, by name. */
export function statesOf(chosen: Chosen = usual): Readonly<Record<string, State>> {
  return { ...signInStates(chosen), ...refusedStates(chosen), ...passwordStates(chosen), ...accountStates(chosen) }
}

export function frameOf(
  { title, host, username, fullName }: Chosen,
  path: string,
  assets: Frame['assets'] = { style: 'page.css', script: 'page.js', icon: 'page.svg' },
): Frame {
  const isSignedOut = path.startsWith('/sign-in')
  const user = isSignedOut ? undefined : { username, full_name: fullName }
  return { language: 'en', title, host, isEncrypted: true, path, assets, user }
}

function signInStates({ username, target }: Chosen): Record<string, State> {
  const state = (data: Omit<SignInData, 'stayDays'>, path = '/sign-in') => ({
    path,
    render: (frame: Frame) => signInPage(frame, { stayDays: 30, return: target, ...data }),
  })
  return {
    'sign-in': state({}),
    'sign-in-unencrypted': {
      path: '/sign-in',
      render: (frame) => signInPage({ ...frame, isEncrypted: false }, { stayDays: 30 }),
    },
    'sign-in-missing': state({ error: { kind: 'missing' } }),
    'sign-in-incorrect': state({ username, stay: true, error: { kind: 'incorrect' } }),
    'sign-in-throttled': state({ username, error: { kind: 'throttled', seconds: 40 } }),
    'sign-in-throttled-long': state({ username, error: { kind: 'throttled', seconds: 840 } }),
    'sign-in-busy': state({ username, error: { kind: 'busy' } }),
    'sign-in-unavailable': state({ username, error: { kind: 'unavailable' } }),
    'sign-in-out': state({ done: 'out' }),
    'sign-in-expired': state({ done: 'expired', page: 'account/sessions' }),
    'sign-out': { path: '/sign-out', render: signOutPage },
  }
}

function refusedStates({ target, requestId }: Chosen): Record<string, State> {
  const pages = refusals.flatMap((refusal): [string, State][] => [
    [`refused-${refusal}`, { path: '/refused', render: (frame) => refusedPage(frame, { refusal, return: target }) }],
    [
      `refused-${refusal}-signed-out`,
      { path: '/refused', render: (frame) => refusedPage({ ...frame, user: undefined }, { refusal }) },
    ],
  ])
  const problems = (['unavailable', 'invalid', 'notFound', 'internal'] as const).map((kind): [string, State] => [
    `problem-${kind}`,
    { path: '/account', render: (frame) => problemPage(frame, { kind, requestId }) },
  ])
  return Object.fromEntries([...pages, ...problems])
}

function passwordStates({ username, rule, target }: Chosen): Record<string, State> {
  const state = (errors: readonly PasswordError[], isForced = false) => ({
    path: '/account/password',
    render: (frame: Frame) => passwordPage(frame, { username, minLength: 12, isForced, errors, return: target }),
  })
  return {
    password: state([]),
    'password-forced': state([], true),
    'password-forced-wrong': state([{ kind: 'wrongCurrent' }], true),
    'password-missing': state([{ kind: 'missingCurrent' }, { kind: 'missingNext' }]),
    'password-rejected': state([{ kind: 'badNext', rule }]),
    'password-throttled': state([{ kind: 'throttled', seconds: 8 }]),
    'password-conflict': state([{ kind: 'conflict' }]),
    'password-busy': state([{ kind: 'busy' }]),
    'password-unavailable': state([{ kind: 'unavailable' }]),
  }
}

function accountStates(chosen: Chosen): Record<string, State> {
  const { username, fullName, role, activity, cursor } = chosen
  const items = [
    { time: lastUsed, text: activity, isRefusal: false },
    { time: '2026-11-28T17:41:10.000Z', text: 'sign-in failed (wrong password) from 203.0.113.80', isRefusal: true },
    { time: created, text: 'password changed, which ended 2 sessions', isRefusal: false },
  ]
  const account = {
    username,
    fullName,
    roles: ['admin', role],
    passwordChangedAt: created,
    devices: 2,
    activity: items,
  }
  const device = { id: '2f1d9c0a-6f6e-4b0f-9f57-0d4f6a1f8a52', created_at: created, last_used_at: lastUsed }
  const own = { ...device, address: chosen.address, user_agent: chosen.agent, isCurrent: true }
  const iphone = 'Mozilla/5.0 (iPhone; CPU iPhone OS 19_1 like Mac OS X) Version/19.1 Mobile/15E148 Safari/604.1'
  const others = [iphone, 'curl/8.14.1', chosen.agent, null].map((user_agent) => ({
    ...own,
    user_agent,
    address: user_agent === null ? null : chosen.address,
    isCurrent: false,
  }))
  const at = (path: string, render: State['render']): State => ({ path, render })
  return {
    account: at('/account', (frame) => accountPage(frame, account)),
    'account-done': at('/account', (frame) => accountPage(frame, { ...account, done: 'password' })),
    'account-empty': at('/account', (frame) =>
      accountPage(frame, { ...account, roles: [], passwordChangedAt: undefined, devices: 1, activity: [] }),
    ),
    sessions: at('/account/sessions', (frame) => sessionsPage(frame, { devices: [own, ...others] })),
    'sessions-one': at('/account/sessions', (frame) => sessionsPage(frame, { devices: [own], done: 'others' })),
    'sessions-gone': at('/account/sessions', (frame) => sessionsPage(frame, { devices: [own], isGone: true })),
    activity: at('/account/activity', (frame) => activityPage(frame, { items, next: cursor, isFirst: true })),
    'activity-last': at('/account/activity', (frame) =>
      activityPage(frame, { items, next: undefined, isFirst: false }),
    ),
    'activity-none': at('/account/activity', (frame) =>
      activityPage(frame, { items: [], next: undefined, isFirst: true }),
    ),
  }
}
