"""Measuring: the pipeline, its parts and other people's loops, in one interleaved run.

    plan ─► cases ─► a process for each ─► rounds ─► statistics ─► JSON, tables, plots

Every case is a process of its own that does nothing but its work: start-up, CPU time and memory
are read from outside, by the same clocks for all. `eyrie bench` is the command.
"""
