//! Caches in a file: what is in memory is bounded, contents are the same, room is given back.

use std::path::PathBuf;

use super::*;
use crate::{
    code::Code,
    inputs::Values,
    model::{Model, Options},
    session::{Cut, Session, Wanted},
    testing,
};

/// Bytes of a slab.
const BYTES: usize = 1 << 20;

/// A folder of a disk, where that of temporary files may be in memory.
fn folder() -> PathBuf {
    let program = std::env::current_exe().expect("this program");
    program.parent().expect("its folder").to_owned()
}

/// A store of which so many bytes may be in memory.
fn store(resident: usize) -> Arc<Store> {
    let place = CacheFile {
        folder: folder(),
        resident,
    };
    let file = tempfile::tempfile_in(&place.folder).expect("a file");
    Arc::new(Store::of(file, &place, 1 << 30).expect("a store"))
}

/// Numbers that differ from slab to slab.
fn numbers(slab: &mut Slab) -> &mut [u64] {
    // SAFETY: slabs are aligned, and nobody else has them.
    unsafe { std::slice::from_raw_parts_mut(slab.as_ptr().cast(), slab.len() / 8) }
}

fn fill(slab: &mut Slab, n: usize) {
    for (at, number) in numbers(slab).iter_mut().enumerate() {
        *number = (n * BYTES + at) as u64;
    }
}

fn check(slab: &mut Slab, n: usize) {
    let numbers = numbers(slab).iter().enumerate();
    assert!(
        { numbers }.all(|(at, number)| *number == (n * BYTES + at) as u64),
        "slab {n}"
    );
}

/// Whether pages of a slab are in memory.
fn in_memory(slab: &Slab) -> usize {
    let mut pages = vec![0; slab.len() / system_page()];
    // SAFETY: there is a byte for each page.
    super::check(unsafe { libc::mincore(slab.as_ptr().cast(), slab.len(), pages.as_mut_ptr()) }).expect("pages");
    pages.iter().filter(|page| **page & 1 != 0).count() * system_page()
}

#[test]
fn of_many_slabs_few_are_in_memory_and_all_have_their_contents() {
    const RESIDENT: usize = 8 * BYTES;
    let store = store(RESIDENT);
    let mut slabs: Vec<Slab> = (0..32).map(|_| store.slab(BYTES).expect("room")).collect();
    let check_memory = |slabs: &[Slab]| {
        store.hold(true);
        let held: usize = slabs.iter().map(in_memory).sum();
        // What the system reads around a page, and ahead of it where pages follow one another, goes when memory grows the next time.
        assert!(
            held <= RESIDENT + 2 * lock(&store.residency).read_around(),
            "{held} bytes"
        );
    };
    for n in 0..slabs.len() {
        fill(&mut slabs[n], n);
        check_memory(&slabs);
    }
    for n in 0..slabs.len() {
        check(&mut slabs[n], n);
        check_memory(&slabs);
    }
}

#[test]
fn what_is_used_again_and_again_stays_in_memory() {
    let store = store(8 * BYTES);
    let mut slabs: Vec<Slab> = (0..32).map(|_| store.slab(BYTES).expect("room")).collect();
    let end = lock(&store.slabs).end;
    for n in 0..slabs.len() {
        fill(&mut slabs[n], n);
        check(&mut slabs[0], 0);
        // More often than memory would have it.
        lock(&store.residency).trim(end, true);
    }
    let held = |slabs: &[Slab]| slabs.iter().map(in_memory).sum::<usize>();
    assert_eq!(held(&slabs[..1]), BYTES);
    assert!(held(&slabs[1..]) < 8 * BYTES);
}

#[test]
fn slabs_that_are_given_back_are_used_again_and_are_zeros() {
    let store = store(8 * BYTES);
    let mut first = store.slab(BYTES - 5).expect("room");
    let (place, length) = (first.as_ptr(), first.len());
    assert_eq!(length, BYTES);
    let mut second = store.slab(BYTES).expect("room");
    fill(&mut first, 1);
    fill(&mut second, 2);
    // SAFETY: nobody reads it any more.
    unsafe { second.release(second.as_ptr().wrapping_add(100), 2 * system_page()) };
    assert_eq!(numbers(&mut second)[system_page() / 8], 0);
    assert_ne!(numbers(&mut second)[1] * numbers(&mut second)[2 * system_page() / 8], 0);
    drop(first);
    let mut again = store.slab(BYTES).expect("room");
    assert_eq!(again.as_ptr(), place);
    assert!(numbers(&mut again).iter().all(|number| *number == 0));
    let end = lock(&store.slabs).end;
    assert_eq!(end, 2 * BYTES);
    let all = store.slab(2 << 30).expect_err("more than there is").to_string();
    assert!(all.contains("the disk is full") && all.contains("2 MiB"), "{all}");
}

fn load(code: Code, caches: bool) -> Model {
    let cache_file = caches.then(|| CacheFile {
        folder: folder(),
        resident: LEAST_RESIDENT,
    });
    let options = Options {
        cache_file,
        ..Options::default()
    };
    Model::load(code, &options).expect("a model")
}

#[test]
fn sessions_with_caches_in_a_file_go_on_as_others_do() {
    let tokens: Vec<i64> = (0..200).map(|n| n * n % 13).collect();
    for code in [testing::rememberer, testing::thinner, testing::dropper] {
        let read = |caches: bool| {
            let model = load(code(), caches);
            let mut session = Session::new(&model).expect("memory");
            let feed = |session: &mut Session, tokens: &[i64]| {
                let inputs = [Values::I64(tokens.to_vec())];
                let fed = session.feed(&inputs, &Cut::new(vec![7]), Wanted::Last, |_| Ok(()));
                fed.expect("tokens");
                session.last(0).expect("a row").to_vec()
            };
            let mut rows = vec![feed(&mut session, &tokens[..150])];
            let mut fork = session.fork().expect("memory");
            rows.push(feed(&mut fork, &tokens[..40]));
            rows.push(feed(&mut session, &tokens[150..]));
            let mut bytes = Vec::new();
            fork.save_to(&mut bytes).expect("a state");
            session.load_from(&bytes).expect("a state");
            session.truncate(170).expect("an earlier token");
            rows.push(feed(&mut session, &tokens[70..]));
            session.reset().expect("memory");
            rows.push(feed(&mut session, &tokens));
            (rows, bytes)
        };
        assert_eq!(read(true), read(false));
    }
}

#[test]
fn places_that_will_not_do_are_refused_with_what_to_do() {
    let refused = |folder: PathBuf, resident: usize| {
        let place = CacheFile { folder, resident };
        Store::create(&place).expect_err("refused").to_string()
    };
    let said = refused(testing::fresh("nowhere"), RESIDENT);
    assert!(
        said.contains("--cache-file") && said.contains("no such folder"),
        "{said}"
    );
    let said = refused(testing::file("a file", b""), RESIDENT);
    assert!(said.contains("no such folder"), "{said}");
    let said = refused(folder(), LEAST_RESIDENT - 1);
    assert!(
        said.contains("--cache-resident") && said.contains("at least 16M"),
        "{said}"
    );
    let memory = PathBuf::from("/dev/shm");
    if memory.is_dir() {
        let said = refused(memory, RESIDENT);
        assert!(said.contains("name a folder of a disk"), "{said}");
    }
}
