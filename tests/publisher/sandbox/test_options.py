"""The options of a sandbox."""

import pytest

from publisher.sandbox import BadOption, SandboxOptions


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("categories", 0),
        ("rate_limit", 0),
        ("rate_limit", -1),
        ("rate_limit", float("nan")),
        ("token_life", -1),
        ("shops", ()),
    ],
)
def test_options_out_of_range_are_rejected(name: str, value: object) -> None:
    """The message names the option."""
    with pytest.raises(BadOption, match=name):
        SandboxOptions(**{name: value})  # type: ignore[arg-type]


def test_the_repr_has_no_credentials() -> None:
    """They are public here, but habits are not."""
    assert "token'" not in repr(SandboxOptions(categories=1)).replace("token_life", "")
    assert "secret" not in repr(SandboxOptions(categories=1))
