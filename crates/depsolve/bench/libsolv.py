"""libsolv, or hawkey, on a sample of the work of examples/bench.rs: bench/libsolv.py libsolv|hawkey REPO SAMPLE

Each is used as a builder's resolver would use it, with the flags of dnf: libsolv through its own Python module, hawkey
as the original Koschei did (a selector for each entry, one goal, distances by queries). Loading is not part
of the time of a source package. Time is that of the process, so other processes disturb little.
"""

import json
import os
import re
import resource
import shutil
import sys
import tempfile
import time
import xml.etree.ElementTree

engine, repo_path, sample_path = sys.argv[1:4]
binary = os.path.join(repo_path, "binary")
group = open(os.path.join(repo_path, "build-group.txt")).read().split()
sample = [json.loads(line) for line in open(sample_path)]


def peak_memory():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def metadata(kind):
    tree = xml.etree.ElementTree.parse(os.path.join(binary, "repodata/repomd.xml"))
    ns = "{http://linux.duke.edu/metadata/repo}"
    for data in tree.findall(ns + "data"):
        if data.get("type") == kind:
            return os.path.join(binary, data.find(ns + "location").get("href"))
    sys.exit(f"{binary} has no {kind}")


def report(name, weak, times, resolved, extra=""):
    """times: seconds for each source package of the sample, in order."""
    key = "weak" if weak else "noweak"
    ours = [one[key]["seconds"] for one in sample][:len(times)]
    mean, our_mean = sum(times) / len(times), sum(ours) / len(ours)
    same = sum(one[key]["resolved"] == answer for one, answer in zip(sample, resolved))
    worst = max(range(len(times)), key=times.__getitem__)
    print(f"  {name}, {'with' if weak else 'without'} weak dependencies: {mean * 1000:.2f} ms per source on {len(times)} "
          f"sampled sources (slowest {times[worst] * 1000:.1f} ms: {sample[worst]['name']}); koschei on the same "
          f"{our_mean * 1e6:.1f} us, {mean / our_mean:.0f} times as fast; resolved or not: equal for {same}{extra}", flush=True)


def with_libsolv():
    import solv
    flags = {"<": solv.REL_LT, "<=": solv.REL_LT | solv.REL_EQ, "=": solv.REL_EQ,
             ">=": solv.REL_GT | solv.REL_EQ, ">": solv.REL_GT}
    pool = solv.Pool()
    pool.setdisttype(solv.Pool.DISTTYPE_RPM)
    pool.set_flag(solv.Pool.POOL_FLAG_IMPLICITOBSOLETEUSESCOLORS, 1)
    pool.setarch("x86_64")
    repo = pool.add_repo("repo")
    start = time.process_time()
    repo.add_rpmmd(solv.xfopen(metadata("primary")), None)
    primary = time.process_time() - start
    repo.add_rpmmd(solv.xfopen(metadata("filelists")), "FL", solv.Repo.REPO_EXTEND_SOLVABLES)
    filelists = time.process_time() - start - primary
    pool.addfileprovides()
    pool.createwhatprovides()
    index = time.process_time() - start - primary - filelists
    print(f"  libsolv: loading from XML: {primary:.2f} s, file lists {filelists:.2f} s more, indexes {index:.2f} s; "
          f"peak memory {peak_memory()} MB", flush=True)

    def dep_of(text):
        if text.startswith("("):
            return pool.parserpmrichdep(text)
        words = text.split()
        dep = pool.Dep(words[0])
        return dep.Rel(flags[words[1]], pool.Dep(words[2])) if len(words) == 3 else dep

    for weak in (True, False):
        times, resolved = [], []
        for one in sample:
            start = time.process_time()
            jobs, missing = [], False
            for text in group + one["build_requires"]:
                dep = dep_of(text)
                if pool.whatprovides(dep):
                    how = solv.Job.SOLVER_INSTALL | solv.Job.SOLVER_SOLVABLE_PROVIDES
                    jobs.append(pool.Job(how, dep.id))
                    continue
                files = pool.select(text, solv.Selection.SELECTION_FILELIST) if text.startswith("/") else None
                if files and not files.isempty():
                    jobs += files.jobs(solv.Job.SOLVER_INSTALL)
                elif text not in group and not text.startswith("("):
                    missing = True
            problems = True
            if not missing:
                solver = pool.Solver()
                for flag in ("ALLOW_VENDORCHANGE", "DUP_ALLOW_VENDORCHANGE", "KEEP_ORPHANS",
                             "BEST_OBEY_POLICY", "YUM_OBSOLETES"):
                    solver.set_flag(getattr(solv.Solver, "SOLVER_FLAG_" + flag), 1)
                if not weak:
                    solver.set_flag(solv.Solver.SOLVER_FLAG_IGNORE_RECOMMENDED, 1)
                problems = solver.solve(jobs)
                if not problems:
                    solver.transaction().newsolvables()
            times.append(time.process_time() - start)
            resolved.append(not problems)
        report("libsolv", weak, times, resolved)


