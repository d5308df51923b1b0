// Makes the calls of the matrix with the official packages.

import { require } from "./package.mjs";
import { seenCompletion, seenMessage } from "./seen.mjs";

const { OpenAI } = require("openai");
const { Anthropic } = require("@anthropic-ai/sdk");

const KEY = "a caller's key";

/** What the client got, and the response's headers. */
export async function call(cell, url) {
  return cell.client === "openai" ? callOpenai(cell, url) : callAnthropic(cell, url);
}

async function callOpenai(cell, url) {
  const client = new OpenAI({ baseURL: `${url}/v1`, apiKey: KEY, maxRetries: 0, timeout: 30_000 });
  const request = { model: cell.name, ...cell.request };
  if (cell.mode === "plain") {
    const { data, response } = await client.chat.completions.create(request).withResponse();
    return { got: seenCompletion(data), headers: response.headers };
  }
  request.stream_options = { include_usage: true };
  if (cell.mode === "helper") {
    const stream = client.chat.completions.stream(request);
    return { got: seenCompletion(await finalCompletion(stream)), headers: null };
  }
  const { data, response } = await client.chat.completions.create({ ...request, stream: true }).withResponse();
  return { got: seenCompletion(await putTogether(data)), headers: response.headers };
}

/** The helper's completion; it throws for an answer that was cut off, but has put it together before. */
async function finalCompletion(stream) {
  let last;
  stream.on("chunk", (_, snapshot) => (last = structuredClone(snapshot)));
  try {
    return await stream.finalChatCompletion();
  } catch (error) {
    if (!["length", "content_filter"].includes(last?.choices[0]?.finish_reason)) throw error;
    return { ...last, object: "chat.completion" };
  }
}

async function putTogether(chunks) {
  const message = {};
  const calls = [];
  let whole;
  for await (const chunk of chunks) {
    whole = { ...whole, ...chunk, object: "chat.completion", choices: whole?.choices ?? chunk.choices };
    for (const given of chunk.choices) {
      const { delta, ...choice } = given;
      const { role, tool_calls: pieces, ...said } = delta;
      if (role) message.role = role;
      for (const [name, value] of Object.entries(said)) {
        if (value === null) continue;
        message[name] = joined(message[name], value);
      }
      for (const piece of pieces ?? []) {
        if (!calls[piece.index]) calls[piece.index] = { id: piece.id, type: piece.type, function: { ...piece.function } };
        else calls[piece.index].function.arguments += piece.function.arguments;
      }
      whole.choices = [{ ...whole.choices[0], ...choice, delta: undefined, message }];
    }
  }
  if (calls.length > 0) message.tool_calls = calls;
  return whole;
}

/** A field of a message and its next piece: text behind text, and of a list each entry by its index. */
function joined(before, piece) {
  if (before === undefined) return piece;
  if (typeof piece === "string") return before + piece;
  const entries = [...before];
  for (const entry of piece) {
    const known = entries.find((other) => other.index === entry.index);
    if (!known) entries.push(entry);
    else for (const name of ["thinking", "signature"]) if (entry[name]) known[name] = (known[name] ?? "") + entry[name];
  }
  return entries;
}

async function callAnthropic(cell, url) {
  const client = new Anthropic({ baseURL: url, apiKey: KEY, maxRetries: 0, timeout: 30_000 });
  const request = { model: cell.name, ...cell.request };
  if (cell.mode === "plain") {
    const { data, response } = await client.messages.create(request).withResponse();
    return { got: seenMessage(data), headers: response.headers };
  }
  if (cell.mode === "helper") {
    const stream = client.messages.stream(request);
    return { got: seenMessage(await stream.finalMessage()), headers: null };
  }
  const { data, response } = await client.messages.create({ ...request, stream: true }).withResponse();
  return { got: seenMessage(await replay(data)), headers: response.headers };
}

async function replay(events) {
  let message;
  const texts = [];
  for await (const event of events) {
    if (event.type === "message_start") message = structuredClone(event.message);
    if (event.type === "content_block_start") {
      message.content[event.index] = { ...event.content_block };
      texts[event.index] = "";
    }
    if (event.type === "content_block_delta") {
      const block = message.content[event.index];
      const { delta } = event;
      if (delta.type === "text_delta") block.text += delta.text;
      if (delta.type === "thinking_delta") block.thinking += delta.thinking;
      if (delta.type === "signature_delta") block.signature = delta.signature;
      if (delta.type === "input_json_delta") texts[event.index] += delta.partial_json;
    }
    if (event.type === "content_block_stop" && message.content[event.index].type === "tool_use") {
      message.content[event.index].input = JSON.parse(texts[event.index] || "{}");
    }
    if (event.type === "message_delta") {
      Object.assign(message, event.delta);
      message.usage = { ...message.usage, ...event.usage };
    }
  }
  return message;
}
