"""What createrepo_c knows about packages, as JSON: `dump.py repo DIRECTORY` reads the metadata of a repository with
createrepo_c's own parser, `dump.py rpm FILE...` reads the package files themselves. Warnings of the parser are errors."""

import json
import os
import sys

try:
    import createrepo_c as cr
except ModuleNotFoundError:
    sys.exit("the Debian package is missing: apt-get install python3-createrepo-c")

FLAGS = {None: "", "LT": "<", "LE": "<=", "EQ": "=", "GE": ">=", "GT": ">"}


def relations(entries):
    return [[name, FLAGS[flags], epoch or "0", version or "", release or "", bool(pre)] if flags else
            [name, "", "", "", "", bool(pre)] for name, flags, epoch, version, release, pre in entries]


def described(package):
    lists = ["provides", "requires", "conflicts", "obsoletes", "recommends", "suggests", "supplements", "enhances"]
    result = {name: relations(getattr(package, name)) for name in lists}
    for name in ["name", "epoch", "version", "release", "arch", "summary", "description", "url", "rpm_vendor"]:
        result[name] = getattr(package, name) or ""
    result["license"] = package.rpm_license or ""
    result["source_rpm"] = package.rpm_sourcerpm or ""
    result["location"] = package.location_href or ""
    result["checksum"] = [package.checksum_type, package.pkgId]
    result["sizes"] = [package.size_package, package.size_installed, package.size_archive]
    result["times"] = [package.time_build, package.time_file]
    result["files"] = [path + name for _, path, name in package.files]
    return result


def warn(kind, message):
    sys.exit(f"createrepo_c warns: {message}")


def read(directory):
    repomd = cr.Repomd()
    cr.xml_parse_repomd(os.path.join(directory, "repodata", "repomd.xml"), repomd, warn)
    where = {record.type: os.path.join(directory, record.location_href) for record in repomd.records}
    packages = {}
    order = []

    def keep(package):
        order.append(package.pkgId)
        packages[package.pkgId] = package

    cr.xml_parse_primary(where["primary"], pkgcb=keep, do_files=False, warningcb=warn)
    cr.xml_parse_filelists(where["filelists"], newpkgcb=lambda key, name, arch: packages[key], warningcb=warn)
    cr.xml_parse_other(where["other"], newpkgcb=lambda key, name, arch: packages[key], warningcb=warn)
    records = [[r.type, r.location_href, r.checksum_type, r.checksum, r.checksum_open or "", r.size, r.size_open,
                r.timestamp] for r in repomd.records]
    return {"revision": repomd.revision, "records": records, "packages": [described(packages[key]) for key in order]}


what, *paths = sys.argv[1:]
if what == "repo":
    print(json.dumps(read(paths[0])))
else:
    for path in paths:
        print(json.dumps(described(cr.package_from_rpm(path, location_href=os.path.basename(path)))))
