import "./todos.css";

/** The page's shape, until what is in it is there. */
export default function Loading() {
  return (
    <main className="page" aria-busy="true">
      <p role="status" className="hidden">
        Loading
      </p>
      <div className="placeholder wide" />
      <div className="placeholder tall" />
      <div className="placeholder" />
      <div className="placeholder" />
      <div className="placeholder" />
    </main>
  );
}
