import { AddTodo } from "@/app/add-todo";
import { TodoItem } from "@/app/todo-item";
import { logOut } from "@/actions";
import { listTodos, whoAmI } from "@/backend";
import { leaveIfExpired, requireToken } from "@/session";

export default async function TodosPage() {
  const token = await requireToken();
  const [account, todos] = await Promise.all([whoAmI(token), listTodos(token)]);
  if (!account.ok) leaveIfExpired(account.problem);
  if (!todos.ok) leaveIfExpired(todos.problem);
  const open = todos.ok ? todos.value.filter((todo) => !todo.completed).length : 0;

  return (
    <>
      <header className="bar">
        <span className="brand">Todo</span>
        {account.ok && <span className="account">{account.value.email}</span>}
        <form action={logOut}>
          <button className="quiet">Log out</button>
        </form>
      </header>
      <main className="page">
        <h1>Your todos</h1>
        <AddTodo />
        {!todos.ok && (
          <p role="alert" className="error">
            {todos.problem.detail}
          </p>
        )}
        {todos.ok && todos.value.length === 0 && (
          <p className="empty">Nothing to do yet. Write down the first thing above.</p>
        )}
        {todos.ok && todos.value.length > 0 && (
          <>
            <p className="count">
              {open === 0 ? "All done" : `${open} of ${todos.value.length} to do`}
            </p>
            <ul className="todos" aria-label="Todos">
              {todos.value.map((todo) => (
                <TodoItem key={todo.id} todo={todo} />
              ))}
            </ul>
          </>
        )}
      </main>
    </>
  );
}
