"""What Eyrie measures of itself. `python -m benchmarks` prints a table; each module runs alone."""
