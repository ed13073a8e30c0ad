export default function Loading() {
  return (
    <main className="page">
      <p role="status" className="empty">
        Loading
      </p>
    </main>
  );
}
