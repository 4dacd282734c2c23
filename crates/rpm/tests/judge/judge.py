"""rpm itself as judge: reads questions from standard input, one a line with tabs between the words, and answers each
with one line.

version A B          which of two versions is newer: -1, 0 or 1
evr E V R E V R      the same for epoch, version and release; "-" is none
overlap OP EVR OP EVR   whether two ranges of versions have one in common: 0 or 1
"""

import sys

try:
    import rpm
except ModuleNotFoundError:
    sys.exit("the Debian package is missing: apt-get install python3-rpm")

SENSES = {"<": rpm.RPMSENSE_LESS, "<=": rpm.RPMSENSE_LESS | rpm.RPMSENSE_EQUAL, "=": rpm.RPMSENSE_EQUAL,
          ">=": rpm.RPMSENSE_GREATER | rpm.RPMSENSE_EQUAL, ">": rpm.RPMSENSE_GREATER}


def answer(kind, *words):
    if kind == "version":
        a, b = words
        return rpm.labelCompare((None, a, None), (None, b, None))
    if kind == "evr":
        words = [None if word == "-" else word for word in words]
        return rpm.labelCompare(tuple(words[:3]), tuple(words[3:]))
    a, b = (rpm.ds(("name", SENSES[op], evr), rpm.RPMTAG_REQUIRENAME) for op, evr in (words[:2], words[2:]))
    return int(a.Compare(b))


for line in sys.stdin.buffer:
    print(answer(*line.decode(errors="surrogateescape").rstrip("\n").split("\t")))
