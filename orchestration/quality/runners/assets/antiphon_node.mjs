// A reporter for `node --test` that writes what each test does, one JSON line each, as it happens.
// It is copied beside the report before each run and imports nothing of ours.

const LONGEST = 20000;

function shorten(text) {
  if (text.length <= LONGEST) return text;
  return `${text.slice(0, LONGEST / 2)}\n[...]\n${text.slice(-LONGEST / 2)}`;
}

function describe(error) {
  if (!error) return "";
  const cause = error.cause ?? error;
  const text = typeof cause === "string" ? cause : (cause.stack ?? cause.message ?? String(cause));
  const message = cause.message && !text.includes(cause.message) ? `${cause.message}\n` : "";
  return shorten(message + text);
}

export default async function* report(source) {
  const names = [];
  for await (const { type, data } of source) {
    if (type === "test:start") {
      names[data.nesting] = data.name;
      names.length = data.nesting + 1;
      yield `${JSON.stringify({ event: "start", names })}\n`;
    } else if (type === "test:pass" || type === "test:fail") {
      const skipped = data.skip !== undefined || data.todo !== undefined;
      yield `${JSON.stringify({
        event: "result",
        names: [...names.slice(0, data.nesting), data.name],
        suite: data.details?.type === "suite",
        file: data.file ?? "",
        outcome: skipped ? "skipped" : type === "test:pass" ? "passed" : "failed",
        reason: data.details?.error?.failureType ?? "",
        text: type === "test:fail" ? describe(data.details?.error) : "",
        seconds: (data.details?.duration_ms ?? 0) / 1000,
      })}\n`;
    } else if (type === "test:stderr" || type === "test:stdout") {
      yield `${JSON.stringify({ event: "said", text: shorten(data.message ?? "") })}\n`;
    }
  }
  yield `${JSON.stringify({ event: "end" })}\n`;
}
