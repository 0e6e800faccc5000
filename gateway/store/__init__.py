"""What outlives the process: usage, keys and the audit log, in SQLite or PostgreSQL."""
