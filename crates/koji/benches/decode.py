"""Reads bodies with the official client's parser, as its session does: in pieces of 8 KiB as they come from the network.

    decode.py multicall|call FILE...    prints milliseconds, the peak of memory above the start in MB, and how many entries
"""

import sys
import time

import koji
import koji.xmlrpcplus


def memory(name):
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith(name))


def read(path):
    parser, unmarshaller = koji.xmlrpcplus.getparser()
    with open(path, "rb") as body:
        while chunk := body.read(8192):
            parser.feed(chunk)
    parser.close()
    return unmarshaller.close()[0]


def main():
    kind, paths = sys.argv[1], sys.argv[2:]
    before = memory("VmRSS")
    begin = time.perf_counter()
    answers = [read(path) for path in paths]
    if kind == "multicall":
        entries = [entry[0] for answer in answers for entry in answer]
    else:
        entries = answers[0]
    milliseconds = (time.perf_counter() - begin) * 1000
    print(f"{milliseconds:.1f} {(memory('VmHWM') - before) / 1024:.1f} {len(entries)}")


main()
