"""Batches: many requests in a file, each served as if it had come by itself, in the time that live traffic leaves."""
