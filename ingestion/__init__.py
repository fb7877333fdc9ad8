"""Catchment's loaders: one module per source system, and the few that they share."""

import gc

# The default of 700 objects walks through what was imported again and again: 6 % of a short run.
gc.set_threshold(100_000, 20, 100)
