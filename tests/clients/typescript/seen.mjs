// What a client got, in the table's form: everything that is not null, without what differs from call to call. The same as
// matrix/clients.py does for Python.

const TOTALS = ["prompt_tokens", "completion_tokens", "total_tokens", "input_tokens", "output_tokens"];

/** A copy without what is null. */
function there(value) {
  if (Array.isArray(value)) return value.map(there);
  if (value === null || typeof value !== "object") return value;
  const fields = Object.entries(value).filter(([, inner]) => inner !== null && inner !== undefined);
  return Object.fromEntries(fields.map(([name, inner]) => [name, there(inner)]));
}

function seenUsage(usage) {
  const seen = {};
  for (const [name, value] of Object.entries(there(usage))) {
    if (typeof value === "object") {
      const counts = Object.entries(value).filter(([, count]) => count);
      if (counts.length > 0) seen[name] = Object.fromEntries(counts);
    } else if (value || TOTALS.includes(name)) seen[name] = value;
  }
  return seen;
}

export function seenCompletion(completion) {
  const whole = there(completion);
  if (whole.choices.length !== 1) throw new Error(`${whole.choices.length} choices`);
  const { index, message, ...choice } = whole.choices[0];
  if (index !== 0 || !whole.id || !whole.model || whole.object !== "chat.completion") throw new Error("a field is missing");
  const fields = Object.entries({ ...choice, ...message });
  const seen = Object.fromEntries(fields.filter(([, value]) => value !== "" && value.length !== 0));
  // The package's helper adds what it parsed.
  delete seen.parsed;
  for (const call of seen.tool_calls ?? []) {
    delete call.index;
    delete call.function.parsed_arguments;
    call.function.arguments = JSON.parse(call.function.arguments || "{}");
  }
  for (const block of seen.thinking_blocks ?? []) delete block.index;
  return { ...seen, usage: seenUsage(whole.usage) };
}

export function seenMessage(message) {
  const { id, model, type, ...seen } = there(message);
  if (!id || !model || type !== "message") throw new Error("a field is missing");
  for (const block of seen.content) delete block.parsed_output;
  return { ...seen, usage: seenUsage(seen.usage) };
}

/** A request as it was received, with the arguments of tool calls as what they denote. */
export function canonical(body) {
  const copy = structuredClone(body);
  for (const message of copy.messages ?? []) {
    for (const call of message.tool_calls ?? []) call.function.arguments = JSON.parse(call.function.arguments);
  }
  return copy;
}
