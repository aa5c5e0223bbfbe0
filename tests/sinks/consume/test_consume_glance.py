"""What a repetition of a run may change in a message, and what it may not."""

from datetime import timedelta

from pipeline.core.messages import encode
from sinks.consume.glance import fingerprint
from tests.sinks.consume.told import frame


def test_times_of_the_run_and_its_instance_are_no_content() -> None:
    once = frame(3)
    later = timedelta(hours=1)
    again = once.model_copy(
        update={
            "published_at": once.published_at + later,
            "arrived_at": once.arrived_at + later,
            "producer": once.producer.model_copy(update={"instance": "other:1"}),
        }
    )
    assert encode(again) != encode(once)
    assert fingerprint(encode(again)) == fingerprint(encode(once))


def test_anything_else_is_content() -> None:
    once = frame(3)
    for change in ({"captured_at": once.captured_at + timedelta(hours=1)}, {"width": 1}):
        changed = once.model_copy(update=change)
        assert fingerprint(encode(changed)) != fingerprint(encode(once))
