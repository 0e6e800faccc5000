"""What Alembic runs: on the connection, and in the transaction, that run.py hands over."""

from alembic import context

context.configure(connection=context.config.attributes["connection"], target_metadata=context.config.attributes["metadata"])
context.run_migrations()
