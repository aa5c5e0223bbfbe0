"""Signatures of webhook requests: who knows the secret wrote this body, not long ago."""

import hashlib
import hmac
import re
from collections.abc import Sequence
from typing import Final

SIGNATURE_HEADER: Final = "Eyrie-Signature"
_FORM: Final = re.compile(r"t=([0-9]{1,12}),v1=([0-9a-f]{64})")


def sign(secret: bytes, at_s: int, body: bytes) -> str:
    """The value of the header `Eyrie-Signature`: `t=SECONDS,v1=HEX`, where HEX is the HMAC-SHA256
    (RFC 2104) of `SECONDS.BODY` and SECONDS is `at_s`, Unix time."""
    mac = hmac.new(secret, b"%d." % at_s + body, hashlib.sha256)
    return f"t={at_s},v1={mac.hexdigest()}"


def verify(secret: bytes, header: str, body: bytes, now_s: float, tolerance_s: float = 300) -> bool:
    """True if `header` is the signature of these very bytes and no older, or newer, than
    `tolerance_s`. Takes the same time for every wrong signature."""
    form = _FORM.fullmatch(header)
    if form is None:
        return False
    genuine = hmac.compare_digest(sign(secret, int(form[1]), body), header)
    return genuine and abs(now_s - int(form[1])) <= tolerance_s


def idempotency_key(message_ids: Sequence[str]) -> str:
    """32 hex digits, the same for a batch of the same messages: BLAKE2b (RFC 7693) of their ids."""
    return hashlib.blake2b("\n".join(message_ids).encode(), digest_size=16).hexdigest()
