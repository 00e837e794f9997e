import pytest
import yaml
from pydantic import ValidationError

from shoal_contract.config import ExperimentConfig
from shoal_contract.deadline import deadline_at
from shoal_contract.parse import ConfigError, parse_experiment

FILE = """
name: x
entrypoint: python x.py
searcher: {name: single, metric: loss, max_time: 4, budget: {money: 200}}
deadline: %s
"""
NEW_YEAR = 1_767_225_600.0
"""2026-01-01T00:00:00Z."""


def parsed(deadline: str) -> ExperimentConfig:
    return parse_experiment(yaml.safe_load(FILE % deadline))


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("8h", 1000 + 8 * 3600),
        ("1d 30m", 1000 + 86400 + 1800),
        ("1.5h", 1000 + 5400),
        ("2026-01-01T00:00:00Z", NEW_YEAR),
        ("'2026-01-01T01:00:00+01:00'", NEW_YEAR),
        ("'2026-01-01T00:00:00'", NEW_YEAR),
        ("2026-01-01", NEW_YEAR),
    ],
)
def test_a_deadline_is_a_length_or_a_time(text, at):
    assert deadline_at(parsed(text).deadline, 1000.0) == at


@pytest.mark.parametrize("text", ["soon", "0h", "8", "-3h", "8h later", "''"])
def test_what_is_no_deadline_is_said(text):
    with pytest.raises(ConfigError) as error:
        parsed(text)
    assert error.value.problems[0].path == "deadline"


def test_a_budget_of_money_is_enough():
    assert parsed("8h").searcher.budget.money == 200
    with pytest.raises(ConfigError):
        parse_experiment(yaml.safe_load((FILE % "8h").replace("money: 200", "money: 0")))


def test_the_fields_are_written_back():
    config = parsed("8h")
    assert ExperimentConfig.model_validate_json(config.model_dump_json()) == config
    with pytest.raises(ValidationError):
        ExperimentConfig.model_validate({**config.model_dump(), "deadline": "never"})
