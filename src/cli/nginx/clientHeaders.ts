/**
 * Headers in which services are known to believe a proxy about the user: prefix and endings. Those
 * with credentials that a service verifies itself, such as `X-Api-Key`, are not here.
 */
const identity: readonly (readonly [prefix: string, endings: string])[] = [
  // Ours, and those of frameworks and hand-written services.
  ['X-Auth-', 'User User-Id User-Name User-Email User-Roles User-Groups Roles Role Session'],
  ['X-Auth-', 'Username Userid Email Name Groups Group Id Subject'],
  ['X-Authenticated-', 'User Userid User-Id Username Email Groups Roles Scope'],
  ['X-User', ' -Id -Name -Email -Role -Roles -Group -Groups -Info'],
  ['X-', 'Username Userid Userinfo Email Role Roles Group Groups Login Subject Principal'],
  ['X-', 'Identity Identity-Status Identity-User Current-User Current-User-Id Logged-In-User'],
  // CGI, WSGI and Rack applications, Authelia, Kubernetes.
  ['Remote-', 'User User-Id Email Name Group Groups Role Roles Uid'],
  ['X-Remote-', 'User User-Id User-Email User-Name Email Name Group Groups Role Roles Uid'],
  ['Impersonate-', 'User Group Uid'],
  ['', 'Auth-User Auth-Type Proxy-User Proxy-Authorization'],
  // oauth2-proxy, Jenkins, SonarQube.
  ['X-Forwarded-', 'User User-Id User-Name Username Email Mail Login Name Displayname Group Groups Role Roles'],
  ['X-Forwarded-', 'Preferred-Username Access-Token Id-Token Authorization'],
  ['X-Auth-Request-', 'User User-Id Email Groups Roles Preferred-Username Access-Token Id-Token'],
  ['', 'Gap-Auth'],
  // Grafana, Gitea, FreshRSS.
  ['X-Webauth-', 'User Username Login Name Fullname Email Role Roles Group Groups Orgs'],
  // Proxies and gateways with names of their own.
  ['X-Authentik-', 'Username Email Name Groups Uid Jwt Entitlements'],
  ['X-Vouch-', 'User Success Idp-Accesstoken Idp-Idtoken'],
  ['X-Pomerium-', 'Claim-Email Claim-User Claim-Name Claim-Groups Claim-Sub Jwt-Assertion'],
  ['X-', 'Consumer-Id Consumer-Custom-Id Consumer-Username Consumer-Groups Anonymous-Consumer'],
  ['X-', 'Credential-Identifier Credential-Username Access-Token Id-Token'],
  ['X-', 'Organizr-User Organizr-Group Proxy-User Proxyuser Proxiedentitieschain Sso-User'],
  ['Tailscale-User-', 'Login Name Profile-Pic'],
  ['Cf-Access-', 'Authenticated-User-Email Jwt-Assertion'],
  ['X-Goog-', 'Authenticated-User-Email Authenticated-User-Id Iap-Jwt-Assertion'],
  ['X-Amzn-Oidc-', 'Data Identity Accesstoken'],
  ['X-Ms-Client-Principal', ' -Id -Name -Idp'],
  ['Oidc-', 'Claim-Sub Claim-Email Claim-Name Claim-Groups Claim-Preferred-Username Access-Token'],
  ['', 'Sm-User Smuser Sm-Universalid Sm-Userdn Oam-Remote-User Iv-User Iv-User-L Iv-Groups Iv-Creds'],
  ['', 'Shib-Session-Id Shib-Identity-Provider Eppn Persistent-Id'],
  // Client certificates.
  ['X-Ssl-', 'Cert Client-Cert Client-Verify Client-S-Dn Client-Dn Client-Cn Client-Subject'],
  ['Ssl-Client-', 'Cert Verify S-Dn Subject-Dn'],
  ['X-Client-', 'Cert Verify Dn Cn Subject'],
  ['X-', 'Forwarded-Client-Cert Forwarded-Tls-Client-Cert Forwarded-Tls-Client-Cert-Info Arr-Clientcert'],
  ['Client-Cert', ' -Chain'],
]

/** Headers with which a service could read another client, host or path than Nginx has verified. */
const origin: readonly (readonly [prefix: string, endings: string])[] = [
  ['X-Forwarded-', 'For Proto Host Port Prefix Server Path Uri Method Scheme Protocol Ssl'],
  ['X-', 'Forwarded Real-Ip Client-Ip Cluster-Client-Ip Original-Url Original-Uri Original-Host Rewrite-Url'],
  ['', 'Forwarded Client-Ip True-Client-Ip X-Host X-Http-Host-Override Script-Name X-Script-Name Path-Info'],
]

/**
 * Returns the directives that remove these headers, one line for each, except the names in `set`.
 * Many services read `X_Auth_User` as `X-Auth-User`, so every mix is removed. Nginx drops names
 * with underscores by itself, but not if they precede `Host` and its default server allows them.
 */
export function clearedHeaders(set: readonly string[]): string {
  const isSet = new Set(set.map((name) => name.toLowerCase()))
  return `  # Identity headers that services trust. Services may read an underscore as a hyphen.
${linesOf(identity, isSet)}
  # With these, a service could see another client or URL than the one that was verified.
${linesOf(origin, isSet)}`
}

function linesOf(families: typeof identity, isSet: ReadonlySet<string>): string {
  const names = families.flatMap(([prefix, endings]) => endings.split(' ').map((ending) => prefix + ending))
  return [...new Set(names)]
    .map((name) => mixesOf(name).filter((mix) => !isSet.has(mix.toLowerCase())))
    .filter((mixes) => mixes.length > 0)
    .map((mixes) => `  ${mixes.map((mix) => `proxy_set_header ${mix} "";`).join(' ')}`)
    .join('\n')
}

/** Returns the name with each of its hyphens as a hyphen and as an underscore. */
function mixesOf(name: string): readonly string[] {
  const [first = '', ...rest] = name.split('-')
  return rest.reduce<readonly string[]>(
    (mixes, part) => mixes.flatMap((mix) => [`${mix}-${part}`, `${mix}_${part}`]),
    [first],
  )
}
