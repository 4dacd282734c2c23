"""Fetching, loading and keeping a repository: ours beside librepo and hawkey, each in a process of its own, from one local
web server. Times are of the whole process, its start included; memory is the most that was resident."""

import functools
import http.server
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time

THEIRS = """
import os, sys
import hawkey, librepo
cache, url, lists = sys.argv[1], sys.argv[2], sys.argv[3] == "lists"
files = os.path.join(cache, "files")
handle = librepo.Handle()
handle.repotype, handle.urls, handle.destdir = librepo.LR_YUMREPO, [url], files
handle.yumdlist = ["primary", "filelists"] if lists else ["primary"]
handle.checksum = True
if os.path.isdir(files):
    handle.local, handle.urls = True, [files]
else:
    os.makedirs(files)
where = handle.perform(librepo.Result()).yum_repo
sack = hawkey.Sack(cachedir=os.path.join(cache, "solv"), make_cache_dir=True, arch="x86_64")
repo = hawkey.Repo("bench")
repo.repomd_fn, repo.primary_fn = where["repomd"], where["primary"]
if lists:
    repo.filelists_fn = where["filelists"]
sack.load_repo(repo, build_cache=True, load_filelists=lists)
print(len(sack), "packages")
"""


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


def measured(command):
    """Seconds on the clock, seconds of computing, and megabytes."""
    begun = time.monotonic()
    with tempfile.TemporaryFile("w+") as errors:
        # hawkey warns of its age, whatever Python is told about warnings.
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True)
        said = process.stdout.read().split()
        errors.seek(0)
        complaint = errors.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        sys.exit(f"{command[0]} failed: {complaint}")
    return (time.monotonic() - begun, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1000), int(said[0])


def main(program, repository, runs):
    handler = functools.partial(Quiet, directory=repository)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_address[1]}"
    print(f"{repository}, {os.cpu_count()} cores, best of {runs} runs: seconds, of them computing, and MB of memory")
    for lists, what in [(False, "primary metadata alone"), (True, "with file lists")]:
        for name in ["repocache", "librepo and hawkey"]:
            best = {}
            for _ in range(runs):
                cache = tempfile.mkdtemp(prefix="bench-repocache-")
                if name == "repocache":
                    command = [program, cache, url, "x86_64"] + (["/usr/share/no/such/file"] if lists else [])
                else:
                    command = [sys.executable, "-W", "ignore", "-c", THEIRS, cache, url, "lists" if lists else "none"]
                for step in ["fetched and loaded", "again, from the cache"]:
                    figures, packages = measured(command)
                    best[step] = min(best.get(step, figures), figures)
                shutil.rmtree(cache)
            for step, (clock, computing, memory) in best.items():
                print(f"{what:24} {name:20} {step:24} {clock:8.3f} {computing:8.3f} {memory:6.0f}   {packages} packages")


main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
