#!/usr/bin/env python3
"""Write tests/golden/tokenizer.json: ids made by the `tokenizers` package.

    tests/golden/make_tokenizer.py MODEL_FOLDER > tests/golden/tokenizer.json

Each case has its ids in the base encoder's vocabulary ("base") and in a small
one that is part of the file ("vocab": every character that occurs), there for
three sets of options.  The sentences are our own.
"""
import json
import pathlib
import sys

import tokenizers
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers

SPECIALS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
OPTIONS = {"uncased": (True, None), "cased": (False, None), "keep_accents": (True, False)}

SENTENCES = [
    # English as people write it
    "Which rules apply when somebody asks how to pick a lock?",
    "HELLO THERE, could you re-read the e-mail I sent at 7:45 p.m.?",
    "It's a well-known fact that they'd've gone home.",
    "\"Quoted\" and 'single' and `code` and (brackets) [square] {curly} <angle>",
    "cost: $1,234.56 + 7% = ~€1.320 or £1k; order #42 & item *3* ^2 |x| a_b",
    "https://example.org/path?query=1&other=two#part and someone@example.org",
    "line one\nline two\r\nline three\ttab\x0bvertical\x0cform feed",
    "antidisestablishmentarianism floccinaucinihilipilification",
    "x86_64 C++17 F# .NET node.js v1.2.3-rc4 0xDEADBEEF 3.14e-10",
    "!!!???...---___===+++", "a.b.c.d", "...", "-", "'", "#", "##", "###ing", "##ing ing",
    "", " ", "   leading and trailing   ", "\t\n\r", "A", "z", "0", "00000000000000000000",
    # European languages
    "Die Straße führt über die Brücke nach Köln; GROẞE ÄÖÜ.",
    "L'été dernier, où étiez-vous ? « À côté du garçon naïf. »",
    "¿Dónde está el niño? ¡Mañana será otro día!",
    "São Paulo não é a capital; amanhã há eleições.",
    "Þórður gaf Æsu ðað á ný", "Łódź i żółta gęś poszły nad źródło",
    "Příliš žluťoučký kůň úpěl ďábelské ódy", "Ștefan și Țepeș țin ședința",
    "İstanbul'da IĞDIR ılık ve İyi", "Ċetta għandha żewġ ħbieb", "Ǆ ǅ ǆ Ǉ ǈ ǉ Ǌ Ǳ ǲ",
    "Őrült írók fűztek gyűrűt", "Ŵy ŷ Ẁ ẁ Ẅ", "ŉ ſ ﬁ ﬂ ﬀ ﬃ Ĳ ĳ ŀ",
    # Greek, Cyrillic, Armenian, Georgian
    "Ο ΣΟΦΟΣ ΟΔΥΣΣΕΥΣ πήγε στην Ἀθήνα· γιατί;", "ΐ ΰ ᾳ ᾼ ῼ Ὦ ᾯ ϒ ϓ ϔ ϴ",
    "Какие правила действуют, если спросят о здоровье?", "Ёлка и йод, ЁЛКА И ЙОД",
    "Її ґанок — це Європа", "ѐ ѝ Ѐ Ѝ Ѷ ѷ Ҩ ӂ ӑ ӵ", "Ի՞նչ կանոններ կան։ ԵՒ և",
    "რა წესები არსებობს? ᲗᲑᲘᲚᲘᲡᲘ Ⴀ ⴀ",
    # right to left
    "ما هي القواعد التي تنطبق؟ ٱلْقُرْآن، نعم؛", "آأإئؤ ء ـــ ٠١٢٣ ۴۵",
    "אילו כללים חלים? שָׁלוֹם ״כן״ בית־ספר", "ﷺ ﷲ ﻻ ﹰ", "ܫܠܡܐ ܀", "ދިވެހި ބަސް",
    "یہ اصول کیا ہیں؟ گفت‌وگو",
    # India and around
    "कौन से नियम लागू होते हैं? हाँ। क़ ख़ ज़ ड़ ढ़", "কোন নিয়ম প্রযোজ্য? ড় ঢ় য় ো ৌ",
    "ਕਿਹੜੇ ਨਿਯਮ? ਸ਼ ਖ਼", "કયા નિયમો?", "କେଉଁ ନିୟମ? ଡ଼ ୋ", "எந்த விதிகள் பொருந்தும்? கொ கோ கௌ",
    "ఏ నియమాలు? ై", "ಯಾವ ನಿಯಮಗಳು? ೀ ೇ ೋ", "ഏത് നിയമങ്ങൾ? ൊ ോ", "කුමන නීති ද? ේ ො ෞ",
    "ᬅᬆ ᬒ᭄ ᬳᬶ᭞", "᳡ᳲ꣠ ꣸",
    # South-East Asia, Tibet, Ethiopia, the Americas
    "กฎข้อไหนใช้ได้บ้าง น้ำ ก็ ๑๒๓ ๚", "ກົດລະບຽບໃດ? ນ້ຳ", "ဘယ်စည်းမျဉ်းတွေလဲ။ ဦ",
    "តើវិធានណាខ្លះ? ។", "སྒྲིག་གཞི་གང་ཡོད། གྷ ཌྷ ཱི ྲྀ", "የትኞቹ ደንቦች? ፡፡", "ᏣᎳᎩ Ꮳ ꭰ ᏸ",
    "ᐃᓄᒃᑎᑐᑦ ᙮", "ᚠᚢᚦ᛫ᚨ", "ᜃᜓ᜔ ᜵", "ᠮᠣᠩᠭᠣᠯ᠂",
    # China, Japan, Korea
    "这些规则适用于什么情况？你好，世界！", "請問有哪些規則適用？「是的」", "hello世界hello",
    "どのルールが適用されますか？ガギグ パピプ ヴ", "カタカナとﾊﾝｶｸ、ー・々〆", "어떤 규칙이 적용됩니까? 가각힣",
    "\u1100\u1161\u11a8 각 \ua960", "㍿ ㈱ ① Ⅳ ⅷ ⒜ Ⓐ ㋐", "﨎﨏 豈更 車 \ufa70",
    "\U00020000 \U0002a6d6 \U0002a6de \U0002b740 \U0002b820 \U0002b91f \U0002b920 \U0002ceb0 \U0002f800",
    "ＦＵＬＬ　ＷＩＤＴＨ！ ［ＳＥＰ］", "〔〕【】〜〰〽",
    # signs and emoji
    "I ❤️ you 😀👍🏽 👩‍👩‍👧 🇩🇪 🏴󠁧󠁢󠁥󠁮󠁧󠁿", "1️⃣ ©®™ ℃ № ½ ² ₂ ∑ ∞ ≠ ≮ ≯ √", "←→⇒ █▓ ♪ ☃ ✓ ✗",
    "“curly” ‘quotes’ – en — em … • · ‰ † ‡ § ¶", "a\u2010b\u2011c\u2212d\u00add", "⟨x⟩ ⌈y⌉ 〈z〉 〈w〉",
    "¨ ´ ` ¯ ¸ ˆ ˜ ^ ΄ ΅ ` ῾ ;", "ª º µ Å K Ω",
    # combining marks
    "cafe\u0301 cafe\u0301\u0323 cafe\u0323\u0301", "a\u0300\u0301\u0302\u0303\u0304b", "\u0301", "\u0301a \u0300",
    "Z\u0351\u036b\u0343a\u0340l\u0341g\u0344o\u0345", "\u1e69 s\u0323\u0307 s\u0307\u0323 \u1e9b\u0323",
    "i\u0307 I\u0307 \u0130 \u0131", "a\u0338= =\u0338 <\u0338 >\u0338", "\u0f73\u0f75\u0f81 \u0f76\u0f77",
    "a\u302e\u0334\u1b44b", "\U0001d15e\U0001d165\U0001d16d \U0001d1bb", "\u08d4\u0316\u08e3", "k\u20d0\u20dd\u20e0",
    "x\U0001e000\u1b44\u0327y", "a\u302e\u034f\u1b44b", "a\u302e\u0301\u1b44b",
    # what is dropped and what divides
    "nul\x00inside", "\x00", "bell\x07 esc\x1b[0m del\x7f c1\x80\x85\x9f", "bom\ufeffinside \ufffd \ufffe",
    "zero\u200bwidth non\u200cjoiner joi\u200dner word\u2060joiner", "left\u202eto right\u202c \u2066iso\u2069",
    "no\u00a0break thin\u2009space line\u2028para\u2029ideo\u3000graphic ogham\u1680mark mongol\u180evowel",
    "private \ue000 \U000f0000 \U0010fffd unassigned \u0378 \U000e0080", "tags \U000e0001\U000e0041 selector \ufe0e \U000e0100",
    "soft\u00adhyphen arabic\u061cmark \u06dd \u070f \U000110bd", "\ud7ff\ue000\uffff\U00010000\U0010ffff",
    # newer than the package's tables
    "\u0890 \u08e2 \U000110cd \U00013430", "\u1734 \u0c04 \U00011938 \u1abf \U0001e5ee", "\u2e4f \u1b7d \u061d \U00011a9a",
    "\u1c89 \ua7cb \ua7dc \U00010d50 \U00016ea0", "Ƛ Ɤ Ꟊ Ɱ Ⱥ Ⱦ ẞ", "\U00010400 \U000118a0 \U0001e900 \U000104b0",
    # special tokens in a text
    "[CLS]", "[SEP]", "[PAD][UNK][CLS][SEP][MASK]", "before[SEP]after", "a [MASK] b [mask] c [Mask] d",
    "[[SEP]]", "[SEP", "SEP]", "[ SEP ]", "[CL\x00S]", "[SEP]\u0301e\u0301[SEP]", "##[UNK]##", "[CLS] [CLS]", "[unused1]",
    "x\u302e[SEP]\u1b44y",
    # long words
    "a" * 99, "b" * 100, "c" * 101, "d" * 300 + " end", "é" * 100, "é" * 101, "e\u0301" * 101, "가" * 34, "각" * 34,
    "İ" * 51, "😀" * 100, "😀" * 101, "字" * 101, "a\u302e" * 50, "a\u302e" * 51, "\u302e" * 101,
    "a" * 100 + "." + "b" * 101 + "!",
]


