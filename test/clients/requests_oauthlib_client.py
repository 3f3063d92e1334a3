"""Signs in and reads /auth/me as requests-oauthlib's documentation says, and prints what came of it. Takes the API's URL."""

import json
import sys

from oauthlib.oauth2 import InvalidGrantError, LegacyApplicationClient
from requests_oauthlib import OAuth2Session

url = sys.argv[1]


def session():
    return OAuth2Session(client=LegacyApplicationClient(client_id="web"))


signed_in = session()
token = signed_in.fetch_token(f"{url}/auth/login", username="admin", password="changeme")

try:
    session().fetch_token(f"{url}/auth/login", username="admin", password="wrong")
    refusal = None
except InvalidGrantError as error:
    refusal = error.error

stranger = OAuth2Session(token={"access_token": "nonsense", "token_type": "bearer"})

print(
    json.dumps(
        {
            "token_type": token["token_type"],
            "expires_in": token["expires_in"],
            "me": signed_in.get(f"{url}/auth/me").json(),
            "refusal": refusal,
            "stranger": stranger.get(f"{url}/auth/me").status_code,
        }
    )
)
