"""Every migration only adds objects that the previous build can ignore, or is marked as
contracting.

Judged by the Alembic operations of a revision, and not by its text. Only operations known to be
harmless are accepted; plain SQL is refused.
"""

from collections.abc import Callable
from io import StringIO
from pathlib import Path
from unittest.mock import patch

import pytest
import sqlalchemy as sa
from alembic import op
from alembic.operations import AbstractOperations, MigrateOperation, Operations, ops
from alembic.runtime.migration import MigrationContext
from alembic.script import Script, ScriptDirectory

from todo import schema

REVISIONS = list(ScriptDirectory.from_config(schema.alembic_config()).walk_revisions())


def operations_of(upgrade: Callable[[], None]) -> list[MigrateOperation]:
    """Return the operations of a script, without a database."""
    asked: list[MigrateOperation] = []
    invoke = AbstractOperations.invoke

    def record(self: AbstractOperations, operation: MigrateOperation) -> object:
        asked.append(operation)
        return invoke(self, operation)

    offline = {"as_sql": True, "output_buffer": StringIO()}
    context = MigrationContext.configure(dialect_name="postgresql", opts=offline)
    with patch.object(AbstractOperations, "invoke", record), Operations.context(context):
        upgrade()
    return asked


def is_expansion(operation: MigrateOperation, new_tables: set[str]) -> bool:
    match operation:
        case ops.CreateTableOp():
            return True
        case ops.AddColumnOp(table_name=table, column=column):
            filled = column.nullable or column.server_default is not None
            return filled or table in new_tables
        case ops.CreateIndexOp(table_name=table, unique=unique):
            return not unique or table in new_tables
        case ops.AlterColumnOp():
            return (
                operation.modify_name is None
                and operation.modify_type is None
                and operation.modify_nullable is not False
                # None removes the default; False keeps it.
                and operation.modify_server_default is not None
            )
        case ops.CreateTableCommentOp() | ops.DropTableCommentOp():
            return True
        case _:
            return False


def contractions(upgrade: Callable[[], None]) -> list[str]:
    """Return the operations that can break the previous build."""
    asked = operations_of(upgrade)
    new_tables = {
        operation.table_name for operation in asked if isinstance(operation, ops.CreateTableOp)
    }
    return [
        type(operation).__name__ for operation in asked if not is_expansion(operation, new_tables)
    ]


@pytest.mark.parametrize("script", REVISIONS, ids=lambda script: script.revision)
def test_revision_only_expands_or_is_marked_as_contracting(script: Script) -> None:
    found = contractions(script.module.upgrade)
    said = getattr(script.module, "contracts", None)
    if said is None:
        assert found == [], "only add, or set `contracts = 'THE BUILD that stopped to use it'`"
    else:
        assert isinstance(said, str) and said.strip(), "name the build that stopped to use it"
        assert found, "it is marked as contracting, but is not"


def test_no_revision_is_left_out() -> None:
    files = (schema.MIGRATIONS / "versions").glob("*.py")
    assert {Path(script.path) for script in REVISIONS} == set(files)


def batch() -> None:
    with op.batch_alter_table("todos") as todos:
        todos.drop_column("title")


@pytest.mark.parametrize(
    ("upgrade", "found"),
    [
        (lambda: op.drop_table("todos"), "DropTableOp"),
        (lambda: op.drop_column("todos", "title"), "DropColumnOp"),
        (batch, "DropColumnOp"),
        (lambda: op.drop_index("ix_logins_user_id"), "DropIndexOp"),
        (lambda: op.drop_constraint("uq_users_email", "users"), "DropConstraintOp"),
        (lambda: op.rename_table("todos", "tasks"), "RenameTableOp"),
        (lambda: op.alter_column("todos", "title", new_column_name="text"), "AlterColumnOp"),
        (lambda: op.alter_column("todos", "due_date", nullable=False), "AlterColumnOp"),
        (lambda: op.alter_column("todos", "title", type_=sa.String(10)), "AlterColumnOp"),
        (lambda: op.alter_column("todos", "created_at", server_default=None), "AlterColumnOp"),
        (lambda: op.add_column("todos", sa.Column("a", sa.Date(), nullable=False)), "AddColumnOp"),
        (
            # A default in Python is unknown to the previous build.
            lambda: op.add_column("todos", sa.Column("a", sa.Integer(), default=1, nullable=False)),
            "AddColumnOp",
        ),
        (lambda: op.create_index("a", "todos", ["title"], unique=True), "CreateIndexOp"),
        (lambda: op.create_unique_constraint("a", "todos", ["title"]), "CreateUniqueConstraintOp"),
        (lambda: op.create_check_constraint("a", "todos", "true"), "CreateCheckConstraintOp"),
        (lambda: op.execute("ALTER TABLE todos DROP COLUMN title"), "ExecuteSQLOp"),
    ],
)
def test_breaking_operations_are_found(upgrade: Callable[[], None], found: str) -> None:
    assert contractions(upgrade) == [found]


def expand() -> None:
    op.create_table("tags", sa.Column("id", sa.Uuid(), primary_key=True))
    op.add_column("tags", sa.Column("name", sa.String(), nullable=False))
    op.create_index("uq_tags_name", "tags", ["name"], unique=True)
    op.add_column("todos", sa.Column("note", sa.String()))
    op.add_column(
        "todos", sa.Column("rank", sa.Integer(), server_default=sa.text("0"), nullable=False)
    )
    op.create_index("ix_todos_rank", "todos", ["rank"])
    op.alter_column("todos", "title", nullable=True, comment="may be missing")


def test_additions_pass() -> None:
    assert len(operations_of(expand)) == 7
    assert contractions(expand) == []
