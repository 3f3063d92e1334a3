import { type ComputedVariable, variable } from './maps.ts'

export type BrowserMaps = ReturnType<typeof createBrowserMaps>

/**
 * Returns the variables of `--sign-in on`. They default to no cookie and to no page, even if a
 * pattern fails.
 */
export function createBrowserMaps(base: string, isEncrypted: boolean) {
  const path = `~^${base.replaceAll('.', '\\.')}/`
  const plain = withoutCookie('plain', plainName, '$http_cookie')
  const others = withoutCookie('other', encryptedName, plain.name)
  const navigation = variable('nav', '"$request_method $http_sec_fetch_mode $http_sec_fetch_dest"', {
    '~^(?:GET|HEAD) navigate document\\z': 'yes',
    '~^(?:GET|HEAD)  \\z': 'perhaps',
    default: '""',
  })
  const isPage = variable('page', `"${navigation.name}|$http_upgrade|$http_x_requested_with|$http_accept"`, {
    '~^yes[|]{3}': '1',
    '~^perhaps[|]{3}.*text/html': '1',
    default: '""',
  })
  return {
    session: sessionCookie(isEncrypted ? encryptedName : plainName),
    plain,
    others,
    cookies: variable('cookie', '$uri', { [path]: '$http_cookie', default: others.name }),
    navigation,
    isPage,
    // A 403 after access was granted is not about the user.
    isRefused: variable('no', `"${isPage.name} $audittrail_user"`, { '1 ': '1', default: '""' }),
    host: variable('host', '$http_host', { '': '$host', default: '$http_host' }),
  }
}

const encryptedName = '__Host-audittrail'
const plainName = 'audittrail'

/** Twice, even where only some services would see two cookies. */
const twice = (name: string) => `~(?:^|[;,\\s\\"])${name}\\s*=.*[;,\\s\\"]${name}\\s*=`

/** The cookie for AuditTrail, or nothing if it is malformed or there are two. */
function sessionCookie(name: string): ComputedVariable {
  return variable('sign', '$http_cookie', {
    [twice(name)]: '""',
    [`~(?:^|;)\\s*${name}=(?<at_v>ats_[A-Za-z0-9_-]{40,200})\\s*(?:;|\\z)`]: `"${name}=$at_v"`,
    default: '""',
  })
}

/**
 * All other cookies, or none if there are two of this name. The last pattern finds the only one.
 */
function withoutCookie(word: string, name: string, source: string): ComputedVariable {
  return variable(word, source, {
    [`~^(?!(?:.*[;,\\s\\"])?${name}\\s*=)`]: source,
    [twice(name)]: '""',
    [`~^(?<at_a>.*[^;\\s])\\s*;\\s*+${name}\\s*=[^;]*+[;\\s]*\\z`]: '$at_a',
    [`~^(?<at_b>(?:.*?;\\s*+)?)${name}\\s*=[^;]*+(?:;\\s*+|\\z)(?<at_c>.*)\\z`]: '"$at_b$at_c"',
    default: '""',
  })
}
