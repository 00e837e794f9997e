"""The AsyncAPI document says what the contract says."""

import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from shoal import asyncapi
from shoal_contract.events import REGISTER
from shoal_contract.subjects import stream_of

FILE = Path(__file__).parents[3] / "docs" / "asyncapi.yaml"


def test_the_file_is_up_to_date() -> None:
    # In a process of its own: other tests add events of theirs to the register of this one.
    code = "from shoal import asyncapi; print(asyncapi.text(), end='')"
    fresh = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert FILE.read_text() == fresh.stdout, (
        "docs/asyncapi.yaml is stale: shoal events asyncapi > docs/asyncapi.yaml"
    )


def test_every_reference_leads_somewhere() -> None:
    document = yaml.safe_load(asyncapi.text())

    def look(node: object) -> None:
        if isinstance(node, list):
            for item in node:
                look(item)
        elif isinstance(node, dict):
            if "$ref" in node:
                found = document
                for part in node["$ref"].removeprefix("#/").split("/"):
                    found = found[part]
            for item in node.values():
                look(item)

    look(document)


def test_every_event_has_its_channel() -> None:
    channels = asyncapi.document()["channels"]
    assert list(channels) == sorted(t for t in REGISTER if not stream_of(t).private)
    assert "token.issued" not in channels
    address = channels["trial.paused"]["address"]
    assert address == "shoal.v1.trial.paused.{experiment_id}.{trial_id}"


def test_a_schema_by_either_name() -> None:
    assert asyncapi.schema("shoal.v1.trial.paused") == asyncapi.schema("trial.paused")
    with pytest.raises(LookupError):
        asyncapi.schema("trial.pausd")
    with pytest.raises(LookupError):
        asyncapi.schema("user.created")
