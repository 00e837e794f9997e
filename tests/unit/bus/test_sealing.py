"""What only the holders of the key can read or sign."""

import jwt
import pytest

from shoal_bus.sealing import Attempt, Seal, SealError

ONE, OTHER = Seal("k" * 32), Seal("o" * 32)
ATTEMPT = Attempt("e", "e-0", 2)


def test_a_secret_opens_under_its_name_and_key_alone() -> None:
    sealed = ONE.close("w", "n", "välue")
    assert "älue" not in sealed
    assert ONE.close("w", "n", "välue") != sealed
    assert ONE.open("w", "n", sealed) == "välue"
    for seal, workspace, name in ((OTHER, "w", "n"), (ONE, "v", "n"), (ONE, "w", "m")):
        with pytest.raises(SealError) as error:
            seal.open(workspace, name, sealed)
        assert "älue" not in str(error.value)


def test_a_token_says_whose_it_is() -> None:
    token = ONE.sign(ATTEMPT, 60)
    assert ONE.verify(token) == ATTEMPT
    assert OTHER.verify(token) is None
    assert ONE.verify(ONE.sign(ATTEMPT, -1)) is None
    claims = jwt.decode(token, options={"verify_signature": False})
    for forged in (
        jwt.encode(claims, None, "none"),
        jwt.encode(claims, "k" * 32, "HS256"),
        token[:-2] + ("A" if token[-2] != "A" else "B") + token[-1],
        "x",
        "",
    ):
        assert ONE.verify(forged) is None


def test_a_key_has_a_length() -> None:
    with pytest.raises(SealError, match="32 characters"):
        Seal("short")
