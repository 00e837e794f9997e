"""What is drawn for a request: ids, tokens, secrets. From one seed, so that a request that is
repeated draws the same again."""

import base64
import hashlib
import hmac
import secrets

ALPHABET = "23456789abcdefghjkmnpqrstuvwxyz"
"""Without characters that are taken for one another (0 and o, 1, i and l)."""


class Draws:
    """Drawn values, each by what it is for. They are as hard to guess as the seed's 256 bits."""

    def __init__(self, seed: str | None = None) -> None:
        """`seed`: that of the request's first time; None: a new one."""
        self.repeatable = seed is not None
        """Whether the request may come again, or has come before."""
        self._seed = seed or new_seed()

    def id(self, purpose: str) -> str:
        """64 bits, as 16 hexadecimal digits."""
        return self._bytes(purpose)[:8].hex()

    def secret(self, purpose: str) -> str:
        """256 bits, as 43 characters that URLs may have."""
        return base64.urlsafe_b64encode(self._bytes(purpose)).decode().rstrip("=")

    def word(self, purpose: str, letters: int) -> str:
        """An id that people read out: so many characters of `ALPHABET`."""
        number = int.from_bytes(self._bytes(purpose), "big")
        found = ""
        for _ in range(letters):
            number, place = divmod(number, len(ALPHABET))
            found += ALPHABET[place]
        return found

    @property
    def command(self) -> str:
        """The id of the request's command to the ledger."""
        return f"access-{self.id('command')}"

    def _bytes(self, purpose: str) -> bytes:
        return hmac.digest(bytes.fromhex(self._seed), purpose.encode(), hashlib.sha256)


def new_seed() -> str:
    """256 bits, as hexadecimal digits."""
    return secrets.token_hex(32)
