//! What an agent leaves in quarantine is believed only as far as git can check it; all or nothing is taken over.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use cq::environment::Environment;
use cq::git::{Git, PrivateGit, Quarantine, Repository, Worktree};
use tempfile::TempDir;

const BRANCH: &str = "claude/issue-1";

/// A repository with a worktree, the quarantine of its agent, and somebody else's repository with a secret.
struct Place {
    folder: TempDir,
    repository: Repository,
    private: PrivateGit,
    worktree: Worktree,
    quarantine: Quarantine,
    /// The secret's object, in the other repository.
    secret: String,
}

impl Place {
    fn new(format: &str) -> Self {
        let folder = tempfile::Builder::new().prefix("cq quärantine ").tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        let make = |name: &str, content: &str| {
            let repository = root.join(name);
            fs::create_dir(&repository).unwrap();
            plain(&repository, &["init", "-q", "-b", "main", &format!("--object-format={format}")], "");
            fs::write(repository.join("file"), content).unwrap();
            plain(&repository, &["add", "."], "");
            plain(&repository, &["commit", "-q", "-m", content], "");
            repository
        };
        let (repository, other) = (make("repository", "public"), make("other", "secret"));
        let secret = plain(&other, &["rev-parse", "HEAD:file"], "");
        let path = std::env::var("PATH").unwrap();
        let environment: Environment = [("PATH".to_owned(), path)].into_iter().collect();
        let git = Git::find(&environment).unwrap();
        let repository = Repository::open(&git, &repository).unwrap();
        let private = PrivateGit::open(&git, &root.join("repo.git"), &repository).unwrap();
        let base = repository.resolve("refs/heads/main").unwrap().unwrap();
        let worktree = repository.add_worktree(&root.join("work"), BRANCH, &base).unwrap();
        private.fill(&worktree.path, &worktree.git_dir.join("index"), &base).unwrap();
        fs::create_dir(root.join("sandbox")).unwrap();
        let quarantine = Quarantine::at(root.join("sandbox"));
        quarantine.prepare(&repository, &worktree, BRANCH).unwrap();
        Self { folder, repository, private, worktree, quarantine, secret }
    }

    /// git as the agent has it, the mounts played by variables.
    fn agent(&self, args: &[&str], input: &str) -> String {
        let git = self.quarantine.git_dir();
        let own = git.join("worktrees").join(self.worktree.git_dir.file_name().unwrap());
        let mut command = Command::new("git");
        command.current_dir(&self.worktree.path).env("GIT_DIR", own).env("GIT_COMMON_DIR", &git);
        command.env("GIT_WORK_TREE", &self.worktree.path).env("GIT_OBJECT_DIRECTORY", git.join("objects"));
        // Quoted, as its path has letters beyond ASCII nobody minds.
        command.env("GIT_ALTERNATE_OBJECT_DIRECTORIES", self.repository.common_dir().join("objects"));
        run(command, args, input)
    }

    /// The agent's good work; its commit.
    fn work(&self) -> String {
        fs::write(self.worktree.path.join("work"), "hours of work").unwrap();
        self.agent(&["add", "."], "");
        self.agent(&["commit", "-q", "-m", "Good work"], "");
        self.agent(&["rev-parse", "HEAD"], "")
    }

    fn collect(&self) -> cq::error::Result<()> {
        let index = self.worktree.git_dir.join("index");
        self.quarantine.collect(&self.repository, &self.private, Some(&index), BRANCH)
    }

    fn head(&self) -> String {
        self.repository.resolve(&format!("refs/heads/{BRANCH}")).unwrap().unwrap()
    }

    /// The agent's branch, as a file.
    fn branch_file(&self) -> PathBuf {
        self.quarantine.git_dir().join("refs/heads").join(BRANCH)
    }

    fn loose(&self, sha: &str) -> PathBuf {
        self.quarantine.git_dir().join("objects").join(&sha[..2]).join(&sha[2..])
    }

    fn commit_tree(&self, tree: &str) {
        let commit = self.agent(&["commit-tree", tree, "-p", "HEAD", "-m", "Bad"], "");
        fs::write(self.branch_file(), commit).unwrap();
    }

    /// Everything in the repository's object directory.
    fn objects(&self) -> BTreeSet<PathBuf> {
        let mut found = BTreeSet::new();
        let mut left = vec![self.repository.common_dir().join("objects")];
        while let Some(folder) = left.pop() {
            for path in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
                if path.is_dir() { left.push(path) } else { found.insert(path).then_some(()).unwrap() }
            }
        }
        found
    }

    fn other(&self) -> PathBuf {
        self.folder.path().canonicalize().unwrap().join("other/.git")
    }
}

/// git in a repository that nobody tampers with.
fn plain(folder: &Path, args: &[&str], input: &str) -> String {
    let mut command = Command::new("git");
    command.current_dir(folder);
    run(command, args, input)
}

