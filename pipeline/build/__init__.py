"""From the configuration to the parts of a run: makes objects, starts nothing."""
