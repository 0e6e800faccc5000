"""What replicas share: counters that are checked and taken in one atomic step, in memory or in Valkey."""
