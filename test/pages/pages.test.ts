import { describe, expect, test } from 'bun:test'
import { link } from '../../src/pages/link.ts'
import { type Chosen, frameOf, statesOf, usual } from './states.ts'

const hostileTexts = [
  '<script>alert(1)</script>',
  '"><img src=x onerror=alert(1)>',
  "' onmouseover='alert(1)",
  '" autofocus onfocus="alert(1)',
  '</title><svg onload=alert(1)>',
  '</textarea></style></script><iframe srcdoc="<script>alert(1)</script>">',
  'javascript:alert(1)',
  '{{constructor.constructor("alert(1)")()}}',
  '<!--<a href="',
  '&lt;b&gt;&#x3c;i&#x3e;',
  '\u202Egnp.exe',
  '\u0000\u0008<b\u0000>',
]

/** Returns the names and attributes of all elements, without the values that are texts. */
async function shapeOf(html: string): Promise<string> {
  const shape: string[] = []
  await new HTMLRewriter()
    .on('*', {
      element: ({ tagName, attributes }) => {
        shape.push(`${tagName} ${[...attributes].map(([name]) => name).join(' ')}`)
      },
    })
    .transform(new Response(html))
    .text()
  return shape.join('\n')
}

const hostile = (text: string): Chosen => ({
  title: text,
  host: text,
  username: text,
  fullName: text,
  role: text,
  agent: text,
  address: text,
  activity: text,
  rule: text,
  requestId: text,
  cursor: text,
  target: text,
})

describe('pages', () => {
  const states = statesOf()

  test.each(Object.entries(states))(
    '%s has the same elements and attributes for hostile texts',
    async (name, state) => {
      const shape = await shapeOf(state.render(frameOf(usual, state.path)))
      for (const text of hostileTexts) {
        const { [name]: same } = statesOf(hostile(text))
        expect(await shapeOf(same?.render(frameOf(hostile(text), state.path)) ?? '')).toBe(shape)
      }
    },
  )

  test.each(Object.entries(states))('%s leads only to our own pages, whatever the texts are', async (name) => {
    for (const text of hostileTexts) {
      const { [name]: state } = statesOf(hostile(text))
      const urls: string[] = []
      await new HTMLRewriter()
        .on('*', {
          element: (element) => {
            for (const attribute of ['href', 'action', 'src', 'formaction']) {
              const url = element.getAttribute(attribute)
              if (url !== null) urls.push(url)
            }
          },
        })
        .transform(new Response(state?.render(frameOf(hostile(text), state.path)) ?? ''))
        .text()
      expect(urls.length).toBeGreaterThan(0)
      const own = /^(#|(\.\.\/)*(sign-in|sign-out|account|pages\/page)\b)/
      expect(urls.filter((url) => !own.test(url))).toEqual([])
    }
  })

  test.each(Object.entries(states))(
    '%s has a title, one h1 and no inline script, style or event',
    (_, { path, render }) => {
      const html = render(frameOf(usual, path))
      expect(html).toStartWith('<!doctype html><html lang="en">')
      expect(html.match(/<h1[ >]/g)).toHaveLength(1)
      expect(html).toMatch(/<title>(Error: )?[^<]*Northwind<\/title>/)
      expect(html).not.toMatch(/ on[a-z]+=| style=|<style|<script(?! type="module" src="[./]*pages\/page\.js">)/)
    },
  )

  test('a page with an error says so in its title and focuses the summary', () => {
    for (const [name, { path, render }] of Object.entries(states)) {
      const html = render(frameOf(usual, path))
      expect([name, html.includes('<title>Error: ')]).toEqual([
        name,
        html.includes('role="alert" tabindex="-1" autofocus') || name.startsWith('problem-'),
      ])
    }
  })

  test('fields with an error are invalid and described by its text', () => {
    const wrong = render('sign-in-incorrect')
    expect(wrong.match(/aria-invalid="true" aria-describedby="form-error"/g)).toHaveLength(2)
    expect(wrong).toContain('<p id="form-error">Incorrect username or password.</p>')
    const rejected = render('password-rejected')
    expect(rejected).toContain('aria-invalid="true" aria-describedby="new_password-rule new_password-error"')
    expect(rejected).toContain('<a href="#new_password">')
    expect(rejected.match(/aria-invalid/g)).toHaveLength(1)
    expect(render('sign-in-throttled')).not.toContain('aria-invalid')
  })

  test('password managers find named fields with their purposes', () => {
    expect(autocompletes(render('sign-in'))).toEqual(['username username', 'password current-password'])
    for (const name of ['password', 'password-forced'])
      expect(autocompletes(render(name))).toEqual([
        'username username',
        'current_password current-password',
        'new_password new-password',
      ])
  })

  test('the sign-in page keeps the username and never a password', () => {
    expect(render('sign-in-incorrect')).toContain('value="ada.lovelace"')
    expect(render('sign-in-incorrect')).toContain('value="true" checked')
    expect(render('sign-in-incorrect')).not.toMatch(/<input[^>]*type="password"[^>]* value=/)
  })

  function render(name: string): string {
    const state = states[name]
    return state?.render(frameOf(usual, state.path)) ?? ''
  }

  function autocompletes(html: string): string[] {
    return [...html.matchAll(/<input[^>]*>/g)]
      .map(([input]) => [/ name="([^"]+)"/.exec(input)?.[1], / autocomplete="([^"]+)"/.exec(input)?.[1]])
      .filter(([, autocomplete]) => autocomplete !== undefined)
      .map((pair) => pair.join(' '))
  }
})

describe('link', () => {
  test.each([
    ['/sign-in', 'account', 'account'],
    ['/sign-in/', 'account', '../account'],
    ['/account', 'account/password', 'account/password'],
    ['/account/password', 'account', '../account'],
    ['/account/password/', 'sign-out', '../../sign-out'],
    ['/account/activity', 'pages/page.1.css', '../pages/page.1.css'],
  ] as const)('from %s to %s is %s', (path, target, expected) => {
    const made: string = link({ path }, target)
    expect(made).toBe(expected)
    for (const base of ['', '/api', '/a/b'])
      expect(new URL(made, `https://apps.example.com${base}${path}`).pathname).toBe(`${base}/${target}`)
  })

  test('encodes a cursor, and puts `return` last and as it is', () => {
    const made: string = link({ path: '/account' }, 'sign-in', { after: 'a&b=c#d', return: '/x?y=1&z=%zz#part' })
    expect(made).toBe('sign-in?after=a%26b%3Dc%23d&return=/x?y=1&z=%zz#part')
  })
})
