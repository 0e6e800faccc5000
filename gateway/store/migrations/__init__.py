"""The revisions of the schema, run inside the program by Alembic. There is no alembic.ini."""
