"""What Eyrie weighs: packages and megabytes on disk, time to import, memory of a run."""
