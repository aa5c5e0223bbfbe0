"""Optional packages of the Kafka sink that are missing are one-line errors that name the extra."""

import subprocess
import sys

import pytest

CODE = """
import sys
for name in {hidden!r}:
    sys.modules[name] = None  # as if it were not installed
from sinks.kafka import Access, Encoding, KafkaSink, Tuning
from pipeline.core.errors import Rejected
try:
    sink = KafkaSink(["127.0.0.1:1"], "t", "out", 0.1, {options})
    sink.open()
except Rejected as error:
    print(error)
"""


@pytest.mark.parametrize(
    ("hidden", "options", "told"),
    [
        (["confluent_kafka"], "client='confluent'", "confluent-kafka: pip install 'eyrie[conf"),
        (["lz4", "lz4.frame"], "tuning=Tuning('lz4')", "package lz4: pip install 'eyrie[kafka-c"),
        (["zstandard"], "tuning=Tuning('zstd')", "zstandard: pip install 'eyrie[kafka-codecs]'"),
        (["fastavro"], "encoding=Encoding.avro('out')", "fastavro: pip install 'eyrie[avro]'"),
    ],
)
def test_a_missing_package(hidden: list[str], options: str, told: str) -> None:
    code = CODE.format(hidden=hidden, options=options)
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=100
    )
    assert told in done.stdout, done.stderr
    assert done.stdout.count("\n") == 1
