"""The API of the Todo app: accounts and their todos, in PostgreSQL."""
