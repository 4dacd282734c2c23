-- A small believable world for the tests of pages and for looking at them (examples/look.rs).
-- Times are relative to now, so that ages and "the last 24 hours" are what a reader would see.

INSERT INTO collection (id, "order", name, display_name, target, dest_tag, build_tag, bugzilla_product,
    bugzilla_version, priority_coefficient, latest_repo_id, latest_repo_resolved) VALUES
 (1, 100, 'f46', 'Rawhide', 'f46', 'f46', 'f46-build', 'Fedora', 'rawhide', 1, 6390112, true),
 (2, 90, 'f45', 'Fedora 45', 'f45', 'f45-updates-candidate', 'f45-build', 'Fedora', '45', 0.5, 6390077, true),
 (3, 80, 'f44', 'Fedora 44', 'f44', 'f44-updates-candidate', 'f44-build', 'Fedora', '44', 0.25, 6390064, true),
 (4, 70, 'epel10', 'EPEL 10', 'epel10', 'epel10', 'epel10-build', NULL, NULL, 0.5, 6389990, false);
UPDATE collection SET latest_repo_seen = now() - interval '11 minutes' WHERE id = 1;
UPDATE collection SET latest_repo_seen = now() - interval '31 hours' WHERE id = 3;
INSERT INTO collection_freshness (collection_id, looked, repo_made)
    SELECT id, now(), now() - interval '20 minutes' FROM collection;
INSERT INTO buildroot_problem (collection_id, problem) VALUES
 (4, E'Problem: package redhat-rpm-config-293-1.el10.noarch requires annobin-plugin-gcc, but none of the providers can be installed\n - conflicting requests\n - nothing provides gcc = 14.3 needed by annobin-plugin-gcc-12.92-1.el10.x86_64');
INSERT INTO collection_group (id, name, display_name) VALUES (1, 'fedora', 'Fedora'), (2, 'epel', 'EPEL');
INSERT INTO collection_group_relation VALUES (1, 1), (1, 2), (1, 3), (2, 4);
INSERT INTO admin_notice VALUES
 ('global_notice', 'Koji is down for maintenance on Saturday, see https://status.example.org/koji. <b>Builds wait.</b>');
INSERT INTO "user" (id, name, admin) VALUES (1, 'decathorpe', false), (2, 'churchyard', true), (3, 'zbyszek', false);

INSERT INTO base_package (id, name)
SELECT row_number() OVER (), name FROM unnest(string_to_array(
 'python-lxml,python-xmlsec,perl-XML-LibXML,kf6-kdoctools,rust-sequoia-sq,rust-sequoia-keystore,rust-sequoia-wot,'
 'rust-openpgp-card-sequoia,rust-rpm-sequoia,calibre,mozc,nodejs-electron-builder,golang-github-cifo-locale-filesystem-devel,'
 'boost,ceph,libreoffice,ghc-pandoc,mariadb11.8,R-Rcpp,zig,kernel,systemd,bash,coreutils,gcc,glibc,libxml2,libxslt,'
 'rust-nettle,protobuf,nodejs24,texlive-latexindent,vim-enhanced-syntax-polyglot,python3.14,python-cython,cmake,meson,'
 'ninja-build,xz,zlib-ng,openssl,curl,git,rpm,dnf5,podman,containerd,gtk4,gnome-shell,libsigc++20,Zope,zstd,abcde,'
 'rubygem-actionview,php-symfony7,ocaml-lablgtk3,389-ds-base,wireshark,qemu,thunderbird,x<script>alert(1)</script>y', ',')) name;

INSERT INTO package_group (id, namespace, name) VALUES
 (1, NULL, 'python-sig'), (2, NULL, 'rust-sig'), (3, NULL, 'kde-sig'), (4, 'zbyszek', 'mine');
INSERT INTO package_group_relation SELECT 1, id FROM base_package WHERE name LIKE 'python%';
INSERT INTO package_group_relation SELECT 2, id FROM base_package WHERE name LIKE 'rust%';
INSERT INTO package_group_relation SELECT 3, id FROM base_package WHERE name LIKE 'kf6%';
INSERT INTO package_group_relation SELECT 4, id FROM base_package WHERE name IN ('systemd', 'glibc', 'abcde');
INSERT INTO group_acl VALUES (1, 2), (2, 1), (2, 3), (4, 3);

