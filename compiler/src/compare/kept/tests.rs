//! Which kept profiles are used again.

use super::*;
use crate::compare::profile::{Probed, sample};
use std::os::unix::fs::PermissionsExt;

/// A folder of the user, and a place in it.
fn folder() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a folder");
    let place = folder.path().join("seqc").join("machine.json");
    (folder, place)
}

fn reason(profile: &Profile) -> String {
    let (_folder, place) = folder();
    write(&place, profile).expect("written");
    match read_at(&place) {
        Kept::Bad(reason) => reason,
        other => panic!("used: {other:?}"),
    }
}

#[test]
fn what_is_kept_is_found_again_and_private() {
    let (_folder, place) = folder();
    assert!(matches!(read_at(&place), Kept::Missing));
    let profile = sample();
    write(&place, &profile).expect("written");
    assert!(matches!(read_at(&place), Kept::Good(found) if *found == profile));
    let mode = |path: &Path| path.metadata().expect("there").permissions().mode() & 0o777;
    assert_eq!(
        (mode(&place), mode(place.parent().expect("its folder"))),
        (0o600, 0o700)
    );
    // Nothing else is left there, and a second one takes the place of the first.
    write(&place, &profile).expect("written");
    assert_eq!(
        fs::read_dir(place.parent().expect("its folder")).expect("read").count(),
        1
    );
}

#[test]
fn what_is_of_another_machine_or_old_is_not_used() {
    let mut other = sample();
    other.machine["microcode"] = "0x0".into();
    assert!(reason(&other).contains("another machine"));
    let mut old = sample();
    let probed = |at: u64| {
        Some(Probed {
            at,
            ..Probed::now(None, 0.0)
        })
    };
    old.probed = probed(Probed::now(None, 0.0).at - 45 * DAY);
    assert!(reason(&old).contains("45 days old"));
    old.probed = probed(Probed::now(None, 0.0).at + DAY);
    assert!(reason(&old).contains("no valid date"));
    old.probed = None;
    assert!(reason(&old).contains("no valid date"));
}

#[test]
fn what_was_measured_on_a_busy_machine_is_not_used() {
    let mut fast = sample();
    fast.all.read.last_mut().expect("a rate").1 = 1.04e12;
    assert!(reason(&fast).contains("not plausible: memory"), "{}", reason(&fast));
    let mut slow = sample();
    slow.all.step = 90e-6;
    assert!(reason(&slow).contains("an empty kernel"), "{}", reason(&slow));
}

#[test]
fn what_others_can_write_is_not_trusted() {
    let (_folder, place) = folder();
    write(&place, &sample()).expect("written");
    let open = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("set");
    open(&place, 0o622);
    assert!(matches!(read_at(&place), Kept::Bad(reason) if reason.contains("other users can write")));
    open(&place, 0o600);
    let parent = place.parent().expect("its folder");
    open(parent, 0o777);
    assert!(matches!(read_at(&place), Kept::Bad(reason) if reason.contains("other users can write")));
    assert!(write(&place, &sample()).is_err());
    open(parent, 0o700);
    // Neither is a folder that is a link to one.
    let link = parent.with_file_name("link");
    std::os::unix::fs::symlink(parent, &link).expect("linked");
    assert!(matches!(read_at(&link.join("machine.json")), Kept::Bad(_)));
    fs::write(&place, "{").expect("written");
    assert!(matches!(read_at(&place), Kept::Bad(_)));
}
