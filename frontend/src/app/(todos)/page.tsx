import type { Metadata } from "next";
import Link from "next/link";

import { logOut } from "@/actions";
import { CheckIcon } from "@/app/icons";
import { type Answer, canSuggest, listTodos, type TodoList, whoAmI } from "@/backend";
import { describeDay, formatToday, urgencyOf } from "@/due-date";
import { addressOf, countOf, EVERYTHING, type Filter, filterOf, isNarrowed, STEP } from "@/filter";
import { sentence } from "@/sentence";
import { currentToken, leaveIfExpired } from "@/session";
import { currentDay, timeZone } from "@/today";

import { AddTodo } from "./add-todo";
import { Filters } from "./filters";
import { ShowMore } from "./show-more";
import { SuggestTodos } from "./suggest-todos";
import { TimeZone } from "./time-zone";
import { TodoItem } from "./todo-item";

import "./todos.css";

export const metadata: Metadata = { title: "Your todos" };

export default async function TodosPage({ searchParams }: PageProps<"/">) {
  const parameters = await searchParams;
  const filter = filterOf(parameters);
  const count = countOf(parameters);
  const today = await currentDay();
  const { email, list, suggests } = await load(filter, today, count);

  return (
    <>
      <header className="masthead">
        <span className="brand">
          <CheckIcon /> Todo
        </span>
        {email && <span className="account">{email}</span>}
        <form action={logOut}>
          <button className="quiet">Log out</button>
        </form>
      </header>
      <main className="page">
        <div className="heading">
          <h1>Your todos</h1>
          <p className="today">{formatToday(today)}</p>
        </div>
        <AddTodo />
        {suggests && <SuggestTodos today={today} />}
        <section aria-label="List">
          {/* Without a todo a filter is useless. */}
          {(!list.ok || list.value.todos.length > 0 || isNarrowed(filter)) && (
            <Filters filter={filter} />
          )}
          {list.ok ? (
            <Todos list={list.value} filter={filter} count={count} today={today} />
          ) : (
            <div role="alert" className="error trouble">
              <p>{sentence(list.problem.detail)}</p>
              <a href={addressOf(filter, count)}>Try again</a>
            </div>
          )}
        </section>
      </main>
      <TimeZone known={await timeZone()} />
    </>
  );
}

/** Loads the content of the page; redirects to the log-in page if the session has ended. */
async function load(filter: Filter, today: string, count: number) {
  const token = await currentToken();
  if (!token.ok) {
    await leaveIfExpired(token.problem);
    return { email: undefined, list: token, suggests: false };
  }
  const [account, list, suggests] = await Promise.all([
    whoAmI(token.value),
    listTodos(token.value, filter, today, count),
    canSuggest(token.value),
  ]);
  const answers: Answer<unknown>[] = [account, list];
  for (const answer of answers) if (!answer.ok) await leaveIfExpired(answer.problem);
  return { email: account.ok ? account.value.email : undefined, list, suggests };
}

function Todos(props: { list: TodoList; filter: Filter; count: number; today: string }) {
  const { filter, count, today } = props;
  const { todos, more } = props.list;
  const open = todos.filter((todo) => !todo.completed).length;
  return (
    <>
      {/* Always present, so that a screen reader announces each change. */}
      <p role="status" className={todos.length > 0 ? "count" : "hidden"}>
        {describeCount(todos.length, open, more, isNarrowed(filter))}
      </p>
      {todos.length > 0 ? (
        <ul className="todos" aria-label="Todos">
          {todos.map((todo) => (
            <TodoItem
              key={todo.id}
              todo={todo}
              due={
                todo.due_date === null
                  ? undefined
                  : { label: describeDay(todo.due_date, today), urgency: urgencyOf(todo.due_date, today) }
              }
            />
          ))}
        </ul>
      ) : isNarrowed(filter) ? (
        <div className="empty">
          <p className="lead">Nothing matches</p>
          <p>
            None of your todos is like that. <Link href={addressOf(EVERYTHING)}>Show all</Link>
          </p>
        </div>
      ) : (
        <div className="empty">
          <p className="lead">Nothing to do yet</p>
          <p>Write down the first thing above.</p>
        </div>
      )}
      <ShowMore
        shown={todos.length}
        address={more ? addressOf(filter, count + STEP) : undefined}
      />
    </>
  );
}

function describeCount(shown: number, open: number, more: boolean, narrowed: boolean): string {
  if (shown === 0) return narrowed ? "No todo matches" : "No todos";
  if (more) return `The newest ${shown}`;
  if (narrowed) return shown === 1 ? "1 todo" : `${shown} todos`;
  return open === 0 ? "All done" : `${open} of ${shown} to do`;
}
