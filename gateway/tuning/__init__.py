"""Jobs that tune models, and the names of the models that came of them."""
