//! The name of an instance is free long before its files are gone.

use std::fs::{self, File};
use std::time::{Duration, Instant};

use crate::{assert_all_gone, failed, long};

#[test]
fn a_name_is_free_before_git_would_have_removed_a_worktree() {
    let files = if long() { 15_000 } else { 3_000 };
    let house = failed(1);
    let worktree = house.workspace(1).join("widgets");
    for number in 0..files {
        let folder = worktree.join(format!("many/{}", number / 100));
        if number % 100 == 0 {
            fs::create_dir_all(&folder).unwrap();
        }
        fs::write(folder.join(number.to_string()), number.to_string()).unwrap();
    }
    house.git_in(&worktree, &["add", "."]);
    // What git starts in the background would work in it for a while.
    house.git_in(
        &worktree,
        &["-c", "maintenance.auto=false", "-c", "gc.auto=0", "commit", "--quiet", "-m", "Many"],
    );
    let head = house.git_in(&worktree, &["rev-parse", "HEAD"]);
    fs::write(worktree.join("dirty"), "dirty").unwrap();
    let other = house.place("other");
    house.git(&["worktree", "add", "--quiet", "--detach", other.to_str().unwrap(), &head]);
    let began = Instant::now();
    house.git(&["worktree", "remove", other.to_str().unwrap()]);
    let git = began.elapsed();

    let lock = File::open(house.state_dir().join("instances/claude-instance-1.lock")).unwrap();
    let is_free = || {
        let gone = house.workspace(1).symlink_metadata().is_err();
        let free = gone && fs2::FileExt::try_lock_shared(&lock).is_ok();
        let _ = fs2::FileExt::unlock(&lock);
        free
    };
    let began = Instant::now();
    let said = File::create(house.place("said")).unwrap();
    let mut child =
        house.cq("cleanup").args(["claude-instance-1"]).start_into(said.try_clone().unwrap(), said);
    while !is_free() {
        let said = || fs::read_to_string(house.place("said")).unwrap();
        assert!(began.elapsed() < Duration::from_secs(60), "it does not come free: {}", said());
        std::thread::sleep(Duration::from_micros(500));
    }
    let free = began.elapsed();
    assert!(child.wait().unwrap().success());
    let whole = began.elapsed();
    println!(
        "git worktree remove: {git:?}; the name was free after {free:?} ({:.3} of it), everything done after {whole:?}",
        free.as_secs_f64() / git.as_secs_f64()
    );
    assert!(free < git, "free after {free:?}; git removes a worktree in {git:?}");
    assert_all_gone(&house);
    assert_eq!(house.git(&["show", "refs/cq/rescue/1/1:dirty"]), "dirty");
}
