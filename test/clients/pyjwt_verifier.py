"""Verifies tokens as PyJWT's documentation says, by the published keys alone, and prints what came of it.

Takes the address of the keys, an algorithm, an issuer, an audience and the tokens."""

import json
import sys

import jwt

keys_url, algorithm, issuer, audience, *tokens = sys.argv[1:]
keys = jwt.PyJWKClient(keys_url)


def verify(token):
    try:
        key = keys.get_signing_key_from_jwt(token)
        if jwt.get_unverified_header(token).get("typ") != "at+jwt":
            return "typ"
        claims = jwt.decode(
            token,
            key.key,
            algorithms=[algorithm],
            issuer=issuer,
            audience=audience,
            options={"require": ["exp", "iat", "sub"]},
        )
        return claims["sub"]
    except (jwt.PyJWTError, KeyError) as error:
        return type(error).__name__


print(json.dumps([verify(token) for token in tokens]))
