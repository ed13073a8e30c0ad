"""What Alembic runs: the migrations, on the connection and in the transaction of todo.migrate."""

from alembic import context

from todo.models import Base

context.configure(connection=context.config.attributes["connection"], target_metadata=Base.metadata)
context.run_migrations()
