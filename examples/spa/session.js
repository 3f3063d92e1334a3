// Both tokens stay in memory, where no other script and no later user of this browser can read them.
let tokens
let refreshing
let notifySignedOut = () => {}

/** Sets the listener that gets a message when the user is signed out. */
export function onSignedOut(listener) {
  notifySignedOut = listener
}

export async function signIn(username, password) {
  tokens = await requestTokens('/api/auth/login', { username, password, scope: 'offline_access' })
}

/** Ends the session and all of its tokens. */
export async function signOut() {
  const token = tokens?.refresh_token
  tokens = undefined
  notifySignedOut('Signed out.')
  if (token) await post('/api/auth/revoke', { token })
}

/** fetch with the access token, to this origin only. Refreshes an expired token once and retries the request. */
export async function call(path, init) {
  const used = tokens
  const response = await fetchWith(used, path, init)
  if (response.status !== 401 || !used) return response
  // One refresh serves all concurrent requests.
  if (tokens === used) {
    refreshing ??= refresh(used).finally(() => {
      refreshing = undefined
    })
    await refreshing
  }
  return tokens ? fetchWith(tokens, path, init) : response
}

async function refresh(used) {
  const next = await requestTokens('/api/auth/refresh', { refresh_token: used.refresh_token }).catch((error) => {
    // Without a response, or with a temporary error, the tokens may still be valid.
    if (error.status !== 400 && error.status !== 401) throw error
  })
  // The user may have signed out in the meantime.
  if (tokens !== used) return
  tokens = next
  if (!next) notifySignedOut('Please sign in again.')
}

async function fetchWith(pair, path, init = {}) {
  const url = new URL(path, location.origin)
  if (url.origin !== location.origin) throw new Error('Tokens are sent to this origin only.')
  const headers = new Headers(init.headers)
  if (pair) headers.set('authorization', `Bearer ${pair.access_token}`)
  return fetch(url, { ...init, headers })
}

async function requestTokens(path, form) {
  const response = await post(path, form)
  const body = await response.json()
  if (!response.ok) throw Object.assign(new Error(body.detail), { status: response.status })
  return body
}

function post(path, form) {
  return fetch(path, { method: 'POST', body: new URLSearchParams(form) })
}
