"""Work that is not a request: what is done now and then, and what goes on for hours. `base.py` is what jobs are written against; the
engine behind it, DBOS, is known to `engine.py` alone."""
