// Both tokens are kept here, in memory: nothing that another script, or the next person at this screen, could look up.
let tokens
let renewal
let tell = () => {}

/** Whom to tell, with a text, when nobody is signed in any more. */
export function onSignedOut(listener) {
  tell = listener
}

export async function signIn(username, password) {
  tokens = await askForTokens('/api/auth/login', { username, password, scope: 'offline_access' })
}

/** Ends the session, with every token of it. */
export async function signOut() {
  const token = tokens?.refresh_token
  tokens = undefined
  tell('Signed out.')
  if (token) await post('/api/auth/revoke', { token })
}

/** fetch, signed in, to this origin alone. An access token that is over is renewed once, and the request made again. */
export async function call(path, init) {
  const used = tokens
  const response = await fetchWith(used, path, init)
  if (response.status !== 401 || !used) return response
  // Several requests notice it together: one renews for all.
  if (tokens === used) {
    renewal ??= renew(used).finally(() => {
      renewal = undefined
    })
    await renewal
  }
  return tokens ? fetchWith(tokens, path, init) : response
}

async function renew(used) {
  const next = await askForTokens('/api/auth/refresh', { refresh_token: used.refresh_token }).catch((error) => {
    // Nothing is known when there was no answer, or one that will be another soon; the tokens may be good.
    if (error.status !== 400 && error.status !== 401) throw error
  })
  // Signed out meanwhile, it stays so.
  if (tokens !== used) return
  tokens = next
  if (!next) tell('Please sign in again.')
}

async function fetchWith(given, path, init = {}) {
  const url = new URL(path, location.origin)
  if (url.origin !== location.origin) throw new Error('The token is for this origin alone.')
  const headers = new Headers(init.headers)
  if (given) headers.set('authorization', `Bearer ${given.access_token}`)
  return fetch(url, { ...init, headers })
}

async function askForTokens(path, form) {
  const response = await post(path, form)
  const answer = await response.json()
  if (!response.ok) throw Object.assign(new Error(answer.detail), { status: response.status })
  return answer
}

function post(path, form) {
  return fetch(path, { method: 'POST', body: new URLSearchParams(form) })
}
