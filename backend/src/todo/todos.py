"""The todos of the current user. Other users' todos do not exist for them."""

import base64
import binascii
import re
from datetime import UTC, date, datetime
from enum import StrEnum
from http import HTTPStatus
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StrictBool, StringConstraints
from sqlalchemy import ColumnElement, and_, select, tuple_

from todo.accounts import CurrentUser
from todo.database import Session
from todo.models import Todo, User
from todo.problem import Problem

router = APIRouter(prefix="/todos", tags=["todos"])

# PostgreSQL cannot store a zero character in a text.
Title = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=200, pattern=r"^[^\x00]*$"),
]


def only_a_day(value: Any) -> Any:  # noqa: ANN401  whatever JSON holds
    """Refuse values that would be parsed as a date but are something else: numbers, times."""
    if isinstance(value, str) and not re.fullmatch(r"\d{4}-\d{2}-\d{2}", value, re.ASCII):
        raise ValueError("expected a day as YYYY-MM-DD")
    if isinstance(value, int | float):
        raise ValueError("expected a day as YYYY-MM-DD")
    return value


Day = Annotated[date, BeforeValidator(only_a_day)]


class NewTodo(BaseModel):
    model_config = ConfigDict(extra="forbid")

    title: Title
    due_date: Day | None = None


class TodoChange(BaseModel):
    """Missing fields are unchanged. A due date of null removes it."""

    model_config = ConfigDict(extra="forbid")

    title: Title | None = None
    completed: StrictBool | None = None
    due_date: Day | None = None


class TodoView(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    id: UUID
    title: str
    completed: bool
    due_date: date | None
    created_at: datetime
    updated_at: datetime


class TodoPage(BaseModel):
    items: list[TodoView]
    next_cursor: str | None = Field(description="Asks for the next page; null on the last one.")


class Status(StrEnum):
    ALL = "all"
    OPEN = "open"
    DONE = "done"


class Due(StrEnum):
    OVERDUE = "overdue"
    TODAY = "today"
    NONE = "none"


class Filter(BaseModel):
    """A query of todos, newest first."""

    search: Annotated[str, StringConstraints(max_length=200, pattern=r"^[^\x00]*$")] = Field(
        "", description="A part of the title, in upper or lower case."
    )
    status: Status = Status.ALL
    due: Due | None = Field(None, description="Overdue are only todos that are still open.")
    today: Day | None = Field(
        None, description="The current date in the user's time zone. Default: the date in UTC."
    )
    limit: int = Field(100, ge=1, le=200)
    cursor: str | None = Field(None, max_length=200, description="The last page's next_cursor.")

    def conditions(self) -> list[ColumnElement[bool]]:
        today = self.today or datetime.now(UTC).date()
        conditions = []
        if self.search.strip():
            conditions.append(Todo.title.icontains(self.search.strip(), autoescape=True))
        if self.status is not Status.ALL:
            conditions.append(Todo.completed.is_(self.status is Status.DONE))
        match self.due:
            case Due.OVERDUE:
                conditions.append(and_(Todo.due_date < today, Todo.completed.is_(False)))
            case Due.TODAY:
                conditions.append(Todo.due_date == today)
            case Due.NONE:
                conditions.append(Todo.due_date.is_(None))
        if self.cursor is not None:
            # Begin after the last todo of the page, so that additions and deletions do not shift
            # pages.
            conditions.append(tuple_(Todo.created_at, Todo.id) < read_cursor(self.cursor))
        return conditions


def write_cursor(last: Todo) -> str:
    text = f"{last.created_at.isoformat()} {last.id}"
    return base64.urlsafe_b64encode(text.encode()).decode()


def read_cursor(cursor: str) -> tuple[datetime, UUID]:
    try:
        created_at, _, todo_id = base64.urlsafe_b64decode(cursor).decode().partition(" ")
        moment = datetime.fromisoformat(created_at)
        if moment.tzinfo is None:
            raise ValueError("a moment without its time zone")
        return moment, UUID(todo_id)
    except (ValueError, binascii.Error):
        raise Problem(
            HTTPStatus.UNPROCESSABLE_CONTENT, "todos.invalid_cursor", "the cursor is invalid"
        ) from None


async def find(session: Session, user: User, todo_id: UUID) -> Todo:
    todo = await session.scalar(select(Todo).where(Todo.id == todo_id, Todo.user_id == user.id))
    if todo is None:
        raise Problem(HTTPStatus.NOT_FOUND, "todos.not_found", "there is no such todo")
    return todo


@router.get("")
async def list_todos(
    user: CurrentUser, session: Session, wanted: Annotated[Filter, Query()]
) -> TodoPage:
    found = await session.scalars(
        select(Todo)
        .where(Todo.user_id == user.id, *wanted.conditions())
        .order_by(Todo.created_at.desc(), Todo.id.desc())
        # One more todo than is shown, to detect a next page.
        .limit(wanted.limit + 1)
    )
    todos = found.all()
    shown = todos[: wanted.limit]
    return TodoPage(
        items=[TodoView.model_validate(todo) for todo in shown],
        next_cursor=write_cursor(shown[-1]) if len(todos) > len(shown) else None,
    )


@router.post("", status_code=HTTPStatus.CREATED)
async def create_todo(new: NewTodo, user: CurrentUser, session: Session) -> TodoView:
    todo = Todo(user_id=user.id, title=new.title, due_date=new.due_date)
    session.add(todo)
    await session.commit()
    return TodoView.model_validate(todo)


@router.patch("/{todo_id}")
async def change_todo(
    todo_id: UUID, change: TodoChange, user: CurrentUser, session: Session
) -> TodoView:
    todo = await find(session, user, todo_id)
    if change.title is not None:
        todo.title = change.title
    if change.completed is not None:
        todo.completed = change.completed
    if "due_date" in change.model_fields_set:
        todo.due_date = change.due_date
    await session.commit()
    await session.refresh(todo)
    return TodoView.model_validate(todo)


@router.delete("/{todo_id}", status_code=HTTPStatus.NO_CONTENT)
async def delete_todo(todo_id: UUID, user: CurrentUser, session: Session) -> None:
    await session.delete(await find(session, user, todo_id))
    await session.commit()
