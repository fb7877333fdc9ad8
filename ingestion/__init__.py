"""Catchment's loaders: one module per source system, and the few that they share."""
