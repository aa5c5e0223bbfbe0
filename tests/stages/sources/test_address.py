"""Camera addresses: encoded once, never shown with their secrets."""

from urllib.parse import unquote, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stages.sources.address import CameraAddress

TEXT = st.text(st.characters(codec="utf-8"), min_size=1, max_size=12)


@given(TEXT, TEXT)
def test_any_user_and_password_survive(user: str, password: str) -> None:
    address = CameraAddress.parse("rtsp://cam.lan:8554/live", user, password)
    parts = urlsplit(address.url)
    assert parts.username is not None
    assert parts.password is not None
    assert (unquote(parts.username), unquote(parts.password)) == (user, password)
    assert (parts.hostname, parts.port, parts.path) == ("cam.lan", 8554, "/live")
    assert address.shown == "rtsp://cam.lan:8554/live"


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


def test_ipv6_host() -> None:
    assert CameraAddress.parse("rtsp://[fe80::1]:554/a").host == "[fe80::1]:554"


@pytest.mark.parametrize(
    "url",
    [
        "http://cam/a", "cam/a", "", "rtsp://", "rtsp:///a", "rtsp://cam:port/a",
        "rtsp://me:hunter2/x@cam/a", "rtsp://me:hunter2#@cam/a", "rtsp://cam:0/a",
        "rtsp://me:hunter2@[::1/a", "rtsp://me:hunter2\u2100@cam/a",
    ],
)  # fmt: skip
def test_what_is_no_address_is_refused_without_showing_it(url: str) -> None:
    with pytest.raises(ValueError, match=r"the address has no|a camera's address starts") as caught:
        CameraAddress.parse(url)
    assert "hunter2" not in str(caught.value)
