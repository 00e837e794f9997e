"""An OpenID Connect provider that logs everybody in as whom it is told, and is strict otherwise."""

import base64
import hashlib
import secrets
import socket
import time
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlencode

import jwt
import uvicorn
from cryptography.hazmat.primitives.asymmetric import rsa
from fastapi import FastAPI, HTTPException, Request
from fastapi.responses import RedirectResponse

CLIENT, SECRET = "shoal", "hush"


@dataclass
class FakeProvider:
    """The provider; `claims` are what it says of the next who logs in."""

    redirect_uri: str
    claims: dict[str, Any] = field(default_factory=lambda: {"sub": "7"})
    codes: dict[str, dict[str, str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.listening = socket.create_server(("127.0.0.1", 0))
        self.issuer = f"http://127.0.0.1:{self.listening.getsockname()[1]}"
        self.key = self.signing = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self.kid = "k1"
        self.server = uvicorn.Server(uvicorn.Config(self._app(), log_config=None))

    def rotate(self) -> None:
        """Sign with another key from now on."""
        self.key = self.signing = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self.kid = "k2"

    def _app(self) -> FastAPI:
        app = FastAPI()

        @app.get("/.well-known/openid-configuration")
        async def described() -> dict[str, Any]:
            return {
                "issuer": self.issuer,
                "authorization_endpoint": f"{self.issuer}/authorize",
                "token_endpoint": f"{self.issuer}/token",
                "jwks_uri": f"{self.issuer}/keys",
            }

        @app.get("/keys")
        async def keys() -> dict[str, Any]:
            public = jwt.algorithms.RSAAlgorithm.to_jwk(self.key.public_key(), as_dict=True)
            return {"keys": [{**public, "kid": self.kid, "use": "sig", "alg": "RS256"}]}

        @app.get("/authorize")
        async def authorize(request: Request) -> RedirectResponse:
            asked = dict(request.query_params)
            right = {
                "response_type": "code", "client_id": CLIENT, "redirect_uri": self.redirect_uri,
                "code_challenge_method": "S256",
            }  # fmt: skip
            if {name: asked.get(name) for name in right} != right:
                raise HTTPException(400, "invalid_request")
            code = secrets.token_urlsafe(16)
            self.codes[code] = asked
            query = urlencode({"code": code, "state": asked["state"]})
            return RedirectResponse(f"{self.redirect_uri}?{query}", 302)

        @app.post("/token")
        async def token(request: Request) -> dict[str, Any]:
            form = {k: v[0] for k, v in parse_qs((await request.body()).decode()).items()}
            basic = base64.b64encode(f"{CLIENT}:{SECRET}".encode()).decode()
            asked = self.codes.pop(form.get("code", ""), {})
            digest = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
            challenge = base64.urlsafe_b64encode(digest).decode().rstrip("=")
            if (
                request.headers.get("authorization") != f"Basic {basic}"
                or form.get("redirect_uri") != self.redirect_uri
                or asked.get("code_challenge") != challenge
            ):
                raise HTTPException(400, "invalid_grant")
            now = int(time.time())
            claims = {"iss": self.issuer, "aud": CLIENT, "iat": now, "exp": now + 60,
                      "nonce": asked["nonce"], **self.claims}  # fmt: skip
            headers = {"kid": self.kid}
            return {"id_token": jwt.encode(claims, self.signing, "RS256", headers)}

        return app
