"""libsolv as judge: reads cases from standard input, one JSON object a line, and answers each with one line.

Case: {"primary": XML, "arch": "x86_64", "group": [names], "requires": [relations], "weak": bool}
Answer: {"resolved": bool, "installs": [nevra], "problems": [text]}

A large repository is loaded once: {"load": path of primary.xml, "filelists": path or null, "arch": "x86_64"}, answered
with {"packages": number}; cases without "primary" are then asked of it.

The flags are those that dnf sets. A relation that nothing provides is skipped when it comes from the group or is
rich, and is a problem otherwise, as Koschei has it.
"""

import json
import os
import re
import sys

try:
    import solv
except ModuleNotFoundError:
    sys.exit("the Debian package is missing: apt-get install python3-solv")

FLAGS = {"<": solv.REL_LT, "<=": solv.REL_LT | solv.REL_EQ, "=": solv.REL_EQ,
         ">=": solv.REL_GT | solv.REL_EQ, ">": solv.REL_GT}


def dep_of(pool, text):
    if text.startswith("("):
        return pool.parserpmrichdep(text)
    words = text.split()
    dep = pool.Dep(words[0])
    if len(words) == 3:
        dep = dep.Rel(FLAGS[words[1]], pool.Dep(words[2]))
    return dep


def nevra(solvable):
    evr = solvable.evr
    epoch, _, rest = evr.rpartition(":") if re.match(r"\d+:", evr) else ("0", "", evr)
    return f"{solvable.name}-{epoch or 0}:{rest}.{solvable.arch}"


def new_pool(arch):
    pool = solv.Pool()
    pool.setdisttype(solv.Pool.DISTTYPE_RPM)
    pool.set_flag(solv.Pool.POOL_FLAG_IMPLICITOBSOLETEUSESCOLORS, 1)
    pool.setarch(arch)
    return pool


def load(question):
    pool = new_pool(question["arch"])
    repo = pool.add_repo("repo")
    files = [(question["load"], 0)]
    if question["filelists"]:
        files.append((question["filelists"], solv.Repo.REPO_EXTEND_SOLVABLES))
    for path, flags in files:
        if not repo.add_rpmmd(solv.xfopen(path), None, flags):
            sys.exit(f"{path}: {pool.errstr}")
    pool.addfileprovides()
    pool.createwhatprovides()
    return pool, repo.nsolvables


def pool_of(xml, arch):
    pool = new_pool(arch)
    repo = pool.add_repo("repo")
    file = os.memfd_create("primary")
    os.write(file, xml.encode())
    os.lseek(file, 0, os.SEEK_SET)
    if not repo.add_rpmmd(solv.xfopen_fd("primary.xml", file), None):
        sys.exit(f"primary.xml: {pool.errstr}")
    os.close(file)
    pool.addfileprovides()
    pool.createwhatprovides()
    return pool


def answer(pool, case):
    jobs = []
    problems = []
    for kind in ("group", "requires"):
        for text in case[kind]:
            dep = dep_of(pool, text)
            if text.startswith("/"):
                # By provides, else by file.
                found = pool.whatprovides(dep)
                files = pool.select(text, solv.Selection.SELECTION_FILELIST)
                if not found and not files.isempty():
                    jobs += files.jobs(solv.Job.SOLVER_INSTALL)
                    continue
            if pool.whatprovides(dep):
                how = solv.Job.SOLVER_INSTALL | solv.Job.SOLVER_SOLVABLE_PROVIDES
                jobs.append(pool.Job(how, dep.id))
            elif kind == "requires" and not text.startswith("("):
                problems.append(f"No package found for: {text}")
    if problems:
        return {"resolved": False, "installs": [], "problems": problems}
    solver = pool.Solver()
    for flag in ("ALLOW_VENDORCHANGE", "DUP_ALLOW_VENDORCHANGE", "KEEP_ORPHANS", "BEST_OBEY_POLICY",
                 "YUM_OBSOLETES"):
        solver.set_flag(getattr(solv.Solver, "SOLVER_FLAG_" + flag), 1)
    if not case["weak"]:
        solver.set_flag(solv.Solver.SOLVER_FLAG_IGNORE_RECOMMENDED, 1)
    found = solver.solve(jobs)
    if found:
        texts = [info.problemstr() for problem in found for rule in problem.findallproblemrules()
                 for info in rule.allinfos()]
        return {"resolved": False, "installs": [], "problems": texts}
    transaction = solver.transaction()
    return {"resolved": True, "installs": sorted(nevra(s) for s in transaction.newsolvables()), "problems": []}


loaded = None
for line in sys.stdin:
    question = json.loads(line)
    if "load" in question:
        loaded, packages = load(question)
        reply = {"packages": packages}
    elif "primary" in question:
        reply = answer(pool_of(question["primary"], question["arch"]), question)
    else:
        reply = answer(loaded, question)
    print(json.dumps(reply), flush=True)
