-- What a distribution has that the small world of the other tests has not: very long names and versions, hundreds of problems,
-- a package in many groups, notices without an end. It goes on top of world.sql.

INSERT INTO base_package (id, name) VALUES
 (5001, 'rust-this-is-an-extraordinarily-long-package-name-with-features+and-more+default+really-everything-devel-compat-0.1'),
 (5002, 'a_package_name_without_a_single_hyphen_that_goes_on_for_longer_than_anybody_would_like'),
 (5003, 'manyproblems');
INSERT INTO package (id, base_id, name, collection_id, tracked, blocked, resolved)
 SELECT id, id, name, 1, true, false, true FROM base_package WHERE id > 5000;
INSERT INTO build (id, package_id, state, task_id, started, finished, epoch, version, release, repo_id, last_complete, deps_resolved)
 SELECT 5000000 + p.id * 100 + n, p.id, CASE WHEN n = 14 THEN 5 ELSE 3 END, p.id * 1000 + n,
        now() - interval '30 days' + n * interval '2 days', now() - interval '30 days' + n * interval '2 days' + interval '29 hours',
        3, '20260101^git20251231.0123456789abcdef~rc1', '0.1.20260101git0123456789abcdef.fc46.5', 6380000 + n, false, true
 FROM package p, generate_series(1, 14) n WHERE p.id BETWEEN 5001 AND 5002;
INSERT INTO koji_task (build_id, task_id, arch, state, started, finished)
 SELECT b.id, b.task_id * 10 + a.n, a.arch, CASE WHEN b.state = 5 THEN 5 ELSE 2 END, b.started, b.finished
 FROM build b, (VALUES (1, 'x86_64'), (2, 'aarch64'), (3, 'ppc64le'), (4, 's390x'), (5, 'i686'), (6, 'riscv64'), (7, 'noarch')) a(n, arch)
 WHERE b.id > 5000000;
INSERT INTO dependency (id, name, epoch, version, release, arch)
 SELECT 80000 + n, 'dependency-number-with-a-long-name-' || (n / 2), 0, '20260101^git' || n || '.0123456789abcdef', '0.' || n || '.fc46', 'noarch'
 FROM generate_series(2, 801) n;
INSERT INTO applied_change (build_id, prev_dep_id, curr_dep_id, distance)
 SELECT 5000000 + 5001 * 100 + 14, 80000 + 2 * n, 80001 + 2 * n, CASE WHEN n < 30 THEN 1 + n % 5 END FROM generate_series(1, 400) n;

UPDATE package SET resolved = false WHERE id = 5003;
INSERT INTO resolution_change (id, resolved, timestamp, package_id)
 SELECT 90000 + n, false, now() - n * interval '1 day', 5003 FROM generate_series(1, 10) n;
INSERT INTO resolution_problem (resolution_id, problem)
 SELECT 90000 + change, 'nothing provides pkgconfig(some-library-with-a-long-name-' || n || ') >= 1.2.' || n || ' needed by otherpackage-devel-1.0-' || n || '.fc46.x86_64'
 FROM generate_series(1, 10) change, generate_series(1, 500) n;
INSERT INTO buildroot_problem (collection_id, problem)
 SELECT 4, 'nothing provides thing-' || n || ' needed by other-' || n || '-1.x86_64' FROM generate_series(1, 500) n;

INSERT INTO package_group (id, namespace, name) SELECT 100 + n, NULL, 'a-group-with-quite-a-long-name-' || n FROM generate_series(1, 30) n;
INSERT INTO package_group_relation SELECT 100 + n, 5001 FROM generate_series(1, 30) n;
UPDATE admin_notice SET content =
 repeat('A very long notice about something that has to be said because it concerns everybody. ', 30)
 || 'https://status.example.org/' || repeat('a-very-long-address', 3) || repeat('averylongaddress', 30);
