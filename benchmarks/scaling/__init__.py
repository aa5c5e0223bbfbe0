"""From what one frame costs on this machine to what many streams would need on a large one.

costs (measured) + assumptions (published) ─► model (discrete events) ─► JSON, plot
"""
