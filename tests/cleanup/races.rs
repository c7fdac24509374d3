//! Folders that are swapped for links while they are removed: nothing outside is touched.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use cq::state::folder::{self, Identity};
use cq::state::removal::{self, Freed};
use rustix::fs::{CWD, RenameFlags, renameat_with};
use serde_json::json;

use crate::mess::{assert_same, things};
use crate::{assert_all_gone, failed, instance, long};

/// What nobody may touch.
fn precious(root: &Path) -> PathBuf {
    let outside = root.join("outside");
    for folder in ["", "a", "b/c"] {
        fs::create_dir_all(outside.join(folder)).unwrap();
        for name in ["one", "two", "three"] {
            fs::write(outside.join(folder).join(name), format!("{folder}/{name}")).unwrap();
        }
    }
    outside
}

/// A small tree with the names of what is outside, and links beside its folders that lead there.
fn plant(tree: &Path, outside: &Path) {
    for folder in ["a", "b/c", "d"] {
        fs::create_dir_all(tree.join(folder)).unwrap();
        for name in ["one", "two"] {
            fs::write(tree.join(folder).join(name), "x").unwrap();
        }
    }
    for link in ["a-link", "b-link", "b/c-link", "d-link"] {
        symlink(outside, tree.join(link)).unwrap();
    }
}

fn exchange(a: &Path, b: &Path) -> bool {
    renameat_with(CWD, a, CWD, b, RenameFlags::EXCHANGE).is_ok()
}

/// Ends whoever looks at it, however the test ends.
struct Until<'d>(&'d AtomicBool);

impl Drop for Until<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Swaps folders of a tree for links to the outside, and back, until it is told to end; gives how often it did.
fn swap(tree: &Path, outside: &Path, done: &AtomicBool) -> u64 {
    let mut swapped = 0;
    while !done.load(Ordering::Relaxed) {
        for (a, b) in [("a", "a-link"), ("b", "b-link"), ("b/c", "b/c-link"), ("d", "d-link")] {
            swapped += u64::from(exchange(&tree.join(a), &tree.join(b)));
        }
        // Without the exchange: moved away, a link in its place.
        if fs::rename(tree.join("d"), tree.join("d-moved")).is_ok() {
            swapped += u64::from(symlink(outside, tree.join("d")).is_ok());
        }
        // And the tree itself.
        let beside = tree.with_extension("beside");
        if fs::rename(tree, &beside).is_ok() {
            let _ = symlink(outside, tree);
            let _ = fs::remove_file(tree);
            swapped += u64::from(fs::rename(&beside, tree).is_ok());
        }
    }
    swapped
}

#[test]
fn ten_thousand_removals_under_renames_touch_nothing_outside() {
    let turns = if long() { 100_000 } else { 10_000 };
    // In memory where that is possible: the disk would set the pace.
    let root = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
    let outside = precious(root.path());
    let before = things(&outside);
    let tree = root.path().join("tree");
    let (done, swaps) = (AtomicBool::new(false), AtomicU64::new(0));
    let parent = folder::open(root.path()).unwrap();
    let (mut whole, mut refused) = (0, 0);
    std::thread::scope(|scope| {
        let swapper = scope.spawn(|| swap(&tree, &outside, &done));
        let until = Until(&done);
        for turn in 0..turns {
            // The swapper may have any of this in its hands.
            for left in ["tree", "tree.beside"] {
                let left = root.path().join(left);
                while left.symlink_metadata().is_ok() {
                    let _ =
                        if left.is_symlink() { fs::remove_file(&left) } else { fs::remove_dir_all(&left) };
                }
            }
            let fresh = root.path().join("fresh");
            plant(&fresh, &outside);
            let identity = Identity::at(&parent, "fresh").unwrap().unwrap();
            // A link of the swapper's may be there for a moment.
            while fs::rename(&fresh, &tree).is_err() {}
            match removal::remove(&parent, "tree", identity) {
                Ok(Freed { entries: 0, .. }) | Err(_) => refused += 1,
                Ok(_) => whole += 1,
            }
            if turn % 500 == 0 {
                assert_same(&before, &things(&outside));
            }
        }
        drop(until);
        swaps.store(swapper.join().unwrap(), Ordering::Relaxed);
    });
    assert_same(&before, &things(&outside));
    let swaps = swaps.load(Ordering::Relaxed);
    println!("{turns} removals: {whole} to the end, {refused} refused; {swaps} swaps meanwhile");
    assert!(swaps > turns / 10, "only {swaps} swaps: nothing was shown");
    assert!(whole > turns / 10, "only {whole} removals came to their end");
}

/// The command itself, with somebody swapping folders in the workspace and the workspace itself all the while.
#[test]
fn the_command_under_renames_touches_nothing_outside() {
    let issues = if long() { 30 } else { 6 };
    let house = failed(issues);
    house.configure(|config| config["workspace"]["cleanupAfterHours"] = json!(0));
    let outside = precious(house.root());
    let before = things(&outside);
    for issue in 1..=issues {
        let instance = instance(&house, issue);
        let tree = house.workspace(instance).join("widgets/tree");
        plant(&tree, &outside);
        let done = AtomicBool::new(false);
        let workspace = house.workspace(instance);
        let beside = house.place("a-link");
        let _ = fs::remove_file(&beside);
        symlink(&outside, &beside).unwrap();
        std::thread::scope(|scope| {
            let swapper = scope.spawn(|| {
                let (tree, done) = (&tree, &done);
                let mut swapped = 0;
                while !done.load(Ordering::Relaxed) {
                    swapped += u64::from(exchange(&tree.join("a"), &tree.join("a-link")));
                    swapped += u64::from(exchange(&tree.join("b/c"), &tree.join("b/c-link")));
                    swapped += u64::from(exchange(&workspace, &beside));
                }
                // As it was, unless it has gone.
                if workspace.is_symlink() {
                    exchange(&workspace, &beside);
                }
                swapped
            });
            let until = Until(&done);
            let name = format!("claude-instance-{instance}");
            // It may well be refused while somebody does this; it is never wrong.
            for _ in 0..5 {
                house.cq("cleanup").args(["--force", &name]).run();
            }
            drop(until);
            assert!(swapper.join().unwrap() > 0);
        });
        assert_same(&before, &things(&outside));
        let last = house.cq("cleanup").args(["--force", &format!("claude-instance-{instance}")]).run();
        assert!(
            house.workspace(instance).symlink_metadata().is_err(),
            "it goes once nobody swaps it: {last:?}"
        );
    }
    house.cq("cleanup").run();
    assert_all_gone(&house);
    assert_same(&before, &things(&outside));
}
