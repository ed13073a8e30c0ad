"""Run by Alembic: the migrations, in the connection and transaction of todo.migrate."""

from alembic import context

from todo.models import Base

context.configure(connection=context.config.attributes["connection"], target_metadata=Base.metadata)
context.run_migrations()
