"""What runs in the process of a case: `python -m pipeline.bench.child JOB`."""
