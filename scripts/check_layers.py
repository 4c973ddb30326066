#!/usr/bin/env python3
"""Fail when a file includes a part that its own part may not know.

The direction of dependency is the design's: the core's parts build on each other in one order, the program's on the core, and the core
never includes the program.  `<part>_internal.h` is for its own folder only.
"""
import pathlib
import re
import sys

ALLOWED = {
    "base": set(),
    "text": {"base"},
    "tensor": {"base"},
    "encoder": {"base", "text", "tensor"},
    "index": {"base", "tensor"},
    "pack": {"base", "text", "tensor", "encoder", "index"},
    "guide": {"base", "text", "tensor", "encoder", "index", "pack"},
}
CORE = set(ALLOWED)
ALLOWED["library"] = CORE
ALLOWED["llm"] = CORE
ALLOWED["train"] = CORE | {"library"}
ALLOWED["cli"] = CORE | {"library", "llm", "train"}
# jansson, SQLite and libcurl belong to the program; utf8proc is the core's one library
PROGRAM_ONLY = {"jansson.h", "sqlite3.h", "curl/curl.h"}

root = pathlib.Path(__file__).resolve().parent.parent
bad = []
for path in sorted((root / "src").rglob("*.[ch]")):
    part = path.relative_to(root / "src").parts[0]
    for number, line in enumerate(path.read_text().splitlines(), 1):
        match = re.match(r'\s*#\s*include\s*[<"]([^">]+)[">]', line)
        if not match:
            continue
        name = match.group(1)
        other = name.split("/")[0] if "/" in name else None
        where = f"{path.relative_to(root)}:{number}"
        if part in CORE and name in PROGRAM_ONLY:
            bad.append(f"{where}: the core may not use {name}")
        elif other in ALLOWED and other != part and other not in ALLOWED[part]:
            bad.append(f"{where}: '{part}' may not include '{other}'")
        elif other in ALLOWED and other != part and name.endswith("_internal.h"):
            bad.append(f"{where}: '{name}' is private to '{other}'")
    if part not in ALLOWED:
        bad.append(f"{path.relative_to(root)}: no rule says what '{part}' may include")
print("\n".join(bad), file=sys.stderr, end="\n" if bad else "")
sys.exit(1 if bad else 0)
