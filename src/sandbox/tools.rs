//! The programs that an agent is made of, where they are not the system's: often below the home, which is hidden.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

/// A folder of programs that need another one, both below the home.
const FAMILIES: [(&str, &str); 8] = [
    (".cargo/bin", ".rustup"),
    (".pyenv/shims", ".pyenv"),
    (".rbenv/shims", ".rbenv"),
    (".asdf/shims", ".asdf"),
    (".volta/bin", ".volta"),
    (".local/share/mise/shims", ".local/share/mise"),
    (".local/bin", ".local/share/uv/tools"),
    (".local/bin", ".local/share/pipx/venvs"),
];

/// Longer chains of links are not followed; the kernel's own bound is 40.
const MOST_LINKS: usize = 40;

/// What a program needs to be seen: itself, what is beside it, the packages around it, its interpreter.
pub(super) fn of_program(program: &Path, home: Option<&Path>) -> Vec<PathBuf> {
    let real = program.canonicalize().unwrap_or_else(|_| program.to_owned());
    let mut paths = vec![program.to_owned(), real.clone()];
    paths.extend(links(program).filter(|link| *link != real));
    paths.extend(real.parent().filter(|folder| is_narrow(folder, home)).map(Path::to_owned));
    let packages = real.ancestors().filter(|folder| folder.ends_with("node_modules")).last();
    paths.extend(packages.map(Path::to_owned));
    paths.extend(interpreter(&real));
    paths
}

/// What a link names, and that one where it is a link, too.
fn links(path: &Path) -> impl Iterator<Item = PathBuf> {
    let next = |path: &PathBuf| {
        let named = path.parent()?.join(std::fs::read_link(path).ok()?);
        Some(named.parent()?.canonicalize().ok()?.join(named.file_name()?))
    };
    std::iter::successors(next(&path.to_owned()), next).take(MOST_LINKS)
}

/// The folders in which programs are looked up, and what those programs need.
pub(super) fn on_path(path: &str, home: Option<&Path>) -> Vec<PathBuf> {
    let mut paths = Vec::new();
    for folder in std::env::split_paths(path).filter(|folder| folder.is_absolute() && is_narrow(folder, home))
    {
        // node's own packages, npm among them.
        let packages = folder.parent().map(|prefix| prefix.join("lib/node_modules"));
        paths.extend(packages.filter(|packages| packages.is_dir()));
        let below_home = home.and_then(|home| folder.strip_prefix(home).ok());
        let related = FAMILIES.iter().filter(|(of, _)| below_home == Some(Path::new(of)));
        paths.extend(related.filter_map(|(_, related)| Some(home?.join(related))));
        paths.push(folder);
    }
    paths
}

/// Files and folders that the configured argument vector names, also as `--option=/path`.
pub(super) fn in_arguments(arguments: &[String]) -> Vec<PathBuf> {
    let path = |argument: &String| {
        let named = argument.split_once("=/").map(|(_, path)| format!("/{path}"));
        PathBuf::from(named.filter(|_| argument.starts_with('-')).unwrap_or_else(|| argument.clone()))
    };
    arguments.iter().map(path).filter(|path| path.is_absolute()).collect()
}

/// Whether a folder holds programs rather than somebody's home, or half the machine.
fn is_narrow(folder: &Path, home: Option<&Path>) -> bool {
    folder.parent().is_some() && home.is_none_or(|home| !home.starts_with(folder))
}

/// The folder of what `#!` names.
fn interpreter(program: &Path) -> Option<PathBuf> {
    let mut line = Vec::new();
    BufReader::new(File::open(program).ok()?).take(512).read_until(b'\n', &mut line).ok()?;
    let line = String::from_utf8(line).ok()?;
    let named = Path::new(line.strip_prefix("#!")?.split_ascii_whitespace().next()?);
    named.canonicalize().ok()?.parent().map(Path::to_owned)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Write as _;
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn a_program_comes_with_its_packages_and_its_interpreter() {
        let folder = tempfile::tempdir().unwrap();
        let home = folder.path().canonicalize().unwrap();
        let package = home.join(".nvm/v20/lib/node_modules/@x/agent/node_modules/y");
        fs::create_dir_all(&package).unwrap();
        fs::create_dir_all(home.join("bin")).unwrap();
        let script = package.join("cli.js");
        writeln!(File::create(&script).unwrap(), "#!/bin/sh -e\n").unwrap();
        let program = home.join("bin/agent");
        symlink(&script, &program).unwrap();
        let seen = of_program(&program, Some(&home));
        let sh = Path::new("/bin/sh").canonicalize().unwrap();
        let packages = home.join(".nvm/v20/lib/node_modules");
        assert_eq!(seen, [program, script, package, packages, sh.parent().unwrap().to_owned()]);
        // Each link on the way to it.
        let current = home.join(".nvm/current");
        symlink("v20/lib/node_modules/@x/agent/node_modules/y/cli.js", &current).unwrap();
        let second = home.join("bin/second");
        symlink("../.nvm/current", &second).unwrap();
        assert_eq!(of_program(&second, Some(&home))[..3], [second, seen[1].clone(), current]);
        // A program that lies in the home itself does not bring the home along.
        let alone = home.join("alone");
        File::create(&alone).unwrap();
        assert_eq!(of_program(&alone, Some(&home)), [alone.clone(), alone]);
    }

    #[test]
    fn folders_of_programs_are_shown_and_homes_are_not() {
        let home = Path::new("/home/me");
        let seen = on_path("/opt/x/bin:relative:/home/me:/home:/:/home/me/.cargo/bin:", Some(home));
        assert_eq!(seen, ["/opt/x/bin", "/home/me/.rustup", "/home/me/.cargo/bin"].map(PathBuf::from));
    }

    #[test]
    fn arguments_name_paths() {
        let arguments = ["-p", "--script", "/s.json", "--mcp=/m.json", "a=/b", "--x=y"].map(str::to_owned);
        assert_eq!(in_arguments(&arguments), ["/s.json", "/m.json"].map(PathBuf::from));
    }
}
