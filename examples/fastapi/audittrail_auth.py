"""A FastAPI dependency that verifies AuditTrail's access tokens with the published keys.

Needs FastAPI and PyJWT[crypto] (Debian: python3-fastapi, python3-jwt, python3-cryptography). Copy this file into your app.
"""

import asyncio
import http.client
import json
import time
import urllib.request
from dataclasses import dataclass
from typing import Callable, Dict, FrozenSet, Optional

import jwt
from fastapi import Depends, HTTPException
from fastapi.security import OAuth2PasswordBearer

ALGORITHM = "EdDSA"
# A fetch happens at most this often, however many tokens name an unknown key.
COOL_DOWN_SECONDS = 10
# Keys are fetched again after this time, so that a removed key stops working.
REFRESH_SECONDS = 300
# Keys that could not be refreshed for this long are no longer trusted.
MAX_AGE_SECONDS = 3600
FETCH_TIMEOUT_SECONDS = 3
CLOCK_SKEW_SECONDS = 5


@dataclass(frozen=True)
class User:
    """A signed-in user. Store a user's data under `id`, which is never reused."""

    id: str
    username: str
    roles: FrozenSet[str]


class KeysUnavailable(Exception):
    """The keys could not be fetched, so the token cannot be verified."""


class SigningKeys:
    """The published keys by `kid`. Fetches them in a thread, so that the event loop never waits."""

    def __init__(self, url: str, clock: Callable[[], float] = time.monotonic):
        self._url = url
        self._clock = clock
        self._keys: Dict[str, jwt.PyJWK] = {}
        self._fetched_at = -float("inf")
        self._tried_at = -float("inf")
        self._lock = asyncio.Lock()

    async def find(self, kid: str) -> Optional[jwt.PyJWK]:
        """Returns the key, or None if it is not published. Raises KeysUnavailable."""
        if kid not in self._keys or self._age() > REFRESH_SECONDS:
            # Requests that arrive during a fetch wait for it and use its result.
            async with self._lock:
                if kid not in self._keys or self._age() > REFRESH_SECONDS:
                    await self._refresh()
        if self._age() > MAX_AGE_SECONDS or (kid not in self._keys and self._last_fetch_failed()):
            raise KeysUnavailable
        return self._keys.get(kid)

    async def _refresh(self) -> None:
        if self._clock() - self._tried_at < COOL_DOWN_SECONDS:
            return
        self._tried_at = self._clock()
        try:
            self._keys = await asyncio.get_running_loop().run_in_executor(None, self._fetch)
            self._fetched_at = self._tried_at
        except (OSError, http.client.HTTPException, ValueError, KeyError, TypeError, AttributeError, jwt.PyJWTError):
            # `find` reports it if the known keys do not suffice.
            return

    def _fetch(self) -> Dict[str, jwt.PyJWK]:
        with urllib.request.urlopen(self._url, timeout=FETCH_TIMEOUT_SECONDS) as response:
            published = json.load(response)["keys"]
        # Keys of other algorithms may be published during a change of ALGORITHM.
        return {key["kid"]: jwt.PyJWK.from_dict(key) for key in published if key.get("alg") == ALGORITHM}

    def _age(self) -> float:
        return self._clock() - self._fetched_at

    def _last_fetch_failed(self) -> bool:
        return self._fetched_at != self._tried_at


class AuditTrail:
    """Dependencies for your routes: `Depends(auth.user)` and `Depends(auth.role("staff"))`.

    `url` is where your app reaches AuditTrail, with its BASE_PATH. `issuer` and `audience` are AuditTrail's ISSUER and
    AUDIENCE. `login_path` is where browsers sign in; the docs page of your app uses it.
    """

    def __init__(self, url: str, issuer: str, audience: str = "audittrail", login_path: str = "/api/auth/login"):
        self._keys = SigningKeys(f"{url}/.well-known/jwks.json")
        self._issuer = issuer
        self._audience = audience
        self.user = self._make_user_dependency(OAuth2PasswordBearer(tokenUrl=login_path, auto_error=False))

    def role(self, *roles: str) -> Callable:
        """Returns a dependency that requires one of these roles. Other users get 403."""

        async def user_with_role(user: User = Depends(self.user)) -> User:
            if user.roles.isdisjoint(roles):
                raise HTTPException(403, "This requires another role.")
            return user

        return user_with_role

    def _make_user_dependency(self, bearer: OAuth2PasswordBearer) -> Callable:
        async def user(token: Optional[str] = Depends(bearer)) -> User:
            unauthorized = HTTPException(401, "Not signed in.", {"WWW-Authenticate": "Bearer"})
            if token is None:
                raise unauthorized
            try:
                return await self._verify(token)
            except (jwt.InvalidTokenError, RecursionError):
                raise unauthorized from None
            except KeysUnavailable:
                raise HTTPException(503, "The signing keys are unavailable.", {"Retry-After": "10"}) from None

        return user

    async def _verify(self, token: str) -> User:
        header = jwt.get_unverified_header(token)
        # Checked first, so that garbage does not trigger a fetch.
        if header.get("typ") != "at+jwt" or header.get("alg") != ALGORITHM or not isinstance(header.get("kid"), str):
            raise jwt.InvalidTokenError("not an access token")
        key = await self._keys.find(header["kid"])
        if key is None:
            raise jwt.InvalidTokenError("unknown key")
        claims = jwt.decode(
            token,
            key.key,
            algorithms=[ALGORITHM],
            issuer=self._issuer,
            audience=self._audience,
            leeway=CLOCK_SKEW_SECONDS,
            options={"require": ["exp", "sub", "uid", "roles"]},
        )
        return User(claims["uid"], claims["sub"], frozenset(claims["roles"]))
