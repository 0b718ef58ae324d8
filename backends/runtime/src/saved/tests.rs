//! Saved sessions: what a file holds, and which files are refused.

use seqc_abi::Word;

use super::*;
use crate::testing::{self, slot};

/// One entry that counts tokens, and the pages that it counts for.
fn ticking() -> Descriptor {
    let pages = |count| StateKind::Pages {
        page_bytes: 8,
        pinned: 0,
        pages: None,
        count,
        rewritten: false,
        dropped: None,
    };
    Descriptor {
        states: vec![
            slot("kept", pages(Some(Word { entry: 1, word: 0 }))),
            slot("ticks", StateKind::Fixed { bytes: 8 }),
            slot("all", pages(None)),
        ],
        ..testing::descriptor("ticking")
    }
}

fn owner(descriptor: &Descriptor) -> Owner<'_> {
    Owner {
        descriptor,
        weights: "some",
        store: None,
    }
}

fn fill(state: &mut State, slot: usize, mut bytes: &[u8]) {
    let length = bytes.len();
    let filled = state.fill(slot, length, |piece| bytes.read_exact(piece));
    filled.expect("so many bytes");
}

fn after(descriptor: &Descriptor, ticks: u64, position: u64) -> Sequence {
    let mut state = State::new(descriptor, None).expect("memory");
    state.reserve(descriptor, 0, position).expect("memory");
    fill(&mut state, 1, &ticks.to_le_bytes());
    Sequence {
        state,
        position,
        prompts: Prompts::default(),
    }
}

/// A session whose tokens were all read.
fn of<'a>(sequence: &'a Sequence, history: &'a History) -> Snapshot<'a> {
    Snapshot {
        sequence,
        tokens: &[],
        last: None,
        history,
    }
}

#[test]
fn only_pages_of_counted_tokens_are_saved() {
    let descriptor = ticking();
    let mut state = after(&descriptor, 70, 1000);
    fill(&mut state.state, 0, b"two pages of it!");
    let path = testing::fresh("state");
    let history = History::default();
    save(&path, &[], owner(&descriptor), of(&state, &history)).expect("saved");
    let found = load(&path, owner(&descriptor)).expect("loaded");
    assert_eq!(found.sequence.state.tokens(&descriptor.states[0], 1000), 70);
    assert_eq!(found.sequence.state.kept(0, 16).concat(), b"two pages of it!");
    assert_eq!(found.sequence.position, 1000);
    // 16 pages of all tokens, two of those that were counted.
    let size = fs::metadata(&path).expect("a file").len() as usize;
    let head = MAGIC.len() + 8 + owner(&descriptor).identity().len() + 4 * 8 + history.to_bytes().len();
    assert_eq!(size, head + 8 + 8 + 2 * 8 + 16 * 8 + 4);
}

#[test]
fn room_follows_the_counted_tokens() {
    let descriptor = ticking();
    let mut state = State::new(&descriptor, None).expect("memory");
    for position in (0..1 << 20).step_by(256) {
        state.reserve(&descriptor, position, 256).expect("memory");
    }
    // Both other entries have room for all tokens.
    let others = 8 + 8 * (1 << 20) / 64;
    assert!(state.bytes() < others + 100, "{}", state.bytes());
}

#[test]
fn more_ticks_than_tokens_are_refused() {
    // Ticks that nothing else counts are the positions of a part of the model.
    let alone = Descriptor {
        states: vec![
            slot("none", StateKind::Fixed { bytes: 0 }),
            slot("ticks", StateKind::Fixed { bytes: 8 }),
        ],
        ticks: vec![Word { entry: 1, word: 0 }],
        ..testing::descriptor("ticking")
    };
    for (descriptor, ticks) in [(ticking(), 1001), (ticking(), u64::MAX), (alone, 1001)] {
        let path = testing::fresh("state");
        let state = after(&descriptor, 10, 1000);
        let history = History::default();
        save(&path, &[], owner(&descriptor), of(&state, &history)).expect("saved");
        let mut bytes = fs::read(&path).expect("a file");
        let at = MAGIC.len() + 8 + owner(&descriptor).identity().len() + 5 * 8 + history.to_bytes().len();
        bytes[at..at + 8].copy_from_slice(&ticks.to_le_bytes());
        fs::write(&path, bytes).expect("a file");
        let message = load(&path, owner(&descriptor)).expect_err("damaged").to_string();
        assert!(message.contains("damaged"), "{message}");
    }
}