-- Every package in every collection; a few untracked, a few blocked, one in Rawhide only.
INSERT INTO package (id, base_id, name, collection_id, tracked, blocked, resolved)
SELECT b.id + (c.id - 1) * 1000, b.id, b.name, c.id,
       NOT (b.name IN ('abcde', 'zstd') AND c.id > 1) AND b.name <> 'Zope',
       (b.name = 'wireshark' AND c.id = 4) OR (b.name = 'thunderbird'), true
FROM base_package b CROSS JOIN collection c WHERE b.name <> 'zig' OR c.id = 1
ORDER BY 1;
UPDATE package SET resolved = NULL WHERE NOT tracked OR blocked OR name = 'zig';

INSERT INTO dependency (id, name, epoch, version, release, arch) VALUES
 (1, 'libxml2-devel', 0, '2.14.6', '1.fc46', 'x86_64'), (2, 'libxml2-devel', 0, '2.15.1', '1.fc46', 'x86_64'),
 (3, 'gcc', 0, '16.2.1', '2.fc46', 'x86_64'), (4, 'gcc', 0, '16.2.1', '3.fc46', 'x86_64'),
 (5, 'python3-devel', 0, '3.15.0~rc3', '1.fc46', 'x86_64'), (6, 'python3-devel', 0, '3.15.0', '1.fc46', 'x86_64'),
 (7, 'python3-cython', 0, '3.2.0', '1.fc46', 'noarch'), (8, 'python3-cython', 0, '3.2.1', '1.fc46', 'noarch'),
 (9, 'libxslt-devel', 0, '1.1.45', '2.fc46', 'x86_64'), (10, 'libxslt-devel', 0, '1.1.45', '1.fc46', 'x86_64'),
 (11, 'python3-cssselect2-compat', 0, '0.9.0', '1.fc46', 'noarch'),
 (12, 'xz-devel', 1, '5.8.1', '4.fc46', 'x86_64'), (13, 'xz-devel', 1, '5.8.2', '1.fc46', 'x86_64'),
 (14, 'python3-lxml-html-clean', 0, '0.4.2', '3.fc46', 'noarch'),
 (15, 'glibc', 0, '2.43', '4.fc46', 'x86_64'), (16, 'glibc', 0, '2.43', '5.fc46', 'x86_64'),
 (17, 'redhat-rpm-config', 0, '352', '1.fc46', 'noarch'), (18, 'redhat-rpm-config', 0, '353', '1.fc46', 'noarch'),
 (19, 'golang-github-cifo-locale-filesystem-devel', 0, '13.16.3', '2.fc46', 'noarch'),
 (20, 'golang-github-cifo-locale-filesystem-devel', 0, '13.16.4', '1.fc46', 'noarch'),
 (21, 'cmake', 0, '4.2.0', '1.fc46', 'x86_64'), (22, 'cmake', 0, '4.2.1', '1.fc46', 'x86_64'),
 (23, 'evil<script>alert(2)</script>', 0, '1"><b>', '1', 'x86_64'),
 (24, 'evil<script>alert(2)</script>', 0, '2"><b>', '1', 'x86_64'),
 (25, 'boost-devel', 0, '1.90.0', '3.fc46', 'x86_64'), (26, 'boost-devel', 0, '1.90.0', '4.fc46', 'x86_64');

-- Eight builds of each package, four to nine days apart, the oldest an official one; then the stories.
INSERT INTO build (id, package_id, state, task_id, started, finished, epoch, version, release, repo_id,
    last_complete, deps_resolved, real)
SELECT p.id * 10 + k, p.id, 3, 106000000 + p.id * 1000 + k * 10,
       now() - interval '1 day' * ((8 - k) * 6 + (p.id * 7 % 53) / 10.0) - interval '30 hours',
       now() - interval '1 day' * ((8 - k) * 6 + (p.id * 7 % 53) / 10.0) - interval '30 hours'
           + interval '1 minute' * (5 + p.id * 13 % 97),
       CASE WHEN p.name = 'git' THEN 1 END, '1.' || p.base_id % 10 || '.' || k / 3, 1 + k % 3 || '.fc' || 47 - p.collection_id,
       6380000 + k * 1000 + p.collection_id, false, k > 0, k = 0