def with_hawkey():
    import warnings
    import hawkey
    # It announces the end of its own classes.
    warnings.showwarning = lambda *what, **how: None
    cache = tempfile.mkdtemp(prefix="bench-hawkey-")
    try:
        def load():
            sack = hawkey.Sack(cachedir=cache, make_cache_dir=True, arch="x86_64")
            repo = hawkey.Repo("repo")
            repo.repomd_fn = os.path.join(binary, "repodata/repomd.xml")
            repo.primary_fn, repo.filelists_fn = metadata("primary"), metadata("filelists")
            start = time.process_time()
            sack.load_repo(repo, build_cache=True, load_filelists=True)
            return sack, time.process_time() - start
        _, from_xml = load()
        sack, from_cache = load()
        hawkey.Selector(sack).set(provides="bash").matches()
        print(f"  hawkey: loading from XML, with file lists, and writing its cache: {from_xml:.2f} s; "
              f"from its cache {from_cache:.2f} s; peak memory {peak_memory()} MB", flush=True)

        def selector(text):
            found = hawkey.Selector(sack).set(provides=text)
            if not found.matches() and text.startswith("/"):
                found = hawkey.Selector(sack).set(file=text)
            return found

        def distances(requires, installed):
            by_name = {package.name: package for package in installed}
            found, seen = {}, set()
            reldeps = []
            for text in requires:
                try:
                    reldeps.append(hawkey.Reldep(sack, text))
                except hawkey.ValueException:
                    pass  # nothing provides it
            for level in range(1, 5):
                if not reldeps:
                    break
                packages = set(hawkey.Query(sack).filter(provides=list(reldeps)))
                reldeps = {dep for package in packages - seen for dep in package.requires}
                seen |= packages
                for package in packages:
                    if package.name in by_name:
                        found.setdefault(package.name, level)
            return found

        for weak in (True, False):
            times, resolved, for_distances = [], [], 0.0
            for one in sample:
                start = time.process_time()
                goal = hawkey.Goal(sack)
                for text in group:
                    chosen = selector(text)
                    if chosen.matches():
                        goal.install(select=chosen)
                missing = False
                for text in one["build_requires"]:
                    chosen = selector(text)
                    if chosen.matches():
                        goal.install(select=chosen)
                    elif not text.startswith("("):
                        missing = True
                ok = not missing and goal.run(**({} if weak else {"ignore_weak_deps": True}))
                if ok:
                    installed = goal.list_installs()
                    before = time.process_time()
                    distances(one["build_requires"], installed)
                    for_distances += time.process_time() - before
                times.append(time.process_time() - start)
                resolved.append(bool(ok))
            report("hawkey", weak, times, resolved,
                   f" (distances are {for_distances / len(times) * 1000:.2f} ms of it)")
    finally:
        shutil.rmtree(cache, ignore_errors=True)


try:
    {"libsolv": with_libsolv, "hawkey": with_hawkey}[engine]()
except ModuleNotFoundError as error:
    print(f"  {engine}: not measured: {error}")
