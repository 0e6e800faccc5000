"""A long run with faults: nothing is lost, nothing is made up, nothing grows."""