FROM package p CROSS JOIN generate_series(0, 7) k
WHERE NOT p.blocked AND p.tracked AND p.name <> 'zig'
ORDER BY p.id, k;
INSERT INTO koji_task (build_id, task_id, arch, state, started, finished)
SELECT b.id, b.task_id + a.n, a.arch, 2, b.started + interval '40 seconds', b.finished - interval '5 seconds'
FROM build b CROSS JOIN (VALUES (1, 'aarch64'), (2, 'ppc64le'), (3, 's390x'), (4, 'x86_64')) a (n, arch)
ORDER BY b.id, a.n;

-- libxml2 2.15.1 breaks four of its users, the newest build of each; others build with it and with the new gcc.
UPDATE build b SET state = 5, started = now() - interval '3 days' + p.base_id * interval '7 minutes',
    finished = now() - interval '3 days' + p.base_id * interval '7 minutes' + interval '12 minutes'
FROM package p WHERE p.id = b.package_id AND p.collection_id = 1 AND b.id % 10 = 7
  AND p.name IN ('python-lxml', 'perl-XML-LibXML', 'kf6-kdoctools');
UPDATE build b SET state = 5, started = now() - interval '5 hours', finished = now() - interval '288 minutes'
FROM package p WHERE p.id = b.package_id AND p.collection_id = 1 AND b.id % 10 = 7
  AND p.name IN ('python-xmlsec', 'golang-github-cifo-locale-filesystem-devel');
UPDATE koji_task t SET state = 5, started = b.started + interval '40 seconds', finished = b.finished - interval '5 seconds'
FROM build b WHERE b.id = t.build_id AND b.state = 5 AND (t.arch <> 's390x' OR b.id % 20 = 17);
INSERT INTO applied_change (build_id, prev_dep_id, curr_dep_id, distance)
SELECT b.id, c.prev, c.curr, c.distance
FROM build b JOIN package p ON p.id = b.package_id
JOIN (VALUES (1, 2, 1), (3, 4, 1), (5, 6, 1), (7, 8, 1), (9, 10, 1), (NULL, 11, 2), (12, 13, 2), (19, 20, 2), (14, NULL, NULL),
             (15, 16, NULL), (17, 18, NULL)) c (prev, curr, distance) ON true
WHERE b.id % 10 = 7 AND p.collection_id = 1 AND CASE
  WHEN p.name IN ('python-lxml', 'python-xmlsec', 'perl-XML-LibXML', 'kf6-kdoctools') THEN true
  WHEN p.name IN ('libxslt', 'libreoffice') THEN coalesce(c.curr, 0) IN (2, 4, 16)
  WHEN p.name IN ('python3.14', 'meson', 'cmake', 'git') THEN coalesce(c.curr, 0) IN (6, 8, 10, 11, 13, 20)
  WHEN p.base_id % 2 = 0 THEN coalesce(c.curr, 0) IN (4, 16, 18)
  ELSE coalesce(c.curr, 0) = 16 END;
INSERT INTO applied_change (build_id, prev_dep_id, curr_dep_id, distance)
SELECT b.id, 21, 22, 2 FROM build b JOIN package p ON p.id = b.package_id
WHERE b.id % 10 IN (3, 5) AND p.collection_id = 1;
INSERT INTO applied_change (build_id, prev_dep_id, curr_dep_id, distance)
SELECT b.id, 23, 24, 1 FROM build b JOIN package p ON p.id = b.package_id
WHERE b.id % 10 = 7 AND p.name LIKE 'x<%' AND p.collection_id = 1;

-- A second failure of python-lxml, and a third attempt that runs.
INSERT INTO build (id, package_id, state, task_id, started, finished, version, release, repo_id, last_complete, deps_resolved)
SELECT p.id * 10 + 8, p.id, 5, 106204411, now() - interval '40 hours', now() - interval '2389 minutes', '6.0.2', '2.fc46',
       6389940, false, true FROM package p WHERE name = 'python-lxml' AND collection_id = 1;
