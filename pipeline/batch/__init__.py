"""Thousands of files, once each: a plan in a database, worker processes, exact resume.

    inputs ─► manifest ◄──────────── run: hands out, places, commits ─► report
                                      │ job            ▲ result
                                      ▼                │
                             crew: a process each: worker ─► analyse: a Pipeline for one file

What is written is a function of the file, its path below the root, and `Settings`; never of time,
chance, the number of workers, the size of batches, or the order of files.
"""
