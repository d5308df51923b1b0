/**
 * A thin client of Tradewind's state API. It needs nothing but `fetch`.
 *
 * Every write says what it replaces: `null` for a key that is not there, a revision for one that was read. Whoever comes second
 * gets a `Lost`, and nothing is overwritten.
 */

/** A revision of a key, without its content. */
export interface Revision {
  namespace: string;
  key: string;
  rev: number;
  parent: number | null;
  kind: "value" | "deleted" | "expired";
  "content-type": string;
  /** `name@version`. */
  schema: string | null;
  /** SHA-256 of the content. */
  hash: string;
  chain: string;
  size: number;
  "created-at": string;
  "expires-at": string | null;
  sliding: string | null;
  epoch: number;
  by: string | null;
  handoff: string | null;
  pinned?: boolean;
}

/** A key in a list whose newest revision is damaged. */
export interface Damaged {
  namespace: string;
  key: string;
  error: { code: string; message: string };
}

/** A value that was read. */
export interface Value {
  rev: number;
  epoch: number;
  contentType: string;
  schema: string | null;
  expiresAt: string | null;
  content: Uint8Array;
  text(): string;
  json<T = unknown>(): T;
}

/** What a write says besides its content. */
export interface Terms {
  /** `90s`, `15m; sliding` or `none`. */
  ttl?: string;
  /** `name@version`; with `put` only. */
  schema?: string;
  /** The epoch that the writer holds the key in. */
  epoch?: number;
  contentType?: string;
}

/** One change of a watch; `cursor` is where a later watch goes on. */
export interface Change {
  cursor: string;
  revision: Revision;
}

/** A token for the next holder. */
export interface Token {
  token: string;
  namespace: string;
  key: string;
  rev: number;
  epoch: number;
  "expires-at": string;
}

/** The API refused; `code` is Tradewind's, such as `TW7003`. */
export class StateError extends Error {
  readonly status: number;
  readonly code: string;
  constructor(status: number, code: string, message: string) {
    super(`${code || status}: ${message}`);
    this.name = new.target.name;
    this.status = status;
    this.code = code;
  }
}

/** Another write came first. `rev` is the revision that is there now, `null` when there is no value. */
export class Lost extends StateError {
  readonly rev: number | null;
  constructor(code: string, message: string, rev: number | null) {
    super(412, code, message);
    this.rev = rev;
  }
}

/** The key was handed over: this writer does not hold it any more. */
export class Fenced extends StateError {}

/** A write was sent and no answer came: it may have happened. Whoever needs to know reads. */
export class UnknownOutcome extends StateError {}

const UNKNOWN = "TW7011";
const FENCED = "TW7005";
/** What ends a watch for a while only: the store cannot be used, or is busy. */
const RETRIED = ["TW7012", "TW7020"];
/** How long a watch waits before it connects again, in milliseconds; doubled up to the second number. */
const AGAIN = [250, 10_000] as const;

/** The state of one namespace. */
export class State {
  readonly #base: string;
  readonly #root: string;
  readonly #headers: Record<string, string>;

  /**
   * @param url of the gateway, such as `http://127.0.0.1:7080`
   * @param namespace of the state; it is made by the first write
   * @param key of the caller, where the gateway wants one
   */
  constructor(url: string, namespace: string, key?: string) {
    this.#root = `${url.replace(/\/+$/, "")}/api/v1`;
    this.#base = `${this.#root}/state/${encodeURIComponent(namespace)}`;
    this.#headers = key ? { authorization: `Bearer ${key}` } : {};
  }

  /**
   * The newest revision, or the one of this number; `null` when there is none.
   *
   * @param knows the newest schema that the reader knows, `name@version`: a value of another one, or of a newer version, is
   *   refused
   */
  async get(key: string, rev?: number, knows?: string): Promise<Value | null> {
    const answer = await this.#send("GET", this.#at(key, rev === undefined ? "" : `?rev=${rev}`), this.#knowing(knows));
    if (answer.status === 404 || answer.status === 410) {
      await answer.arrayBuffer();
      return null;
    }
    await checked(answer);
    return value(answer, new Uint8Array(await answer.arrayBuffer()));
  }

  /** Writes bytes or text in place of revision `replaces`, or of nothing. */
  async put(key: string, replaces: number | null, content: BodyInit, terms: Terms = {}): Promise<Revision> {
    return this.#write("PUT", this.#at(key), replaces, content, terms);
  }

