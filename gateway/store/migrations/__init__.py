"""The revisions of the schema: Alembic's, run by gateway/store/migrate.py inside the program. There is no alembic.ini."""