fn run(mut command: Command, args: &[&str], input: &str) -> String {
    let identity = ["AUTHOR", "COMMITTER"].map(|role| {
        [(format!("GIT_{role}_NAME"), "agent"), (format!("GIT_{role}_EMAIL"), "agent@localhost")]
    });
    command.args(args).envs(identity.into_iter().flatten());
    command.env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_NOSYSTEM", "1");
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "git {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
}

#[test]
fn good_work_is_collected_once_however_often_it_is_asked_for() {
    for format in ["sha1", "sha256"] {
        let place = Place::new(format);
        place.collect().unwrap();
        assert_eq!(place.objects().len(), 3, "nothing was new");
        let head = place.work();
        place.collect().unwrap();
        assert_eq!(place.head(), head);
        let objects = place.objects();
        place.collect().unwrap();
        assert_eq!((place.head(), place.objects()), (head.clone(), objects));
        assert_eq!(plain(&place.worktree.path, &["status", "--porcelain"], ""), "", "{format}");
        // A commit of cq's on top, as for leftovers, is not taken back.
        let top = plain(&place.worktree.path, &["commit-tree", "HEAD^{tree}", "-p", "HEAD", "-m", "cq"], "");
        place.repository.set_ref(&format!("refs/heads/{BRANCH}"), &top).unwrap();
        place.collect().unwrap();
        assert_eq!(place.head(), top);
        // What the agent wrote over its own commit counts too.
        place.repository.set_ref(&format!("refs/heads/{BRANCH}"), &head).unwrap();
        place.agent(&["commit", "-q", "--amend", "-m", "Better"], "");
        place.collect().unwrap();
        assert_eq!(plain(&place.worktree.path, &["log", "-1", "--format=%s"], ""), "Better");
        plain(&place.worktree.path, &["fsck", "--full", "--strict"], "");
    }
}

#[test]
fn packs_are_collected_whatever_their_index_says() {
    let place = Place::new("sha1");
    let head = place.work();
    place.agent(&["repack", "-q", "-a", "-d", "-l"], "");
    let packs = place.quarantine.git_dir().join("objects/pack");
    for path in fs::read_dir(packs).unwrap().map(|entry| entry.unwrap().path()) {
        if path.extension().is_some_and(|end| end != "pack") {
            fs::remove_file(&path).unwrap();
            fs::write(&path, "nonsense").unwrap();
        }
    }
    place.collect().unwrap();
    assert_eq!(place.head(), head);
}

/// Wherever a collection was killed, the next one ends it.
#[test]
fn a_collection_that_was_killed_is_ended_by_the_next() {
    let place = Place::new("sha1");
    let before = place.head();
    let head = place.work();
    let lock = place.repository.common_dir().join(format!("refs/heads/{BRANCH}.lock"));
    fs::write(&lock, "").unwrap();
    place.collect().unwrap_err();
    assert_eq!(place.head(), before, "objects are there, the branch is not moved");
    fs::remove_file(&lock).unwrap();
    place.collect().unwrap();
    assert_eq!(place.head(), head);

    let place = Place::new("sha1");
    let head = place.work();
    let note = place.quarantine.git_dir().with_file_name("collected");
    let noted = fs::read(&note).unwrap();
    place.collect().unwrap();
    fs::write(&note, noted).unwrap();
    place.collect().unwrap();
    assert_eq!((place.head(), fs::read_to_string(&note).unwrap()), (head.clone(), head));
}

type Tamper = fn(&Place);

