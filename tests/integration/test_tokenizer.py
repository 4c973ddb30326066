"""Token ids are those of the `tokenizers` package, for every string.

The package is the oracle; our side is build/test/tests/tokenize_tool.  Two
vocabularies are used: the base encoder's, in which most of Unicode is [UNK],
and one that has a token for every character, in which the ids spell out what
became of each.
"""
import json
import os
import pathlib
import random
import subprocess
import sys

import pytest

tokenizers = pytest.importorskip("tokenizers", reason="the tokenizers package is the oracle")
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers  # noqa: E402

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("GUIDEALIGN_BUILD", ROOT / "build" / "test"))
SPECIALS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
SCALARS = [c for c in range(0x110000) if not 0xD800 <= c < 0xE000]

# (options of the tool, do_lower_case, strip_accents, tokenize_chinese_chars)
VARIANTS = {
    "uncased": ([], True, None, True),
    "cased": (["--cased"], False, None, True),
    "uncased-keep-accents": (["--accents", "keep"], True, False, True),
    "cased-strip-accents": (["--cased", "--accents", "strip"], False, True, True),
    "no-cjk": (["--no-cjk"], True, None, False),
}


@pytest.fixture(scope="module", autouse=True)
def tool():
    path = BUILD / "tests" / "tokenize_tool"
    if not path.exists():
        pytest.skip(f"no {path}: build the test preset or set GUIDEALIGN_BUILD")


def base_encoder():
    folder = os.environ.get("GUIDEALIGN_BASE_ENCODER")
    paths = ROOT / "build" / "paths.json"
    if not folder and paths.exists():
        folder = json.loads(paths.read_text()).get("base_encoder")
    if not folder or not (pathlib.Path(folder) / "tokenizer.json").exists():
        pytest.skip("no base encoder: set GUIDEALIGN_BASE_ENCODER or run make setup")
    return pathlib.Path(folder)


def ours(vocab, texts, *options):
    tool = BUILD / "tests" / "tokenize_tool"
    lines = "".join(json.dumps(t) + "\n" for t in texts)
    run = subprocess.run([tool, *options, vocab], input=lines, text=True,
                         stdout=subprocess.PIPE, check=True)
    return [json.loads(line) for line in run.stdout.splitlines()]


def theirs(tokenizer, texts):
    """The special tokens around a text are put there by the caller: their ids
    are the tokenizer's, their place is not in question."""
    cls, sep = (tokenizer.token_to_id(t) for t in ("[CLS]", "[SEP]"))
    return [[cls, *tokenizer.encode(t, add_special_tokens=False).ids, sep] for t in texts]


def compare(vocab, tokenizer, texts, *options):
    texts = list(texts)
    assert texts
    wrong = []
    got = ours(vocab, texts, *options)
    assert len(got) == len(texts)
    for text, a, b in zip(texts, got, theirs(tokenizer, texts)):
        if a != b:
            wrong.append(f"{ascii(text)}\n  ours   {a}\n  theirs {b}")
    assert not wrong, f"{len(wrong)} of {len(texts)} differ:\n" + "\n".join(wrong[:10])


def base_tokenizer(folder, **bert):
    """The folder's tokenizer.json as it is but for what `bert` changes."""
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.no_truncation()
    if bert:
        tokenizer.normalizer = normalizers.BertNormalizer(clean_text=True, **bert)
    return tokenizer


def variant_options(name):
    options, lowercase, accents, cjk = VARIANTS[name]
    return options, dict(lowercase=lowercase, strip_accents=accents, handle_chinese_chars=cjk)


@pytest.fixture(scope="module")
def spelling(tmp_path_factory):
    """(vocab.txt, tokens): a token for every character that can begin or
    continue a word.  Ideographs only begin one, private use is dropped, and
    the planes 4 to 14 have nothing but tags and selectors."""
    continues = [c for c in SCALARS if c < 0x20000 and not 0x3400 <= c < 0xA000
                 and not 0xAC00 <= c < 0xD7A4 and not 0xE000 <= c < 0xF900]
    begins = continues + list(range(0x3400, 0xA000)) + list(range(0xAC00, 0xD7A4)) \
        + list(range(0x20000, 0x33480)) + list(range(0xE0000, 0xE0200))
    space = {0x0A, 0x0D}  # they would end the line
    tokens = SPECIALS + [chr(c) for c in begins if c not in space] \
        + ["##" + chr(c) for c in continues if c not in space]
    path = tmp_path_factory.mktemp("vocab") / "vocab.txt"
    path.write_bytes("".join(t + "\n" for t in tokens).encode())
    return path, tokens


def spelling_tokenizer(tokens, **bert):
    vocab = {t: i for i, t in enumerate(tokens)}
    tokenizer = Tokenizer(models.WordPiece(vocab, unk_token="[UNK]", max_input_chars_per_word=100))
    tokenizer.normalizer = normalizers.BertNormalizer(clean_text=True, **bert)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.add_special_tokens(SPECIALS)
    return tokenizer


def every_character(cut=16):
    """Every scalar value inside a word and alone, `cut` to a text: spaces keep
    them apart, so a text is as good as that many."""
    for i in range(0, len(SCALARS), cut):
        yield " ".join(f"a{chr(c)}b {chr(c)}" for c in SCALARS[i:i + cut])


