#!/usr/bin/env python3
"""Write src/text/unicode_table.c from what the `tokenizers` package does.

    scripts/make_unicode_table.py > src/text/unicode_table.c

BERT ids depend on character properties of three Unicode versions that are
frozen inside that package (categories: 8, canonical decomposition: 9, lower
case: that of the Rust compiler).  So the package is asked about each of the
1,112,064 characters, and the answers are what the tokenizer uses, whatever
version of utf8proc a system has.
"""
import sys

import tokenizers
from tokenizers import normalizers, pre_tokenizers

SCALARS = [c for c in range(0x110000) if not 0xD800 <= c < 0xE000]


def bert(**on):
    options = dict(clean_text=False, handle_chinese_chars=False,
                   strip_accents=False, lowercase=False)
    return normalizers.BertNormalizer(**{**options, **on}).normalize_str


clean, strip = bert(clean_text=True), bert(strip_accents=True)
lower, nfd = bert(lowercase=True), normalizers.NFD().normalize_str
words = pre_tokenizers.BertPreTokenizer().pre_tokenize_str


def reorders(s):
    """Whether canonical ordering moves s: class 1 goes before everything
    above it and class 240 behind everything below it."""
    after, before = "a\u0345" + s, "a" + s + "\u0334"
    return nfd(after) != after or nfd(before) != before


def classify(c):
    s = chr(c)
    cleaned = clean(s)
    if cleaned == "":
        return "DROP"
    if cleaned == " ":
        return "SPACE"
    if len(words("a" + s + "b")) == 3:
        return "PUNCT"
    if nfd(s) != s:
        return None  # its parts are classified, not the character
    if strip(s) == "":
        return "MARK" if reorders(s) else "BARRIER"
    return "SORTED" if reorders(s) else None


def ranges(values):
    """[first, last, value] of neighbours with one value; None is left out."""
    out = []
    for c, value in values:
        if value is None:
            continue
        if out and out[-1][1] == c - 1 and out[-1][2] == value:
            out[-1][1] = c
        else:
            out.append([c, c, value])
    return out


def lower_ranges(pairs):
    """[first, last, step, distance] with step 2 where cases alternate."""
    out = []
    for c, low in pairs:
        last = out[-1] if out else None
        if last and last[3] == low - c and (
                c - last[1] == last[2] or (last[0] == last[1] and c - last[1] <= 2)):
            last[2] = c - last[1]
            last[1] = c
        else:
            out.append([c, c, 1, low - c])
    return out


def check_assumptions(classes, decomposed):
    """What normalize.c relies on; no character may break it."""
    for c, parts in decomposed.items():
        kinds = [classes[ord(p)] for p in parts]
        assert len(parts) <= 4
        assert "PUNCT" not in kinds[1:], hex(c)
        if kinds[0] == "PUNCT":
            assert all(k in ("MARK", "BARRIER") for k in kinds[1:]), hex(c)
        else:
            assert classes[c] is None, hex(c)
    assert all(lower(chr(c)) == chr(c) for c in SCALARS if c >= 0x20000)
    multiple = [c for c in SCALARS if len(lower(chr(c))) != 1]
    assert multiple == [0x130], multiple


def main():
    classes = {c: classify(c) for c in SCALARS}
    decomposed = {c: nfd(chr(c)) for c in SCALARS
                  if nfd(chr(c)) != chr(c) and classes[c] != "SPACE"}
    check_assumptions(classes, decomposed)
    lowered = [(c, ord(lower(chr(c)))) for c in SCALARS
               if c != 0x130 and lower(chr(c)) != chr(c)]

    out = sys.stdout.write
    out("/* unicode_table.c: made by scripts/make_unicode_table.py; do not edit.\n"
        f" * Source: tokenizers {tokenizers.__version__}. */\n"
        '#include "text/unicode_table.h"\n\n/* clang-format off */\n')

    def table(kind, name, rows, per_line):
        out(f"const {kind} {name}[] = {{\n")
        for i in range(0, len(rows), per_line):
            out("    " + " ".join(rows[i:i + per_line]) + "\n")
        out(f"}};\nconst size_t {name}_count =\n"
            f"    sizeof({name}) / sizeof({name}[0]);\n\n")

    table("ga_char_range", "ga__char_classes",
          [f"{{0x{a:04X}, 0x{b:04X}, GA_CHAR_{k}}}," for a, b, k in ranges(classes.items())], 2)
    table("ga_char_range", "ga__char_decomposed",
          [f"{{0x{a:04X}, 0x{b:04X}, 0}}," for a, b, _ in
           ranges((c, True if c in decomposed else None) for c in SCALARS)], 3)
    table("ga_case_range", "ga__char_lower",
          [f"{{0x{a:04X}, 0x{b:04X}, {s}, {d}}}," for a, b, s, d in lower_ranges(lowered)], 2)


if __name__ == "__main__":
    main()
