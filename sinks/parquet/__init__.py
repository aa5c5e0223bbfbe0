"""Parquet files for analysts. Needs pyarrow: pip install 'eyrie[parquet]'."""

from sinks.parquet.sink import UNFINISHED, ParquetSink, PartLimits

__all__ = ["UNFINISHED", "ParquetSink", "PartLimits"]
