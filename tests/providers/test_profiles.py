import pytest

from providers.base import ModelProfile, Prices
from providers.errors import ProviderConfigurationError
from providers.profiles import cost, priced, profile_from_settings, profiles_from_settings
from providers.usage import Usage


def test_settings_become_a_profile() -> None:
    table = {
        "input": 2,
        "output": 8.0,
        "cached_input": 0.5,
        "context_window": 128000,
        "max_output_tokens": 4096,
    }
    assert profiles_from_settings({"openai/gpt-x": table}) == {
        "openai/gpt-x": ModelProfile(128000, 4096, Prices(2.0, 8.0, 0.5))
    }
    assert profile_from_settings("openai/x", {"context_window": 8192}) == ModelProfile(8192)


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"inptu": 2}, "did you mean 'input'"),
        ({"zzz": 2}, "known are input"),
        ({"input": "two", "output": 1}, r"Expected `float"),
        ({"input": -1, "output": 1}, "input = -1"),
        ({"input": float("nan"), "output": 1}, "input = nan"),
        ({"input": 1}, "both `input` and `output`"),
        ({"cached_input": 1}, "both `input` and `output`"),
        ({"context_window": 1.5}, "Expected `int"),
    ],
)
def test_a_wrong_table_names_the_key(settings: dict[str, object], says: str) -> None:
    with pytest.raises(ProviderConfigurationError, match="openai/gpt-x") as raised:
        profile_from_settings("openai/gpt-x", settings)
    assert says in str(raised.value)


def test_cost_counts_cached_tokens_at_their_price() -> None:
    prices = Prices(2.0, 8.0, 0.5)
    assert cost(Usage(1_000_000, 500_000, 400_000), prices) == 0.6 * 2 + 0.4 * 0.5 + 4
    assert cost(Usage(1_000_000, 0, 400_000), Prices(2.0, 8.0)) == 2.0


def test_unknown_is_never_zero() -> None:
    assert cost(Usage(10, 10), None) is None
    assert cost(Usage(None, 10), Prices(1, 1)) is None
    assert priced(Usage(10, None), Prices(1, 1)).cost_usd is None
    assert priced(Usage(10, 10), None).cost_usd is None


def test_unreported_cached_tokens_are_charged_as_fresh() -> None:
    assert cost(Usage(1_000_000, 0, None), Prices(2.0, 8.0, 0.5)) == 2.0
