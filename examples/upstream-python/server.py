"""A small API that keeps each user's notes. AuditTrail identifies the user, by a token or through Nginx.

Needs only Debian's python3-jwt and python3-cryptography (or PyJWT[crypto]).
"""

import json
import os
import re
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote

import jwt

AUTH = os.environ.get("AUTH")
MAX_BODY = 10_000


class KeysUnavailable(Exception):
    """The keys could not be fetched, so the token cannot be verified."""


def user_by_nginx(headers):
    """Returns the user from the headers that Nginx sets. Trust them only if nothing but Nginx can connect."""
    user_id, username = headers.get("X-Auth-User-Id"), headers.get("X-Auth-User")
    if not user_id or not username:
        return None
    roles = headers.get("X-Auth-Roles")
    return {"id": user_id, "username": unquote(username), "roles": roles.split(",") if roles else []}


def make_user_by_token(url, issuer, audience):
    """Verifies tokens with the published keys. Returns None for invalid tokens; raises KeysUnavailable."""
    keys = jwt.PyJWKClient(f"{url}/.well-known/jwks.json")

    def user_by_token(headers):
        match = re.fullmatch(r"Bearer +([^ ,]+)", headers.get("Authorization", ""), re.IGNORECASE)
        if not match:
            return None
        token = match[1]
        try:
            header = jwt.get_unverified_header(token)
            # Checked first, so that garbage does not trigger a fetch.
            if header.get("typ") != "at+jwt" or header.get("alg") != "EdDSA":
                return None
            claims = jwt.decode(
                token,
                find_key(token),
                algorithms=["EdDSA"],
                issuer=issuer,
                audience=audience,
                options={"require": ["exp", "sub", "uid", "roles"]},
            )
        except (jwt.InvalidTokenError, RecursionError):
            return None
        return {"id": claims["uid"], "username": claims["sub"], "roles": claims["roles"]}

    def find_key(token):
        try:
            return keys.get_signing_key_from_jwt(token).key
        except jwt.PyJWKClientError as error:
            if "Unable to find a signing key" in str(error):
                raise jwt.InvalidTokenError("unknown key") from error
            raise KeysUnavailable from error

    return user_by_token


# By user id, which is never reused.
notes = {}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 30
    find_user = None

    def do_GET(self):
        self.handle_request(lambda user: self.send(200, {**without_id(user), "notes": notes.get(user["id"], [])}))

    def do_POST(self):
        self.handle_request(self.add_note)

    def handle_request(self, act):
        length = self.headers.get("Content-Length", "0")
        if not length.isdecimal() or int(length) > MAX_BODY or "Transfer-Encoding" in self.headers:
            self.close_connection = True
            return self.send(413, {"detail": "The body is too long or has no length."})
        self.body = self.rfile.read(int(length))
        try:
            user = self.find_user(self.headers)
        except KeysUnavailable:
            return self.send(503, {"detail": "The signing keys are unavailable."}, {"Retry-After": "2"})
        if user is None:
            return self.send(401, {"detail": "Not signed in."}, {"WWW-Authenticate": "Bearer"})
        if self.path.split("?")[0] != "/notes":
            return self.send(404, {"detail": "Not found."})
        return act(user)

    def add_note(self, user):
        text = self.body.decode(errors="replace")[:200]
        notes[user["id"]] = [*notes.get(user["id"], []), text][-20:]
        self.send(204)

    def send(self, status, content=None, headers=None):
        body = b"" if content is None else json.dumps(content).encode()
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        if content is not None:
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def without_id(user):
    return {"username": user["username"], "roles": user["roles"]}


def main():
    # Explicit, because trusting the headers of Nginx is safe only if nothing else can connect.
    if AUTH == "nginx":
        find_user = user_by_nginx
    elif AUTH == "token":
        audience = os.environ.get("AUDIENCE", "audittrail")
        find_user = make_user_by_token(os.environ["AUDITTRAIL_URL"], os.environ["ISSUER"], audience)
    else:
        raise SystemExit('AUTH is "token" or "nginx"')
    Handler.find_user = staticmethod(find_user)
    address = (os.environ.get("HOST", "127.0.0.1"), int(os.environ.get("PORT", "9000")))
    server = ThreadingHTTPServer(address, Handler)
    print(f"listening on http://{address[0]}:{server.server_port}/", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