INSERT INTO koji_task (build_id, task_id, arch, state, started, finished)
SELECT b.id, b.task_id + a.n, a.arch, 5, b.started, b.finished FROM build b
CROSS JOIN (VALUES (1, 'aarch64'), (2, 'ppc64le'), (3, 's390x'), (4, 'x86_64')) a (n, arch) WHERE b.task_id = 106204411;
INSERT INTO applied_change (build_id, prev_dep_id, curr_dep_id, distance)
SELECT id, 21, 22, 1 FROM build WHERE task_id = 106204411;
INSERT INTO build (id, package_id, state, task_id, started, version, release, repo_id, last_complete)
SELECT p.id * 10 + 9, p.id, 2, 106219840 + p.id, now() - interval '23 minutes', '6.0.2', '2.fc46', 6390100, false
FROM package p WHERE name IN ('python-lxml', 'ceph', 'kernel') AND collection_id = 1;
INSERT INTO koji_task (build_id, task_id, arch, state, started, finished)
SELECT b.id, b.task_id + a.n, a.arch, a.state, b.started, CASE WHEN a.state = 2 THEN now() - interval '8 minutes' END FROM build b
CROSS JOIN (VALUES (1, 'aarch64', 1), (2, 'ppc64le', 0), (3, 's390x', 2), (4, 'x86_64', 1)) a (n, arch, state) WHERE b.state = 2;

-- What broke and builds again.
UPDATE build b SET state = 5 FROM package p WHERE p.id = b.package_id AND p.collection_id = 1 AND b.id % 10 IN (5, 6)
  AND p.name IN ('boost', 'ghc-pandoc', 'mariadb11.8', 'R-Rcpp');
UPDATE build b SET started = now() - p.base_id * interval '31 minutes', finished = now() - p.base_id * interval '31 minutes' + interval '4 minutes',
    real = p.name = 'R-Rcpp'
FROM package p WHERE p.id = b.package_id AND p.collection_id = 1 AND b.id % 10 = 7
  AND p.name IN ('boost', 'ghc-pandoc', 'mariadb11.8', 'R-Rcpp');
UPDATE build SET epoch = 0 WHERE id = (SELECT last_build_id FROM package WHERE name = 'systemd' AND collection_id = 1);
-- Failing for long in the older collections.
UPDATE build b SET state = 5 FROM package p WHERE p.id = b.package_id AND p.collection_id IN (2, 3) AND b.id % 10 >= 3
  AND p.name IN ('389-ds-base', 'php-symfony7', 'ocaml-lablgtk3');

-- Unresolved packages, with the words of the solver.
CREATE TEMPORARY TABLE story (name text, collection_id int, hours int, problem text);
INSERT INTO story SELECT n, 1, 10, E'Problem: package rust-sequoia-openpgp+default-devel-2.1.0-1.fc46.noarch requires (crate(nettle/default) >= 7.5.0 with crate(nettle/default) < 8.0.0~), but none of the providers can be installed\n - conflicting requests\n - nothing provides (crate(gmp/default) >= 2.0.0 with crate(gmp/default) < 3.0.0~) needed by rust-nettle+default-devel-7.5.0-1.fc46.noarch from build'
FROM unnest(ARRAY['rust-sequoia-sq', 'rust-sequoia-keystore', 'rust-sequoia-wot', 'rust-openpgp-card-sequoia', 'rust-rpm-sequoia']) n;
INSERT INTO story SELECT n, 1, 190, 'No package found for: libprotobuf.so.32()(64bit)' FROM unnest(ARRAY['calibre', 'mozc']) n;
INSERT INTO story VALUES
 ('nodejs-electron-builder', 1, 38, E'Problem: package nodejs24-libs-24.11.1-1.fc46.x86_64 conflicts with nodejs22-libs provided by nodejs22-libs-22.21.0-1.fc46.x86_64\n - package nodejs-typescript-5.9-1.fc46.noarch requires nodejs24-libs, but none of the providers can be installed\n - conflicting requests'),
 ('x<script>alert(1)</script>y', 2, 400, E'Problem: <script>alert(3)</script>\n - nothing provides "evil" & <b>bold</b> needed by a-1-1.x'),
 ('x<script>alert(1)</script>y', 2, 400, 'No package found for: zzz'),
 ('texlive-latexindent', 4, 38, 'No package found for: perl(YAML::Tiny) >= 1.74');
