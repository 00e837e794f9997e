"""What the gateway and the workers alone can read or sign: one key, which both are given.

Secrets are sealed with Fernet (AES-128-CBC and HMAC-SHA256); trials' tokens are JSON Web Tokens
(RFC 7519) with HS256. Each has a key of its own, derived by HKDF (RFC 5869).
"""

import base64
import json
import time
from dataclasses import dataclass

import jwt
from cryptography.fernet import Fernet, InvalidToken
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

SHORTEST = 32
"""Characters that a key must have."""
_AUDIENCE = "shoal"


class SealError(ValueError):
    """What cannot be opened, or a key that is none. The text says why, and shows neither."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """Whom a trial's token stands for."""

    experiment_id: str
    trial_id: str
    attempt: int


class Seal:
    """Both keys, from the setting SHOAL_SECRET_KEY. Raises SealError if that is too short."""

    def __init__(self, key: str) -> None:
        if len(key) < SHORTEST:
            raise SealError(f"SHOAL_SECRET_KEY must have {SHORTEST} characters or more")
        self._box = Fernet(base64.urlsafe_b64encode(_derived(key, b"shoal secrets")))
        self._signing = _derived(key, b"shoal trial tokens")

    def close(self, workspace: str, name: str, value: str) -> str:
        """A secret, so that only `open` reads it, under the same name."""
        return self._box.encrypt(json.dumps([workspace, name, value]).encode()).decode()

    def open(self, workspace: str, name: str, sealed: str) -> str:
        """The value of a secret. Raises SealError."""
        try:
            *place, value = json.loads(self._box.decrypt(sealed.encode()))
        except InvalidToken as error:
            raise SealError(f"the secret {name} was sealed with another key") from error
        if place != [workspace, name]:
            raise SealError(f"the secret {name} was sealed under another name")
        return str(value)

    def sign(self, attempt: Attempt, seconds: float) -> str:
        """A token for an attempt, for at most so long."""
        claims = {
            "aud": _AUDIENCE,
            "sub": attempt.trial_id,
            "experiment": attempt.experiment_id,
            "attempt": attempt.attempt,
            "exp": int(time.time() + seconds),
        }
        return jwt.encode(claims, self._signing, "HS256")

    def verify(self, token: str) -> Attempt | None:
        """Whom a token stands for; None if we did not sign it, or its time is over."""
        try:
            found = jwt.decode(
                token,
                self._signing,
                ["HS256"],
                audience=_AUDIENCE,
                options={"require": ["exp", "aud", "sub", "experiment", "attempt"]},
            )
        except jwt.PyJWTError:
            return None
        return Attempt(str(found["experiment"]), str(found["sub"]), int(found["attempt"]))


def _derived(key: str, purpose: bytes) -> bytes:
    return HKDF(SHA256(), length=32, salt=None, info=purpose).derive(key.encode())