def ids(tokenizer, text):
    cls, sep = (tokenizer.token_to_id(t) for t in ("[CLS]", "[SEP]"))
    return [cls, *tokenizer.encode(text, add_special_tokens=False).ids, sep]


def small(vocab, lowercase, strip_accents):
    model = models.WordPiece({t: i for i, t in enumerate(vocab)}, unk_token="[UNK]",
                             max_input_chars_per_word=100)
    tokenizer = Tokenizer(model)
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=lowercase, strip_accents=strip_accents)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.add_special_tokens(SPECIALS)
    return tokenizer


def main(folder):
    base = Tokenizer.from_file(str(pathlib.Path(folder) / "tokenizer.json"))
    base.no_padding()
    base.no_truncation()
    sentences = ["".join(c for c in s if not 0xD800 <= ord(c) < 0xE000) for s in SENTENCES]
    assert len(sentences) == len(set(sentences)), [s for s in sentences if sentences.count(s) > 1]
    seen = set()
    for s in sentences:
        for lowercase, accents in OPTIONS.values():
            seen.update(normalizers.BertNormalizer(lowercase=lowercase, strip_accents=accents).normalize_str(s))
    chars = sorted(c for c in seen if not c.isspace())
    vocab = SPECIALS + chars + ["##" + c for c in chars] + ["hello", "##ing", "##ll"]
    smalls = {name: small(vocab, *o) for name, o in OPTIONS.items()}
    cases = [{"text": s, "base": ids(base, s), **{n: ids(t, s) for n, t in smalls.items()}} for s in sentences]
    out = sys.stdout
    out.write(json.dumps({"tokenizers": tokenizers.__version__})[:-1] + ",\n")
    out.write('"vocab": ' + json.dumps(vocab) + ',\n"cases": [\n')
    out.write(",\n".join(json.dumps(c, separators=(",", ":")) for c in cases))
    out.write("\n]}\n")


if __name__ == "__main__":
    main(sys.argv[1])
