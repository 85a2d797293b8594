"""TikTok Shop's envelope: what is one, and how it is quoted."""

import pytest

from publisher.sources.envelope import Envelope, starts_with_success


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{}", b"<html>", b'{"code":"0"}', b'{"code":true}', b'{"code":1.0}']
)
def test_a_body_without_an_integer_code_is_no_envelope(body: bytes) -> None:
    """The HTTP status decides then."""
    assert Envelope.parse(body) is None


def test_missing_and_mistyped_texts_are_empty() -> None:
    """Only the code is needed."""
    assert Envelope.parse(b'{"code":7,"message":[]}') == Envelope(7, "", "", None)


@pytest.mark.contract("7")
def test_the_description_is_safe_to_log() -> None:
    """Code, message and request_id; secrets replaced, control characters escaped."""
    envelope = Envelope(105005, "token hush-1 of hush\n", "id 7", None)
    text = envelope.describe(["hush-1", "hush"])
    assert text == "code 105005, message 'token *** of ***\\n', request_id 'id 7'"


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b'{"code":0,"data":{}}', True),
        (b' {\n"code" : 0 ,', True),
        (b'{"code":0}', False),
        (b'{"code":01,', False),
        (b'{"data":{},"code":0}', False),
        (b"[]", False),
    ],
)
def test_a_success_is_known_by_its_first_bytes(body: bytes, *, expected: bool) -> None:
    """In the order that TikTok Shop writes; other bodies have to be parsed."""
    assert starts_with_success(body) is expected