POOLS = [
    [chr(c) for c in range(0x20, 0x7F)],
    list("abcdefghijklmnopqrstuvwxyz") * 2 + [" "] * 8,
    [chr(c) for c in range(0xA0, 0x250)],                      # Latin
    [chr(c) for c in range(0x300, 0x370)] + ["a", "o", " "],   # accents
    [chr(c) for c in range(0x370, 0x530)],                     # Greek, Cyrillic, Armenian
    [chr(c) for c in range(0x590, 0x700)],                     # Hebrew, Arabic
    [chr(c) for c in range(0x8D0, 0xE00)],                     # Indic
    [chr(c) for c in range(0xE00, 0x10D0)],                    # Thai, Lao, Tibetan, Myanmar
    [chr(c) for c in range(0x1700, 0x1C80)],
    [chr(c) for c in range(0x1E00, 0x2000)],
    [chr(c) for c in range(0x2000, 0x2400)],                   # punctuation, signs
    [chr(c) for c in range(0x3000, 0x3100)],                   # kana
    [chr(c) for c in range(0x4E00, 0x4F00)] + [chr(c) for c in range(0xF900, 0xFA20)],
    [chr(c) for c in range(0xAC00, 0xAD00)] + [chr(c) for c in range(0x1100, 0x1200)],
    [chr(c) for c in range(0xFE00, 0xFFFF)],
    [chr(c) for c in range(0x11000, 0x11500)],
    [chr(c) for c in range(0x1D150, 0x1D1F0)],                 # musical marks that are sorted
    # marks that are sorted, and stripped ones that they do or do not pass
    [chr(c) for c in range(0x1E000, 0x1E030)] + ["\u0334", "\u302e", "\u1b44"],
    ["\u302e", "\u1b44", "\U0001d165", "\U0001e94a", "\u034f", "\u0941", "\u0301", "a"],
    [chr(c) for c in range(0x1F300, 0x1F700)] + ["\u200d", "\ufe0f"],
    [chr(c) for c in range(0x2B810, 0x2B930)] + [chr(c) for c in range(0x2F800, 0x2F900)],
    [chr(c) for c in range(0x20)] + ["\x7f", "\x85", "\ufeff", "\ufffd", "\u200b", "\u2028"],
    SPECIALS + ["[cls]", "[SEP", "SEP]", "[[", "]]", "##", "[MASK]]", "[ UNK ]"],
]


def random_texts(count, seed):
    rng = random.Random(seed)
    for _ in range(count):
        parts = []
        for _ in range(rng.randint(0, 8)):
            if rng.random() < 0.1:
                parts.append(chr(rng.choice(SCALARS)))
            elif rng.random() < 0.03:  # around the longest word
                parts.append(rng.choice(rng.choice(POOLS)) * rng.randint(30, 103))
            else:
                parts += rng.choices(rng.choice(POOLS), k=rng.randint(0, 12))
            if rng.random() < 0.3:
                parts.append(" ")
        yield "".join(parts)


def strings_of(value):
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for v in value:
            yield from strings_of(v)
    elif isinstance(value, dict):
        for v in value.values():
            yield from strings_of(v)


def test_real_prompts():
    folder = os.environ.get("GUIDEALIGN_EVAL_DATA")
    if not folder:
        pytest.skip("GUIDEALIGN_EVAL_DATA is not set")
    model = base_encoder()
    texts = set()
    for path in sorted(pathlib.Path(folder).glob("*.jsonl")):
        for line in path.read_text(encoding="utf-8").split("\n"):
            texts.update(strings_of(json.loads(line)) if line.strip() else [])
    compare(model / "vocab.txt", base_tokenizer(model), sorted(texts))


def test_every_character_in_the_base_vocabulary():
    model = base_encoder()
    compare(model / "vocab.txt", base_tokenizer(model), every_character())


@pytest.mark.parametrize("name", VARIANTS)
def test_every_character_spelled_out(spelling, name):
    path, tokens = spelling
    options, bert = variant_options(name)
    compare(path, spelling_tokenizer(tokens, **bert), every_character(), *options)


def test_random_strings():
    model = base_encoder()
    compare(model / "vocab.txt", base_tokenizer(model), random_texts(20000, seed=1))


@pytest.mark.parametrize("name", VARIANTS)
def test_random_strings_with_options(name):
    model = base_encoder()
    options, bert = variant_options(name)
    compare(model / "vocab.txt", base_tokenizer(model, **bert), random_texts(5000, seed=2), *options)


@pytest.mark.parametrize("name", VARIANTS)
def test_random_strings_spelled_out(spelling, name):
    path, tokens = spelling
    options, bert = variant_options(name)
    compare(path, spelling_tokenizer(tokens, **bert), random_texts(20000, seed=3), *options)


@pytest.mark.parametrize("most", [2, 3, 4, 7, 16, 64])
def test_truncation(most):
    model = base_encoder()
    tokenizer = base_tokenizer(model)
    tokenizer.enable_truncation(most)
    texts = ["", "word", "unaffable words [SEP] behind", "two words", "supercalifragilistic",
             *random_texts(500, seed=most)]
    got = ours(model / "vocab.txt", texts, "--max", str(most))
    for text, ids in zip(texts, got):
        assert ids == tokenizer.encode(text).ids, ascii(text)


if __name__ == "__main__":
    sys.exit(pytest.main([__file__, *sys.argv[1:]]))
