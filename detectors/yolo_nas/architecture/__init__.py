"""The networks as torch modules: blocks, variants, fusing, and a summary of any of them."""
