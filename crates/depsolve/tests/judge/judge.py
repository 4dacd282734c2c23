"""libsolv as judge: reads cases from standard input, one JSON object a line, and answers each with one line.

Case: {"primary": XML, "arch": "x86_64", "group": [names], "requires": [relations], "weak": bool}
Answer: {"resolved": bool, "installs": [nevra], "problems": [text]}

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


def answer(case):
    pool = solv.Pool()
    pool.setdisttype(solv.Pool.DISTTYPE_RPM)
    pool.set_flag(solv.Pool.POOL_FLAG_IMPLICITOBSOLETEUSESCOLORS, 1)
    pool.setarch(case["arch"])
    repo = pool.add_repo("repo")
    file = os.memfd_create("primary")
    os.write(file, case["primary"].encode())
    os.lseek(file, 0, os.SEEK_SET)
    if not repo.add_rpmmd(solv.xfopen_fd("primary.xml", file), None):
        return {"error": pool.errstr}
    os.close(file)
    pool.addfileprovides()
    pool.createwhatprovides()

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


for line in sys.stdin:
    print(json.dumps(answer(json.loads(line))), flush=True)
