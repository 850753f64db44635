#!/usr/bin/env python3
"""Prints a header of ours as doxygen wants it: its comments are plain //, and the first block speaks of the file.

A comment above a declaration and one behind it become doxygen's; lines such as "Threads:  any" a list; what is indented
below a blank line, code. Rules ("// ---- header ----") are dropped.
"""
import re
import sys

LABEL = re.compile(r"^([A-Z][a-z]+(?: [a-z]+)?): +(.*)$")
RULE = re.compile(r"^\s*//\s*-{3,}")
BEHIND = re.compile(r"^(\s*[^/\s].*?)  ?// (.*)$")


def comment(lines):
    """The text of one block of comment lines, without their //."""
    out, in_code, labelled, blank = [], False, False, True
    for text in lines:
        stripped = text.strip()
        indent = len(text) - len(text.lstrip(" "))
        label = LABEL.match(stripped) if indent <= 1 else None
        if label:
            if in_code:
                out.append("```")
            in_code, labelled = False, True
            out.append(f"- **{label[1]}:** {label[2]}")
        elif not stripped:
            out.append("")
        elif indent >= 3 and not labelled:
            if not in_code:
                out.append("```cpp" if not any(mark in text for mark in "├└│─▶") else "```text")
            in_code = True
            out.append(text[1:])
        elif indent >= 3:
            out.append("  " + stripped)
        else:
            if in_code:
                out.append("```")
            elif labelled and not blank:
                out.append("")
            in_code = labelled = False
            out.append(stripped)
        blank = not stripped
    if in_code:
        out.append("```")
    return out


def convert(source):
    lines, out, number = source.splitlines(), [], 0
    first = True
    while number < len(lines):
        line = lines[number]
        if RULE.match(line):
            number += 1
        elif line.lstrip().startswith("//"):
            block = []
            while number < len(lines) and lines[number].lstrip().startswith("//") and not RULE.match(lines[number]):
                block.append(lines[number].lstrip()[2:])
                number += 1
            if first:
                block[0] = re.sub(r"^ \S+\.hpp: ", " ", block[0])
            out += ["/// " + text for text in (["\\file", ""] if first else []) + comment(block)]
            if first:
                out.append("")
            first = False
        else:
            behind = BEHIND.match(line) if '"' not in line else None
            out.append(f"{behind[1]}  ///< {behind[2]}" if behind and behind[1].rstrip().endswith((";", ",")) else line)
            number += 1
    return "\n".join(out)


if __name__ == "__main__":
    with open(sys.argv[1], encoding="utf-8") as header:
        print(convert(header.read()))
