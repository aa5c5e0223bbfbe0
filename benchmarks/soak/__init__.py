"""Six cameras that fail at random for as long as you like, and what that does to the process that
watches them: `python -m benchmarks.soak`."""
