"""Logging in with any OpenID Connect provider: authorization code flow with PKCE.

https://openid.net/specs/openid-connect-core-1_0.html#CodeFlowAuth
"""

import base64
import hashlib
import math
import secrets
import time
from typing import Any
from urllib.parse import urlencode

import httpx
import jwt

from shoal_gateway.shell.problems import ProblemError

ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "EdDSA")
"""All with public keys: none could be forged by whoever knows the client's secret."""
PATIENCE = 10.0
"""Seconds that the provider gets for an answer."""
KNOWN_FOR = 3600.0
"""Seconds after which the provider's description is asked for again."""


def challenge_of(verifier: str) -> str:
    """What is told of a verifier beforehand (RFC 7636, S256)."""
    digest = hashlib.sha256(verifier.encode()).digest()
    return base64.urlsafe_b64encode(digest).decode().rstrip("=")


class Provider:
    """One provider, as its discovery document describes it."""

    def __init__(self, issuer: str, client_id: str, client_secret: str, redirect_uri: str) -> None:
        self.issuer, self._client_id, self._client_secret = issuer, client_id, client_secret
        self._redirect_uri = redirect_uri
        self._described: dict[str, Any] = {}
        self._keys: dict[str, Any] = {"keys": []}
        self._at = -math.inf

    async def address(self, state: str, nonce: str, verifier: str) -> str:
        """Where a person logs in."""
        described = await self._describe()
        query = {
            "response_type": "code",
            "client_id": self._client_id,
            "redirect_uri": self._redirect_uri,
            "scope": "openid profile email",
            "state": state,
            "nonce": nonce,
            "code_challenge": challenge_of(verifier),
            "code_challenge_method": "S256",
        }
        address = described["authorization_endpoint"]
        return f"{address}{'&' if '?' in address else '?'}{urlencode(query)}"

    async def claims(self, code: str, nonce: str, verifier: str) -> dict[str, Any]:
        """What the provider says of whoever came back with a code. Raises ProblemError (401)."""
        described = await self._describe()
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self._redirect_uri,
            "client_id": self._client_id,
            "code_verifier": verifier,
        }
        auth = (self._client_id, self._client_secret) if self._client_secret else None
        async with httpx.AsyncClient(timeout=PATIENCE, auth=auth) as http:
            try:
                answer = await http.post(described["token_endpoint"], data=form)
                text = answer.json()["id_token"]
            except (httpx.HTTPError, ValueError, KeyError, TypeError) as error:
                raise refused("the provider gave no ID token") from error
        return await self._checked(text, nonce)

    async def _checked(self, text: str, nonce: str) -> dict[str, Any]:
        try:
            key = await self._key(jwt.get_unverified_header(text).get("kid"))
            found: dict[str, Any] = jwt.decode(
                text,
                key,
                algorithms=ALGORITHMS,
                audience=self._client_id,
                issuer=self.issuer,
                leeway=30,
                options={"require": ["exp", "iat", "sub", "aud", "iss"]},
            )
        except jwt.PyJWTError as error:
            raise refused(f"its ID token is not good ({error})") from error
        if not secrets.compare_digest(str(found.get("nonce")), nonce):
            raise refused("its ID token is of another login")
        if found.get("azp", self._client_id) != self._client_id:
            raise refused("its ID token is for somebody else")
        return found

    async def _key(self, kid: str | None) -> jwt.PyJWK:
        """The provider's key of this id; a new one is looked for once."""
        for _ in range(2):
            for key in jwt.PyJWKSet.from_dict(self._keys).keys if self._keys["keys"] else ():
                if key.key_id == kid or kid is None:
                    return key
            self._at = -math.inf  # a clock that counts from the start may be near 0
            await self._describe()
        raise jwt.InvalidKeyError("nobody knows its key")

    async def _describe(self) -> dict[str, Any]:
        if time.monotonic() - self._at < KNOWN_FOR and self._described:
            return self._described
        url = f"{self.issuer.rstrip('/')}/.well-known/openid-configuration"
        async with httpx.AsyncClient(timeout=PATIENCE, follow_redirects=True) as http:
            try:
                described = (await http.get(url)).raise_for_status().json()
                keys = (await http.get(described["jwks_uri"])).raise_for_status().json()
                right = described["issuer"] == self.issuer and isinstance(keys["keys"], list)
            except (httpx.HTTPError, ValueError, KeyError, TypeError) as error:
                detail = f"The login provider at {self.issuer} does not answer."
                raise ProblemError(502, detail, kind="urn:shoal:problem:provider") from error
        if not right:
            detail = f"The login provider at {url} calls itself {described['issuer']}."
            raise ProblemError(502, detail, kind="urn:shoal:problem:provider")
        self._described, self._keys, self._at = described, keys, time.monotonic()
        return self._described


def refused(why: str) -> ProblemError:
    """The problem of a login that is not believed."""
    return ProblemError(401, f"The login failed: {why}.", kind="urn:shoal:problem:login")