#[test]
fn another_model_and_other_weights_are_told_apart() {
    let descriptor = ticking();
    let path = testing::fresh("state");
    save(
        &path,
        &[],
        owner(&descriptor),
        of(&after(&descriptor, 10, 1000), &History::default()),
    )
    .expect("saved");
    let refused = |owner: Owner| load(&path, owner).expect_err("refused").to_string();
    let said = refused(Owner {
        weights: "others",
        ..owner(&descriptor)
    });
    assert!(said.contains("other weights"), "{said}");
    let other = Descriptor {
        hash: "another".to_owned(),
        ..descriptor.clone()
    };
    let said = refused(owner(&other));
    assert!(said.contains("another model"), "{said}");
    let mut bytes = fs::read(&path).expect("a file");
    bytes[MAGIC.len()] = 3;
    fs::write(&path, bytes).expect("a file");
    let said = refused(owner(&descriptor));
    assert!(said.contains("version 3") && said.contains("make it again"), "{said}");
}

#[test]
fn a_state_is_never_written_over_an_input() {
    let descriptor = ticking();
    let weights = testing::file("weights", b"precious");
    let state = after(&descriptor, 10, 1000);
    let link = testing::fresh("link");
    fs::hard_link(&weights, &link).expect("a link");
    for path in [&weights, &link] {
        let refused = save(
            path,
            std::slice::from_ref(&weights),
            owner(&descriptor),
            of(&state, &History::default()),
        );
        assert_eq!(refused.expect_err("refused").status(), 2);
        assert_eq!(fs::read(&weights).expect("a file"), b"precious");
    }
    let full = save(
        Path::new("/dev/full"),
        &[],
        owner(&descriptor),
        of(&state, &History::default()),
    );
    assert!(full.expect_err("full").to_string().contains("/dev/full"));
}

#[test]
fn where_prompts_ended_is_saved_and_unknown_in_states_of_version_4() {
    let descriptor = ticking();
    let history = History::default();
    let mut sequence = after(&descriptor, 10, 1000);
    sequence.prompts = Prompts::of(vec![Prompt { said: 300, end: 1000 }], 1000).expect("a prompt");
    let mut bytes = Vec::new();
    save_to(&mut bytes, owner(&descriptor), of(&sequence, &history)).expect("saved");
    let found = load_from(&bytes, owner(&descriptor)).expect("loaded");
    assert_eq!(found.sequence.prompts, sequence.prompts);
    let at = MAGIC.len() + 8 + owner(&descriptor).identity().len() + 4 * 8 + history.to_bytes().len();
    assert_eq!(bytes[at..at + 8], 1_u64.to_le_bytes());
    for claim in [2, 1 << 60] {
        let mut bad = bytes.clone();
        bad[at..at + 8].copy_from_slice(&u64::to_le_bytes(claim));
        assert!(load_from(&bad, owner(&descriptor)).is_err());
    }
    bytes.drain(at..at + 3 * 8);
    bytes[MAGIC.len()] = 4;
    let end = bytes.len() - 4;
    let sum = crc32fast::hash(&bytes[..end]).to_le_bytes();
    bytes[end..].copy_from_slice(&sum);
    let found = load_from(&bytes, owner(&descriptor)).expect("loaded");
    assert_eq!(found.sequence.prompts, Prompts::default());
}

#[test]
fn states_that_dropped_more_than_they_have_are_refused() {
    let mut descriptor = ticking();
    let StateKind::Pages { dropped, .. } = &mut descriptor.states[0].kind else {
        panic!("the first entry is a cache");
    };
    *dropped = Some(Word { entry: 1, word: 1 });
    descriptor.states[1].kind = StateKind::Fixed { bytes: 16 };
    let saved = |ticks: u64, dropped: u64| {
        let mut sequence = after(&descriptor, 10, 1000);
        fill(&mut sequence.state, 1, &[ticks, dropped].map(u64::to_le_bytes).concat());
        sequence.state.settle(&descriptor, 1000);
        let mut bytes = Vec::new();
        save_to(&mut bytes, owner(&descriptor), of(&sequence, &History::default())).expect("saved");
        bytes
    };
    let [all, fewer] = [0, 130].map(|dropped| saved(200, dropped));
    assert_eq!(all.len() - fewer.len(), 2 * 8);
    let found = load_from(&fewer, owner(&descriptor)).expect("loaded");
    assert_eq!(found.sequence.state.kept(0, 4 * 8).len(), 2);
    for dropped in [201, u64::MAX] {
        let message = load_from(&saved(200, dropped), owner(&descriptor))
            .expect_err("damaged")
            .to_string();
        assert!(message.contains("damaged"), "{message}");
    }
}
