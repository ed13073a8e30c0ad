"""The todos of the one who asks; those of others do not exist for them."""

from datetime import datetime
from http import HTTPStatus
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, StringConstraints
from sqlalchemy import select

from todo.accounts import CurrentUser
from todo.database import Session
from todo.models import Todo, User
from todo.problem import Problem

router = APIRouter(prefix="/todos", tags=["todos"])

# PostgreSQL cannot keep a zero character in a text.
Title = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=200, pattern=r"^[^\x00]*$"),
]


class NewTodo(BaseModel):
    title: Title


class TodoChange(BaseModel):
    """What is left out stays as it is."""

    title: Title | None = None
    completed: bool | None = None


class TodoView(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    id: UUID
    title: str
    completed: bool
    created_at: datetime
    updated_at: datetime


async def find(session: Session, user: User, todo_id: UUID) -> Todo:
    todo = await session.scalar(select(Todo).where(Todo.id == todo_id, Todo.user_id == user.id))
    if todo is None:
        raise Problem(HTTPStatus.NOT_FOUND, "no-such-todo", "there is no such todo")
    return todo


@router.get("")
async def list_todos(user: CurrentUser, session: Session) -> list[TodoView]:
    todos = await session.scalars(
        select(Todo).where(Todo.user_id == user.id).order_by(Todo.created_at.desc(), Todo.id)
    )
    return [TodoView.model_validate(todo) for todo in todos]


@router.post("", status_code=HTTPStatus.CREATED)
async def create_todo(new: NewTodo, user: CurrentUser, session: Session) -> TodoView:
    todo = Todo(user_id=user.id, title=new.title)
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
    await session.commit()
    await session.refresh(todo)
    return TodoView.model_validate(todo)


@router.delete("/{todo_id}", status_code=HTTPStatus.NO_CONTENT)
async def delete_todo(todo_id: UUID, user: CurrentUser, session: Session) -> None:
    await session.delete(await find(session, user, todo_id))
    await session.commit()