/// What an agent did, and what is said of it.
const TAMPERINGS: [(&str, Tamper, &str); 14] = [
    (
        "names another ref",
        |p| fs::write(p.branch_file(), "ref: refs/heads/main").unwrap(),
        "no commit's name",
    ),
    ("names no commit", |p| fs::write(p.branch_file(), "main").unwrap(), "no commit's name"),
    (
        "names what is nowhere",
        |p| fs::write(p.branch_file(), "1".repeat(40)).unwrap(),
        "read the agent's commits",
    ),
    (
        "links its branch to a file of somebody's",
        |p| {
            fs::remove_file(p.branch_file()).unwrap();
            symlink(p.other().join("refs/heads/main"), p.branch_file()).unwrap();
        },
        "cannot read 'claude/issue-1'",
    ),
    (
        "puts a pipe in place of its branch",
        |p| {
            fs::remove_file(p.branch_file()).unwrap();
            assert!(Command::new("mkfifo").arg(p.branch_file()).status().unwrap().success());
        },
        "cannot read 'claude/issue-1'",
    ),
    (
        "names a tree",
        |p| fs::write(p.branch_file(), p.agent(&["rev-parse", "HEAD^{tree}"], "")).unwrap(),
        "agent",
    ),
    (
        "names a tag",
        |p| {
            p.agent(&["tag", "-a", "-m", "x", "x"], "");
            fs::write(p.branch_file(), p.agent(&["rev-parse", "refs/tags/x"], "")).unwrap();
        },
        "which is no commit",
    ),
    (
        "deletes its objects",
        |p| {
            for path in fs::read_dir(p.quarantine.git_dir().join("objects")).unwrap() {
                fs::remove_dir_all(path.unwrap().path()).unwrap();
            }
        },
        "read the agent's commits",
    ),
    (
        "deletes one of them",
        |p| fs::remove_file(p.loose(&p.agent(&["rev-parse", "HEAD:work"], ""))).unwrap(),
        "agent's commits",
    ),
    (
        "borrows from another repository",
        |p| {
            let alternates = p.quarantine.git_dir().join("objects/info/alternates");
            fs::write(alternates, format!("{}\n", p.other().join("objects").display())).unwrap();
            p.commit_tree(&p.agent(&["mktree", "--missing"], &format!("100644 blob {}\tstolen\n", p.secret)));
        },
        "agent's commits",
    ),
    (
        "links an object of another repository",
        |p| {
            let file = p.loose(&p.secret);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            symlink(p.other().join("objects").join(&p.secret[..2]).join(&p.secret[2..]), &file).unwrap();
            p.commit_tree(&p.agent(&["mktree", "--missing"], &format!("100644 blob {}\tstolen\n", p.secret)));
        },
        "agent's commits",
    ),
    (
        "links a folder of another repository's objects",
        |p| {
            let folder = p.loose(&p.secret).parent().unwrap().to_owned();
            let _ = fs::remove_dir_all(&folder);
            symlink(p.other().join("objects").join(&p.secret[..2]), &folder).unwrap();
            p.commit_tree(&p.agent(&["mktree", "--missing"], &format!("100644 blob {}\tstolen\n", p.secret)));
        },
        "agent's commits",
    ),
    (
        "forges an object",
        |p| {
            let real = p.loose(&p.agent(&["rev-parse", "HEAD:work"], ""));
            let forged = p.loose(&p.agent(&["hash-object", "-w", "--stdin"], "something else"));
            fs::remove_file(&real).unwrap();
            fs::copy(forged, real).unwrap();
        },
        "agent's commits",
    ),
    (
        "commits a folder called .git",
        |p| {
            let hooks = p.agent(&["rev-parse", "HEAD^{tree}"], "");
            let mut entry = b"40000 .git\0".to_vec();
            let bytes =
                (0..hooks.len()).step_by(2).map(|at| u8::from_str_radix(&hooks[at..at + 2], 16).unwrap());
            entry.extend(bytes);
            let file = p.worktree.path.join("tree");
            fs::write(&file, entry).unwrap();
            let args = ["hash-object", "-w", "-t", "tree", "--literally", file.to_str().unwrap()];
            p.commit_tree(&p.agent(&args, ""));
        },
        "hasDotgit",
    ),
];

#[test]
fn what_cannot_be_checked_is_not_taken_over() {
    for (name, tamper, said) in TAMPERINGS {
        let place = Place::new("sha1");
        let (head, objects) = (place.head(), place.objects());
        place.work();
        tamper(&place);
        let Err(error) = place.collect() else { panic!("{name}: it was taken over") };
        assert!(error.to_string().contains(said), "{name}: {error}");
        assert_eq!(place.head(), head, "{name}");
        let common = place.repository.common_dir();
        plain(common, &["fsck", "--full", "--strict"], "");
        let secret = Command::new("git").args(["cat-file", "-e", &place.secret]).current_dir(common).status();
        assert!(!secret.unwrap().success(), "{name}: the secret was stolen");
        // A tag, a tree and their objects are sound; the branch just does not go there.
        if !name.starts_with("names a t") {
            assert_eq!(place.objects(), objects, "{name}");
        }
    }
}

#[test]
fn a_branch_that_somebody_else_moved_is_left_alone() {
    let place = Place::new("sha1");
    place.work();
    let theirs = plain(&place.worktree.path, &["commit-tree", "HEAD^{tree}", "-m", "theirs"], "");
    place.repository.set_ref(&format!("refs/heads/{BRANCH}"), &theirs).unwrap();
    let error = place.collect().unwrap_err();
    assert!(error.to_string().contains("somebody else has moved 'claude/issue-1'"), "{error}");
    assert_eq!(place.head(), theirs);
}

#[test]
fn a_branch_that_the_agent_removed_stays_where_it_was() {
    let place = Place::new("sha1");
    let head = place.head();
    place.work();
    fs::remove_file(place.branch_file()).unwrap();
    place.collect().unwrap();
    assert_eq!(place.head(), head);
}
