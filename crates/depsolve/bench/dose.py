"""dose-builddebcheck on a Debian archive that was converted to rpm-md: bench/dose.py REPO

Converts it back (versions, alternatives, conflicts; the build group becomes part of Build-Depends) and measures
dose-builddebcheck on all source packages. It decides whether each can be built, and no more: no install sets, no
preferences, no weak dependencies, no distances. A repository of real RPM packages cannot be written as a Debian one
(files, ranges of provides, several architectures of one name, names with parentheses).
"""

import gzip
import os
import re
import resource
import shutil
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree

repo_path = sys.argv[1]
OPERATORS = {"LT": "<<", "LE": "<=", "EQ": "=", "GE": ">=", "GT": ">>",
             "<": "<<", "<=": "<=", "=": "=", ">=": ">=", ">": ">>"}
COMMON = "{http://linux.duke.edu/metadata/common}"
RPM = "{http://linux.duke.edu/metadata/rpm}"


def version(epoch, ver, rel):
    ver = ver.replace("^", "-")
    text = ver if not rel or rel == "0" else f"{ver}-{rel.replace('^', '-')}"
    return text if not epoch or epoch == "0" else f"{epoch}:{text}"


def relation(text):
    words = text.split()
    if len(words) == 1:
        return words[0]
    epoch, _, rest = words[2].rpartition(":")
    ver, _, rel = rest.partition("-")
    return f"{words[0]} ({OPERATORS[words[1]]} {version(epoch, ver, rel)})"


def entries(element, tag):
    found = element.find(f"{COMMON}format/{RPM}{tag}")
    out = []
    for entry in found if found is not None else []:
        name, flags = entry.get("name"), entry.get("flags")
        if name.startswith("("):
            out.append(" | ".join(relation(part) for part in name[1:-1].split(" or ")))
        elif flags:
            out.append(f"{name} ({OPERATORS[flags]} {version(entry.get('epoch'), entry.get('ver'), entry.get('rel'))})")
        else:
            out.append(name)
    return out


def packages(kind):
    with gzip.open(os.path.join(repo_path, kind, "repodata/primary.xml.gz")) as file:
        for _, element in xml.etree.ElementTree.iterparse(file):
            if element.tag == COMMON + "package":
                evr = element.find(COMMON + "version")
                yield (element, element.find(COMMON + "name").text, element.find(COMMON + "arch").text,
                       version(evr.get("epoch"), evr.get("ver"), evr.get("rel")))
                element.clear()


if not shutil.which("dose-builddebcheck"):
    print("  dose-builddebcheck: not measured: the program is missing (Debian's package dose-builddebcheck)")
    sys.exit()
group = open(os.path.join(repo_path, "build-group.txt")).read().split()
with tempfile.TemporaryDirectory(prefix="bench-dose-") as directory:
    binaries, sources = os.path.join(directory, "Packages"), os.path.join(directory, "Sources")
    with open(binaries, "w") as out:
        for element, name, arch, evr in packages("binary"):
            out.write(f"Package: {name}\nVersion: {evr}\nArchitecture: {'all' if arch == 'noarch' else 'amd64'}\n")
            own = f"{name} (= {evr})"
            for field, tag in (("Provides", "provides"), ("Depends", "requires"), ("Conflicts", "conflicts")):
                listed = [text for text in entries(element, tag) if text != own]
                if listed:
                    out.write(f"{field}: {', '.join(listed)}\n")
            out.write("\n")
    count = 0
    with open(sources, "w") as out:
        for element, name, arch, evr in packages("source"):
            count += 1
            requires = ", ".join(group + entries(element, "requires"))
            out.write(f"Package: {name}\nVersion: {evr}\nArchitecture: any\nBinary: {name}\nBuild-Depends: {requires}\n\n")
    start, began = time.monotonic(), os.times()
    done = subprocess.run(
        ["dose-builddebcheck", "--failures", "--deb-native-arch=amd64", "--deb-ignore-essential", "--quiet",
         "--outfile=" + os.path.join(directory, "report"), binaries, sources],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    took, ended = time.monotonic() - start, os.times()
    if done.returncode > 63:
        print(f"  dose-builddebcheck: not measured: it ended with {done.returncode}: {done.stdout[-300:].strip()}")
        sys.exit()
    report = open(os.path.join(directory, "report")).read()
    broken = len(re.findall(r"^ *status: broken", report, re.M))
    cpu = ended.children_user - began.children_user + ended.children_system - began.children_system
    memory = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024
    print(f"  dose-builddebcheck: {cpu:.1f} s of CPU time for all {count} sources, loading included ({took:.1f} s by the "
          f"clock), {cpu / count * 1000:.2f} ms per source; peak memory {memory} MB; it says that {broken} cannot be built "
          "(installability only)")
