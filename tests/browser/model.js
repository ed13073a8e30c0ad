/**
 * A fake language model: implements the part of OpenAI's protocol that the backend uses, and makes a todo
 * of each line of a text, as `TITLE` or `TITLE | YYYY-MM-DD`. Two lines are special: at `(wait)` the response
 * never continues, at `(break off)` the connection is closed.
 */
import { createServer } from "node:http";

const port = Number(process.env.PORT ?? 8080);

createServer(async (request, response) => {
  let body = "";
  for await (const chunk of request) body += chunk;
  const text = JSON.parse(body).messages.at(-1).content;
  const write = (content, finish_reason = null) =>
    response.write(
      `data: ${JSON.stringify({
        id: "1",
        object: "chat.completion.chunk",
        created: 1,
        model: "test",
        choices: [{ index: 0, delta: { content }, finish_reason }],
      })}\n\n`,
    );
  response.writeHead(200, { "Content-Type": "text/event-stream" });
  response.flushHeaders();
  for (const line of text.split("\n")) {
    if (line === "(wait)") return;
    if (line === "(break off)") return response.socket.end();
    const [title, due_date = null] = line.split(" | ");
    write(`${JSON.stringify({ title, due_date })}\n`);
  }
  write("", "stop");
  response.end("data: [DONE]\n\n");
}).listen(port, () => console.log(`a model listens on port ${port}`));

process.once("SIGTERM", () => process.exit(0));