  /** Writes a value as JSON. */
  async putJson(key: string, replaces: number | null, json: unknown, terms: Terms = {}): Promise<Revision> {
    return this.put(key, replaces, JSON.stringify(json), { contentType: "application/json", ...terms });
  }

  /** Appends to a text, or the elements of an array to an array: only what is new is sent. */
  async append(key: string, replaces: number | null, more: BodyInit, terms: Terms = {}): Promise<Revision> {
    return this.#write("PATCH", this.#at(key), replaces, more, terms, { "tradewind-append": "true" });
  }

  /** Changes JSON by a JSON Patch (RFC 6902). */
  async patch(key: string, replaces: number, operations: unknown[], terms: Terms = {}): Promise<Revision> {
    const contentType = "application/json-patch+json";
    return this.#write("PATCH", this.#at(key), replaces, JSON.stringify(operations), { ...terms, contentType });
  }

  /** Deletes the value that has this revision. */
  async delete(key: string, replaces: number, terms: Pick<Terms, "epoch"> = {}): Promise<Revision> {
    return this.#write("DELETE", this.#at(key), replaces, undefined, terms);
  }

  /** The revisions that are kept, the newest first. */
  async *history(key: string): AsyncGenerator<Revision> {
    yield* this.#pages<Revision>(this.#at(key, "/history"), "before");
  }

  /** The keys that begin with `prefix`, in order; one that is damaged has an `error` and no `rev`. */
  async *list(prefix = ""): AsyncGenerator<Revision | Damaged> {
    yield* this.#pages<Revision | Damaged>(`${this.#base}?prefix=${encodeURIComponent(prefix)}`, "after");
  }

  /** A token with which another holder takes the key over; good for `ttl`, at most `60s`. */
  async handoff(key: string, rev: number, options: { ttl?: string; epoch?: number } = {}): Promise<Token> {
    const body = JSON.stringify(options.ttl ? { ttl: options.ttl } : {});
    const terms: Terms = { contentType: "application/json", ...(options.epoch === undefined ? {} : { epoch: options.epoch }) };
    return this.#write("POST", this.#at(key, "/handoff"), rev, body, terms);
  }

