//! In the steady state a solver asks for no memory: seen by an allocator that counts.

#![allow(clippy::unwrap_used, reason = "a test may fail")]
#![allow(unsafe_code, reason = "an allocator cannot be written without")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use depsolve::{Request, Resolution, Solver, Universe};
use rpm::md::Package;
use rpm::{Dep, Nevra};

struct Counting;

thread_local! {
    static COUNT: Cell<u64> = const { Cell::new(0) };
}

// SAFETY: everything is left to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let _ = COUNT.try_with(|count| count.set(count.get() + 1));
        // SAFETY: the caller keeps the contract of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller keeps the contract of `dealloc`.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        let _ = COUNT.try_with(|count| count.set(count.get() + 1));
        // SAFETY: the caller keeps the contract of `realloc`.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn package(n: usize, requires: &[String], recommends: &[String]) -> Package {
    let deps =
        |texts: &[String]| -> Vec<Dep> { texts.iter().map(|text| text.parse().unwrap()).collect() };
    Package {
        nevra: Nevra::new(format!("p{n}"), 0, "1", "1", "noarch"),
        provides: vec![format!("group{} = {n}", n % 20).parse().unwrap()],
        requires: deps(requires).into_iter().map(Into::into).collect(),
        recommends: deps(recommends),
        suggests: deps(&[format!("group{}", (n + 3) % 20)]),
        supplements: deps(&[format!("(p{} and p{})", n / 2, n / 3)]),
        ..Package::default()
    }
}

#[test]
fn the_second_round_allocates_nothing() {
    // Choices, weak dependencies and branches that are taken back, in a repository of 400 packages.
    let packages = (0..400).map(|n| {
        let requires = [format!("p{}", n / 2), format!("group{} >= {}", n % 20, n / 2)];
        let recommends =
            [format!("group{}", (n + 7) % 20), format!("(p{} or p{})", (n + 50) % 400, n / 5)];
        package(n, &requires, &recommends)
    });
    let universe = Universe::from_packages(packages, "x86_64", []).unwrap();
    let requests: Vec<Vec<Dep>> = (0..200)
        .map(|n| {
            [format!("p{n}"), format!("group{}", n % 20)].map(|text| text.parse().unwrap()).to_vec()
        })
        .collect();
    let group = ["p1".to_owned(), "group5".to_owned()];
    let mut solver = Solver::new(&universe);
    let mut resolution = Resolution::default();
    let mut round = || {
        let mut installs = 0;
        for build_requires in &requests {
            let request = Request { build_group: &group, build_requires, weak_deps: true };
            solver.resolve_into(&request, &mut resolution);
            assert!(resolution.resolved());
            installs += resolution.installs.len();
        }
        installs
    };
    let first = round();
    let before = COUNT.with(Cell::get);
    let second = round();
    let allocations = COUNT.with(Cell::get) - before;
    assert_eq!(first, second);
    assert!(first > 200 * 10, "the requests are too easy: {first} installs");
    assert_eq!(allocations, 0);
}