INSERT INTO resolution_change (resolved, "timestamp", package_id)
SELECT true, now() - interval '1 hour' * hours - interval '20 days', p.id
FROM (SELECT DISTINCT name, collection_id, hours FROM story) s JOIN package p USING (name, collection_id) ORDER BY 2;
INSERT INTO resolution_change (resolved, "timestamp", package_id)
SELECT false, now() - interval '1 hour' * hours, p.id
FROM (SELECT DISTINCT name, collection_id, hours FROM story) s JOIN package p USING (name, collection_id) ORDER BY 2;
INSERT INTO resolution_problem (resolution_id, problem)
SELECT c.id, s.problem FROM story s JOIN package p USING (name, collection_id)
JOIN resolution_change c ON c.package_id = p.id AND NOT c.resolved;
UPDATE package p SET resolved = false FROM story s WHERE s.name = p.name AND s.collection_id = p.collection_id;
-- libsigc++20 was unresolved for a day, two weeks ago; python-lxml as well.
INSERT INTO resolution_change (resolved, "timestamp", package_id)
SELECT r, now() - interval '1 day' * d, p.id FROM package p CROSS JOIN (VALUES (false, 13), (true, 12)) v (r, d)
WHERE p.name IN ('libsigc++20', 'python-lxml') AND p.collection_id = 1 ORDER BY 2;
INSERT INTO resolution_problem (resolution_id, problem)
SELECT c.id, 'No package found for: python3.15dist(cython) >= 3.2' FROM resolution_change c JOIN package p ON p.id = c.package_id
WHERE NOT c.resolved AND p.name IN ('libsigc++20', 'python-lxml');

INSERT INTO unapplied_change (package_id, prev_dep_id, curr_dep_id, distance)
SELECT p.id, c.prev, c.curr, c.distance FROM package p
JOIN (VALUES (25, 26, 1), (21, 22, 2), (17, 18, NULL)) c (prev, curr, distance) ON true
WHERE p.name IN ('systemd', 'ceph', 'gtk4', 'boost') AND p.collection_id = 1;
UPDATE package SET dependency_priority = 416, manual_priority = 100 WHERE name = 'systemd' AND collection_id = 1;
UPDATE package SET static_priority = 1000 WHERE name = 'glibc';
UPDATE package SET arch_override = '^s390x' WHERE name = 'ghc-pandoc';
UPDATE package SET skip_resolution = true, resolved = NULL WHERE name = 'kernel';
UPDATE package SET scheduler_skip_reason = 2 WHERE name = 'qemu' AND collection_id = 1;

-- What the triggers keep, told once more for rows that were changed behind their back.
UPDATE build SET last_complete = false WHERE last_complete;
UPDATE package p SET last_build_id = l.id, last_build_started = l.started, last_complete_build_id = c.id, last_complete_build_state = c.state
FROM package q
LEFT JOIN LATERAL (SELECT id, started FROM build WHERE package_id = q.id AND NOT untagged ORDER BY started DESC LIMIT 1) l ON true
LEFT JOIN LATERAL (SELECT id, state FROM build WHERE package_id = q.id AND NOT untagged AND state <> 2
                   ORDER BY started DESC LIMIT 1) c ON true
WHERE q.id = p.id;
UPDATE build b SET last_complete = true FROM package p WHERE p.last_complete_build_id = b.id;

UPDATE package p SET resolved_repo_id = CASE WHEN c.latest_repo_resolved THEN c.latest_repo_id ELSE 6389980 END
FROM collection c WHERE c.id = p.collection_id AND p.resolved IS NOT NULL;

INSERT INTO scalar_stats VALUES (now() - interval '12 minutes', 240, 230, 5, 1880, 236, 1644);
INSERT INTO resource_consumption_stats
SELECT p.name, t.arch, sum(t.finished - t.started),
       extract(epoch FROM sum(t.finished - t.started)) / (SELECT extract(epoch FROM sum(finished - started)) FROM koji_task)
FROM koji_task t JOIN build b ON b.id = t.build_id JOIN package p ON p.id = b.package_id GROUP BY 1, 2;

-- What is made later gets numbers of its own.
SELECT setval('user_id_seq', 1000), setval('package_group_id_seq', 1000), setval('build_id_seq', 2000000),
       setval('base_package_id_seq', 100000), setval('package_id_seq', 100000);
