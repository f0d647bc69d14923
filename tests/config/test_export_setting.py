"""`export`: names of the table of formats, each once, and only where there will be an order."""

import pytest

from saerl_core.config.load import load_config, validate
from saerl_core.errors import ConfigError
from saerl_core.export.formats import FORMATS


def test_every_format_of_the_table_may_be_named():
    assert validate({"export": list(FORMATS)}).export == tuple(FORMATS)
    assert validate({}).export == ()


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (
            ["verrl"],
            r"export\[0\]: format 'verrl' is not known \(did you mean 'verl'\?\); the formats .* are trl, verl",
        ),
        (["trl", "roll"], r"export\[1\]: a plan cannot be exported for 'roll': ROLL shuffles"),
        (["trl", "verl", "trl"], r"export\[2\] is 'trl', which stands in the list before"),
        (["../trl"], r"export\[0\]: format '../trl' is not known"),
        ([""], r"export\[0\]: format '' is not known"),
    ],
)
def test_other_names_are_refused(given, says):
    with pytest.raises(ConfigError, match=says):
        validate({"export": given})


@pytest.mark.parametrize("given", ["trl", {"trl": 1}, [3], 7])
def test_what_is_no_list_of_names_is_refused(given):
    with pytest.raises(ConfigError, match="export"):
        validate({"export": given})


OFF = {"training": {"enabled": False}, "evaluation": {"enabled": False}}


def test_an_online_strategy_that_is_not_trained_has_no_order_to_export():
    with pytest.raises(ConfigError, match=r"export is \['trl'\], but plan.strategy 'adaptive' makes its order in tr"):
        validate({**OFF, "export": ["trl"], "plan": {"strategy": "adaptive"}})
    assert validate({**OFF, "plan": {"strategy": "adaptive"}}).export == ()
    assert validate({**OFF, "export": ["trl"], "plan": {"strategy": "vanilla"}}).export == ("trl",)
    assert validate({**OFF, "export": ["trl"]}).plan.strategy.name == "saerl"
    assert validate({"export": ["trl"], "plan": {"strategy": "adaptive"}}).export == ("trl",)


def test_a_command_line_sets_it(tmp_path):
    path = tmp_path / "run.yaml"
    path.write_text("parameters:\n  export: [trl]\n")
    assert load_config(path).export == ("trl",)
    assert load_config(path, {"export": ["verl", "jsonl"]}).export == ("verl", "jsonl")