  /**
   * Takes a key over. The old holder's next write is refused with `Fenced`.
   *
   * @param knows as with `get`; where it is refused, the token stays good
   */
  async redeem(token: string, knows?: string): Promise<Revision> {
    const headers = { ...this.#knowing(knows), "content-type": "application/json" };
    const answer = await this.#send("POST", `${this.#root}/handoff/redeem`, headers, JSON.stringify({ token }));
    return (await checked(answer)).json() as Promise<Revision>;
  }

  /**
   * Every change to keys that begin with `prefix`, each once and in order: from now on, or after `from`. A connection that
   * breaks is made again, and nothing is lost or told twice. It ends when `signal` says so.
   *
   * @throws StateError when the changes after `from` are not kept any more, or the caller may not see them.
   */
  async *watch(options: { prefix?: string; from?: string; signal?: AbortSignal } = {}): AsyncGenerator<Change> {
    const { prefix = "", signal } = options;
    let { from } = options;
    let wait: number = AGAIN[0];
    while (!signal?.aborted) {
      const query = new URLSearchParams({ prefix, ...(from === undefined ? {} : { from }) });
      try {
        const answer = await fetch(`${this.#base}/watch?${query}`, { headers: this.#headers, ...(signal ? { signal } : {}) });
        await checked(answer);
        wait = AGAIN[0];
        for await (const event of events(answer)) {
          if (event.id !== undefined) from = event.id;
          // A place on its own: others' changes were passed over up to there.
          if (event.data === undefined) continue;
          const { data } = event;
          if (event.name === "error") throw refusal(RETRIED.some((code) => data.includes(code)) ? 503 : 200, data);
          if (event.name === "message") yield { cursor: event.id ?? "", revision: JSON.parse(data) as Revision };
        }
      } catch (error) {
        if (signal?.aborted) return;
        // What the gateway refuses is told; what broke, or cannot be used at the moment, is tried again.
        if (error instanceof StateError && error.status < 500) throw error;
      }
      await pause(wait, signal);
      wait = Math.min(wait * 2, AGAIN[1]);
    }
  }

  #knowing(knows: string | undefined): Record<string, string> {
    return { ...this.#headers, ...(knows === undefined ? {} : { "tradewind-schema": knows }) };
  }

  #at(key: string, more = ""): string {
    // A key of this name would be the place of watches, were a letter of it not escaped.
    const name = key === "watch" ? "%77atch" : encodeURIComponent(key);
    return `${this.#base}/${name}${more}`;
  }

  async #send(method: string, url: string, headers = this.#headers, body?: BodyInit): Promise<Response> {
    try {
      return await fetch(url, { method, headers, ...(body === undefined ? {} : { body }) });
    } catch (error) {
      if (method === "GET") throw error;
      throw new UnknownOutcome(0, "", `no answer to a write: ${String(error)}`);
    }
  }

  async #write<T>(
    method: string, url: string, replaces: number | null, body: BodyInit | undefined, terms: Terms,
    more: Record<string, string> = {},
  ): Promise<T> {
    const headers: Record<string, string> = { ...this.#headers, ...more };
    if (replaces === null) headers["if-none-match"] = "*";
    else headers["if-match"] = `"${replaces}"`;
    if (terms.ttl !== undefined) headers["tradewind-ttl"] = terms.ttl;
    if (terms.schema !== undefined) headers["tradewind-schema"] = terms.schema;
    if (terms.epoch !== undefined) headers["tradewind-epoch"] = String(terms.epoch);
    if (terms.contentType !== undefined) headers["content-type"] = terms.contentType;
    return (await checked(await this.#send(method, url, headers, body))).json() as Promise<T>;
  }

  async *#pages<T>(url: string, cursor: string): AsyncGenerator<T> {
    const at = new URL(url);
    for (;;) {
      const answer = await this.#send("GET", at.toString());
      if (answer.status === 404) {
        await answer.arrayBuffer();
        return;
      }
      const page = (await (await checked(answer)).json()) as { items: T[]; next?: string | number };
      yield* page.items;
      if (page.next === undefined) return;
      at.searchParams.set(cursor, String(page.next));
    }
  }
}

function value(answer: Response, content: Uint8Array): Value {
  const header = (name: string) => answer.headers.get(name);
  const text = () => new TextDecoder().decode(content);
  return {
    rev: Number(header("etag")?.replaceAll('"', "")),
    epoch: Number(header("tradewind-epoch") ?? 0),
    contentType: header("content-type") ?? "application/octet-stream",
    schema: header("tradewind-schema"),
    expiresAt: header("tradewind-expires-at"),
    content,
    text,
    json: <T>() => JSON.parse(text()) as T,
  };
}

async function checked(answer: Response): Promise<Response> {
  if (answer.ok) return answer;
  const tag = answer.headers.get("etag");
  throw refusal(answer.status, await answer.text(), tag === null ? null : Number(tag.replaceAll('"', "")));
}

function refusal(status: number, body: string, rev: number | null = null): StateError {
  let code = "";
  let message = body.slice(0, 200);
  try {
    const { error } = JSON.parse(body) as { error: { code: string; message: string } };
    ({ code, message } = error);
  } catch {
    // Not ours: told as it came.
  }
  if (status === 412) return new Lost(code, message, rev);
  if (code === FENCED) return new Fenced(status, code, message);
  if (code === UNKNOWN) return new UnknownOutcome(status, code, message);
  return new StateError(status, code, message);
}

/** Server-sent events, as much of them as the API uses. */
async function* events(answer: Response): AsyncGenerator<{ name: string; id?: string; data?: string }> {
  const decoder = new TextDecoder();
  let rest = "";
  for await (const piece of answer.body as ReadableStream<Uint8Array>) {
    rest += decoder.decode(piece, { stream: true });
    for (let end = rest.indexOf("\n\n"); end >= 0; end = rest.indexOf("\n\n")) {
      const lines = rest.slice(0, end).split("\n");
      rest = rest.slice(end + 2);
      const field = (name: string) => lines.find((line) => line.startsWith(`${name}: `))?.slice(name.length + 2);
      const data = field("data");
      const id = field("id");
      if (data === undefined && id === undefined) continue;
      const name = field("event") ?? "message";
      yield { name, ...(id === undefined ? {} : { id }), ...(data === undefined ? {} : { data }) };
    }
  }
}

function pause(milliseconds: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, milliseconds);
    signal?.addEventListener("abort", () => (clearTimeout(timer), resolve()), { once: true });
  });
}
