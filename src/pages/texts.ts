/** All texts of the pages. A second language is a second table of the same type. */
const english = {
  skip: 'Skip to content',
  navigation: 'Account',
  signedInAs: 'Signed in as',
  error: (title: string) => `Error: ${title}`,
  problemTitle: 'There is a problem',
  showPassword: 'Show password',
  utc: 'UTC',
  nav: { account: 'Overview', password: 'Password', sessions: 'Devices', activity: 'Activity' },
  unencrypted: 'This connection is not encrypted. Other people on the network can read what you type.',
  back: 'Back to your account',

  signIn: {
    title: (product: string) => `Sign in to ${product}`,
    username: 'Username',
    password: 'Password',
    stay: (days: number) => `Stay signed in for ${days} ${days === 1 ? 'day' : 'days'}`,
    submit: 'Sign in',
    forgotten: 'Forgot your password? An administrator can reset it.',
    done: {
      out: 'You are signed out.',
      out_everywhere: 'You are signed out on all devices.',
      expired: 'Your session ended before the form was sent. Sign in and try again.',
      password: 'Your password was changed. Sign in with the new password.',
    },
    missing: 'Enter your username and password.',
    incorrect: 'Incorrect username or password.',
    throttled: (seconds: number) => `Too many attempts. Try again in ${duration(seconds)}.`,
    busy: 'Too many people are signing in right now. Try again in a few seconds.',
    unavailable: 'Sign-in is temporarily unavailable. Try again shortly.',
  },

  signOut: {
    title: 'Sign out',
    question: (product: string) => `Do you want to sign out of ${product} on this device?`,
    submit: 'Sign out',
  },

  refused: {
    role: {
      title: 'You do not have access',
      text: 'Your account does not have the role that this page requires. An administrator can grant it.',
    },
    password: { title: 'Change your password first', text: 'You must change your password before you can continue.' },
    origin: {
      title: 'Request blocked',
      text: 'The request came from another website. To protect your account, it was blocked.',
    },
    cookie: {
      title: 'Cookies are turned off',
      text: 'Your browser did not keep the sign-in cookie. Allow cookies for this site, and sign in again.',
    },
    loop: {
      title: 'The page keeps asking you to sign in',
      text: 'You are signed in, but the page did not accept it. If this happens again, an administrator must check the web server.',
    },
    tryAgain: 'Try again',
    otherAccount: 'Use another account',
    changePassword: 'Change password',
    signIn: 'Sign in',
    goToAccount: 'Go to your account',
  },

  password: {
    title: 'Change your password',
    forcedTitle: 'Choose a new password',
    forced: 'This password was set for you. Choose your own before you continue.',
    current: 'Current password',
    next: 'New password',
    rule: (length: number) => `At least ${length} characters. A few unrelated words are easy to remember.`,
    others: 'Your other devices will be signed out.',
    submit: 'Change password',
    missingCurrent: 'Enter your current password.',
    missingNext: 'Enter a new password.',
    wrongCurrent: 'The current password is incorrect.',
    badNext: (rule: string) => `The new password ${rule}.`,
    conflict: 'Your password was changed elsewhere at the same time. Try again with the new password.',
  },

  account: {
    title: 'Your account',
    profile: 'Profile',
    username: 'Username',
    fullName: 'Full name',
    roles: 'Roles',
    noRoles: 'None',
    password: 'Password',
    passwordChanged: 'Last changed',
    passwordUnknown: 'No change is recorded.',
    changePassword: 'Change password',
    devices: 'Devices',
    signedInDevices: (count: number) => `You are signed in on ${count} ${count === 1 ? 'device' : 'devices'}.`,
    manageDevices: 'Manage devices',
    activity: 'Recent activity',
    noActivity: 'No activity is recorded yet.',
    allActivity: 'All activity',
    suspicious: 'See something you don’t recognize? Sign out the other devices and change your password.',
    done: { password: 'Your password was changed. Your other devices were signed out.' },
  },

  sessions: {
    title: 'Devices',
    intro: 'These browsers and apps are signed in to your account.',
    current: 'This device',
    signedIn: 'Signed in',
    lastUsed: 'Last used',
    address: 'IP address',
    unknownAddress: 'Unknown',
    end: 'Sign out',
    endOne: (device: string) => `Sign out ${device}`,
    othersTitle: 'Sign out all other devices',
    others: 'You stay signed in on this device only.',
    endOthers: 'Sign out other devices',
    none: 'No other device is signed in.',
    done: { one: 'The device was signed out.', others: 'All other devices were signed out.' },
    gone: 'That device was already signed out.',
  },

  activity: {
    title: 'Activity',
    intro: 'Recent events on your account, newest first.',
    none: 'No activity is recorded yet.',
    older: 'Older activity',
    newest: 'Newest activity',
    noneOlder: 'There is no older activity.',
  },

  agents: {
    unknown: 'Unknown device',
    on: (browser: string, system: string) => `${browser} on ${system}`,
    app: (name: string) => `App (${name})`,
  },

  problems: {
    unavailable: {
      title: 'Temporarily unavailable',
      text: 'The service is temporarily unavailable. Try again shortly.',
    },
    invalid: { title: 'Invalid request', text: 'The request could not be read. Go back and try again.' },
    notFound: { title: 'Page not found', text: 'This page does not exist.' },
    internal: { title: 'Something went wrong', text: 'An unexpected error occurred. Try again.' },
    requestId: 'Request ID',
  },
} as const

function duration(seconds: number): string {
  if (seconds <= 90) return `${seconds} ${seconds === 1 ? 'second' : 'seconds'}`
  const minutes = Math.ceil(seconds / 60)
  return `${minutes} minutes (${seconds} seconds)`
}

type Table<T> = T extends string
  ? string
  : T extends (...values: infer Values) => string
    ? (...values: Values) => string
    : { readonly [Name in keyof T]: Table<T[Name]> }

export type Texts = Table<typeof english>
export type Language = 'en'

export const texts: Readonly<Record<Language, Texts>> = { en: english }
