"""The tokens that a NATS server is answered with."""

import base64
import json
from typing import Any

import nkeys
import pytest

from shoal_bus.callout import (
    Asked,
    Grant,
    Issuer,
    IssuerError,
    answer_claims,
    draw_issuer,
    read,
    user_claims,
)

ASKED = Asked("UKEY", "NKEY", "shoal_token", "10.0.0.7")
GRANT = Grant("bob", ("p.>",), ("_INBOX_x.>", "s.>"), 1900.9)


def parts(token: str) -> tuple[dict[str, Any], dict[str, Any], bytes]:
    head, body, signature = (
        base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)) for part in token.split(".")
    )
    return json.loads(head), json.loads(body), signature


def question(**options: str) -> bytes:
    body = {
        "nats": {
            "user_nkey": "UKEY",
            "server_id": {"id": "NKEY", "name": "n"},
            "client_info": {"host": "10.0.0.7"},
            "connect_opts": options,
        }
    }
    middle = base64.urlsafe_b64encode(json.dumps(body).encode()).rstrip(b"=")
    return b"e30." + middle + b".c2ln"


def test_a_token_is_signed_by_the_issuer() -> None:
    seed = draw_issuer()
    issuer = Issuer(seed)
    assert seed.startswith("SA")
    assert issuer.public.startswith("A")
    assert len(issuer.public) == 56
    token = issuer.sign({"sub": "x"})
    head, body, signature = parts(token)
    assert head == {"typ": "JWT", "alg": "ed25519-nkey"}
    assert (body["iss"], body["sub"]) == (issuer.public, "x")
    assert body["jti"] != parts(issuer.sign({"sub": "y"}))[1]["jti"]
    pair, text = nkeys.from_seed(bytearray(seed.encode())), token.rpartition(".")[0].encode()
    assert pair.verify(text, signature)
    with pytest.raises(nkeys.ErrInvalidSignature):
        nkeys.from_seed(bytearray(draw_issuer().encode())).verify(text, signature)


def test_what_is_derived_differs_by_purpose_and_key() -> None:
    one, other = Issuer(draw_issuer()), Issuer(draw_issuer())
    assert one.derived("a") == one.derived("a")
    assert len({one.derived("a"), one.derived("b"), other.derived("a")}) == 3


@pytest.mark.parametrize("kind", [nkeys.PREFIX_BYTE_USER, nkeys.PREFIX_BYTE_OPERATOR, None])
def test_another_key_is_refused_and_not_shown(kind: int | None) -> None:
    seed = "SAnone" if kind is None else nkeys.encode_seed(b"k" * 32, kind).decode()
    with pytest.raises(IssuerError) as error:
        Issuer(seed)
    assert seed not in str(error.value)
    with pytest.raises(IssuerError):
        Issuer("")


def test_claims_of_a_client() -> None:
    claims = user_claims(ASKED, GRANT, "$G", 1000.5)
    assert {name: claims[name] for name in ("sub", "aud", "name", "iat", "exp")} == {
        "sub": "UKEY", "aud": "$G", "name": "bob", "iat": 1000, "exp": 1900,
    }  # fmt: skip
    nats = claims["nats"]
    assert (nats["type"], nats["version"]) == ("user", 2)
    assert nats["pub"] == {"allow": ["p.>"]}
    assert nats["sub"] == {"allow": ["_INBOX_x.>", "s.>"]}
    assert 0 < nats["subs"] < 10_000
    assert 0 < nats["payload"] < 1_000_000


def test_claims_of_an_answer() -> None:
    yes, no = answer_claims(ASKED, 1.0, jwt="j"), answer_claims(ASKED, 1.0, error="why")
    for claims in (yes, no):
        assert (claims["sub"], claims["aud"]) == ("UKEY", "NKEY")
        assert claims["nats"]["type"] == "authorization_response"
    assert yes["nats"]["jwt"] == "j"
    assert "error" not in yes["nats"]
    assert no["nats"]["error"] == "why"
    assert "jwt" not in no["nats"]


@pytest.mark.parametrize(
    "options", [{"auth_token": "shoal_token"}, {"user": "u", "pass": "shoal_token"}]
)
def test_a_question_is_read(options: dict[str, str]) -> None:
    assert read(question(**options)) == ASKED


@pytest.mark.parametrize(
    "data", [b"", b"{}", b"a.b.c", b"\xff.\xff", b"e30.e30.", b"e30.W10.", b'{"a":1}', b"e30.Mw."]
)
def test_what_is_no_question_is_told_from_one(data: bytes) -> None:
    assert read(data) is None


def test_who_shows_nothing_has_no_secret() -> None:
    found = read(question(user="u"))
    assert found is not None
    assert found.secret == ""
