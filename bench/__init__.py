"""The project's own measurements: what the gateway costs, beside the least that any gateway in Python could cost."""
