"""Where a service account of Google's signs in: who proves with a JWT to have its key gets a token that runs out."""

import json
import time
from secrets import token_urlsafe
from urllib.parse import parse_qs

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from google.auth import exceptions, jwt

from sandbox.misbehave import Response
from sandbox.server import Call
from sandbox.simulation import Row

AUDIENCE = "https://oauth2.googleapis.com/token"


class SignIn:
    """The endpoint for the account of `key`, which may have a token for any of `scopes`; a test may set how long one
    lasts (`lifetime`, seconds)."""

    lifetime = 3600.0

    def __init__(self, key: Row, *scopes: str) -> None:
        self.email, self.scopes = key["client_email"], scopes
        self.tokens: dict[str, float] = {}  # until when they last
        self.granted: dict[str, list[str]] = {}  # the scopes of each
        private = serialization.load_pem_private_key(key["private_key"].encode(), None)
        self.public_key = private.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )

    def token(self, call: Call) -> Response:
        """Answers POST /token."""
        form = {name: values[0] for name, values in parse_qs(call.body.decode()).items()}
        try:
            claims = jwt.decode(form.get("assertion", ""), certs=self.public_key, audience=AUDIENCE)
        except (ValueError, exceptions.GoogleAuthError):
            claims = {}
        is_right = form.get("grant_type") == "urn:ietf:params:oauth:grant-type:jwt-bearer"
        asked = claims.get("scope", "").split()
        if not is_right or claims.get("iss") != self.email or not asked or set(asked) - set(self.scopes):
            return Response.json(400, {"error": "invalid_grant", "error_description": "Invalid JWT Signature."})
        token = f"ya29.{token_urlsafe(24)}"
        self.tokens[token], self.granted[token] = time.time() + self.lifetime, asked
        return Response.json(200, {"access_token": token, "expires_in": 3599, "token_type": "Bearer"})

    def knows(self, call: Call) -> bool:
        """Whether a request carries a token that lasts."""
        return self.tokens.get(_token(call), 0) > time.time()

    def allows(self, call: Call, scope: str) -> bool:
        """Whether its token is for this scope."""
        return scope in self.granted.get(_token(call), [])


def _token(call: Call) -> str:
    return call.headers.get("Authorization", "").removeprefix("Bearer ")


def new_key(bits: int = 2048) -> Row:
    """The key of a new service account, as its JSON file has it, but for `token_uri`; of few bits it is read fast."""
    private = rsa.generate_private_key(public_exponent=65537, key_size=bits)
    text = private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    email = "catchment@coffee-example.iam.gserviceaccount.com"
    return {"type": "service_account", "private_key": text.decode(), "client_email": email}


def credentials(url: str, key: Row) -> str:
    """The key as JSON, for the server at `url`."""
    return json.dumps(key | {"token_uri": f"{url}/token"})
