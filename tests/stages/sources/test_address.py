"""Camera addresses: encoded once, never shown with their secrets."""

from urllib.parse import unquote, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.core.log import redact
from stages.sources.address import CameraAddress

USER = st.text(st.characters(codec="utf-8", exclude_categories=["Cc"], exclude_characters=":"))
PASSWORD = st.text(st.characters(codec="utf-8", exclude_categories=["Cc"]), max_size=5)


@given(USER.filter(lambda user: 0 < len(user) <= 5), PASSWORD)
def test_any_user_and_password_survive(user: str, password: str) -> None:
    address = CameraAddress.parse("rtsp://cam.lan:8554/live", user, password)
    parts = urlsplit(address.url)
    assert parts.username is not None
    assert parts.password is not None
    assert (unquote(parts.username), unquote(parts.password)) == (user, password)
    assert (parts.hostname, parts.port, parts.path) == ("cam.lan", 8554, "/live")
    assert address.shown == "rtsp://cam.lan:8554/live"


def test_what_needs_no_escape_gets_none_for_room_is_short() -> None:
    assert CameraAddress.parse("rtsp://cam/a", "me", "!$&'()*+,;=").url == (
        "rtsp://me:!$&'()*+,;=@cam/a"
    )


@pytest.mark.parametrize(
    ("user", "password", "why"),
    [
        ("me:hunter2", "x", "colon"),
        ("me", "hunter2\n", "control characters"),
        ("me", "hunter2" * 18, "129 characters when encoded"),
        ("me", "hunter2" + "漢" * 20, "190 characters when encoded"),
    ],
)
def test_what_cannot_be_sent_is_said_before_the_account_is_locked(
    user: str, password: str, why: str
) -> None:
    with pytest.raises(ValueError, match=why) as caught:
        CameraAddress.parse("rtsp://cam/a", user, password)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("written", ["rtsp://me:p%40ss@cam/a", "rtsp://me:p@ss@cam/a"])
def test_credentials_in_the_address_are_encoded_exactly_once(written: str) -> None:
    assert CameraAddress.parse(written).url == "rtsp://me:p%40ss@cam/a"


def test_fields_replace_what_the_address_holds() -> None:
    address = CameraAddress.parse("rtsp://old:one@cam/a", "new", "two")
    assert address.url == "rtsp://new:two@cam/a"


def test_secrets_are_not_shown() -> None:
    address = CameraAddress.parse("rtsp://me:hunter2@cam/user=me&password=hunter2&ch=1?k=hunter2")
    assert address.shown == "rtsp://cam/user=***&password=***&ch=1?***"
    assert "hunter2" not in f"{address!r} {address}"
    assert "hunter2" in address.url


def test_an_error_of_a_library_with_the_address_is_cleaned() -> None:
    url = CameraAddress.parse("rtsp://cam/1?token=hunter3", "me", "hunter2/ä").url
    cleaned = redact(f"[Errno 5] Input/output error: '{url}'")
    assert cleaned == "[Errno 5] Input/output error: 'rtsp://***@cam/1?***'"
    assert redact(f"{cleaned}: why") == f"{cleaned}: why"
    assert redact("rtsp://cam/1?***: why") == "rtsp://cam/1?***: why"


def test_ipv6_host() -> None:
    assert CameraAddress.parse("rtsp://[fe80::1]:554/a").host == "[fe80::1]:554"


@pytest.mark.parametrize(
    "url",
    [
        "http://cam/a", "cam/a", "", "rtsp://", "rtsp:///a", "rtsp://cam:port/a", "rtsp://c am/a",
        "rtsp://me:hunter2/x@cam/a", "rtsp://me:hunter2#@cam/a", "rtsp://cam:0/a",
        "rtsp://me:hunter2@[::1/a", "rtsp://me:hunter2\u2100@cam/a",
    ],
)  # fmt: skip
def test_what_is_no_address_is_refused_without_showing_it(url: str) -> None:
    with pytest.raises(ValueError, match=r"the address has no|the address starts") as caught:
        CameraAddress.parse(url)
    assert "hunter2" not in str(caught.value)
