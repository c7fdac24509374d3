//! Ways to plant code where another's git will find it, each with the plain git command that steps into it.
//!
//! Scripts run in the owner's clone with these variables: `EVIL`, a program that leaves the canary and then copies
//! its input; `Q`, the same quoted for a shell in a configuration; `G`, the common git directory; `W`, a worktree
//! of the clone (empty while there is none); `AWAY`, a folder outside of everything.

/// A trap.
pub(crate) struct Trap {
    pub(crate) name: &'static str,
    /// Sets it; may be done again and again.
    pub(crate) plant: &'static str,
    /// Plain git, which steps into it.
    pub(crate) step: &'static str,
    /// Whether git as it is known does so.
    pub(crate) springs: bool,
    /// Whether cq can still do its work; where a worktree was bent away from its repository it need not.
    pub(crate) passable: bool,
}

const fn trap(name: &'static str, plant: &'static str, step: &'static str) -> Trap {
    Trap { name, plant, step, springs: true, passable: true }
}

/// One that git guards against by itself, or that needs a terminal.
const fn blunt(name: &'static str, plant: &'static str) -> Trap {
    Trap { name, plant, step: "git status && git fetch --quiet .", springs: false, passable: true }
}

/// One that bends a worktree.
const fn bent(name: &'static str, plant: &'static str, step: &'static str) -> Trap {
    Trap { name, plant, step, springs: true, passable: false }
}

const HOOK: &str =
    r#"hook() { mkdir -p "$2"; printf '#!/bin/sh\nexec %s\n' "$Q" > "$2/$1"; chmod +x "$2/$1"; }; "#;

/// Put before every plant and step.
pub(crate) const PRELUDE: &str = HOOK;

/// All of them.
pub(crate) const TRAPS: [Trap; 43] = [
    trap("hook pre-commit", r#"hook pre-commit "$G/hooks""#, "git commit --quiet --allow-empty -m x"),
    trap("hook post-commit", r#"hook post-commit "$G/hooks""#, "git commit --quiet --allow-empty -m x"),
    trap(
        "hook pre-push",
        r#"hook pre-push "$G/hooks""#,
        r#"git push --quiet "$AWAY/bare" HEAD:refs/heads/x"#,
    ),
    trap("hook post-checkout", r#"hook post-checkout "$G/hooks""#, "git checkout --quiet --detach"),
    trap(
        "hook reference-transaction",
        r#"hook reference-transaction "$G/hooks""#,
        "git update-ref refs/heads/x HEAD",
    ),
    trap("hook post-index-change", r#"hook post-index-change "$G/hooks""#, "git add --all"),
    trap(
        "core.hooksPath",
        r#"for hook in pre-commit reference-transaction post-checkout pre-push post-index-change; do
               hook $hook "$AWAY/hooks"; done; git config core.hooksPath "$AWAY/hooks""#,
        "git commit --quiet --allow-empty -m x",
    ),
    trap("core.fsmonitor", r#"git config core.fsmonitor "$Q""#, "git status"),
    blunt("core.pager", r#"git config core.pager "$Q"; git config pager.log "$Q""#),
    trap("core.editor", r#"git config core.editor "$Q""#, "git commit --quiet --allow-empty"),
    trap("sequence.editor", r#"git config sequence.editor "$Q""#, "git rebase --quiet --interactive --root"),
    trap("core.sshCommand", r#"git config core.sshCommand "$Q""#, "git fetch --quiet ssh://nowhere/r.git"),
    trap(
        "core.askPass",
        r#"git config core.askPass "$EVIL""#,
        "echo url=https://nowhere | git credential fill",
    ),
    trap(
        "credential.helper",
        r#"git config credential.helper "!$Q""#,
        "echo url=https://nowhere | git credential fill",
    ),
    trap("diff.external", r#"git config diff.external "$Q""#, "echo more >> README.md; git --no-pager diff"),
    trap(
        "diff textconv by attributes",
        r#"git config diff.evil.textconv "$Q"; mkdir -p "$G/info"; echo '* diff=evil' > "$G/info/attributes""#,
        "echo more >> README.md; git --no-pager diff",
    ),
    trap(
        "filter clean",
        r#"git config filter.evil.clean "$Q"; mkdir -p "$G/info"; echo '* filter=evil' > "$G/info/attributes""#,
        "echo more > new; git add new",
    ),
    trap(
        "filter smudge",
        r#"git config filter.evil.smudge "$Q"; mkdir -p "$G/info"; echo '* filter=evil' > "$G/info/attributes""#,
        "rm README.md; git checkout -- README.md",
    ),
    trap(
        "filter process by the tree's attributes",
        r#"git config filter.evil.process "$Q"
           for tree in . ${W:+"$W"}; do echo '* filter=evil' > "$tree/.gitattributes"; done"#,
        "echo more > new; git add new",
    ),
    trap(
        "merge driver",
        r#"git config merge.evil.driver "$Q"; mkdir -p "$G/info"; echo '* merge=evil' > "$G/info/attributes""#,
        r"git checkout --quiet -b one; echo 1 > README.md; git commit --quiet -am 1
          git checkout --quiet -b two HEAD~1; echo 2 > README.md; git commit --quiet -am 2; git merge --quiet one",
    ),
    trap(
        "gpg.program",
        r#"git config gpg.program "$EVIL"; git config commit.gpgSign true; git config push.gpgSign if-asked"#,
        "git commit --quiet --allow-empty -m x",
    ),
    trap("alias", r#"git config alias.st "!$Q"; git config alias.read-tree "!$Q""#, "git st"),
    trap(
        "remote.origin.uploadpack",
        r#"git config remote.origin.uploadpack "$Q"; git config remote.origin.url "$AWAY/bare""#,
        "git fetch --quiet origin",
    ),
    trap(
        "remote.origin.receivepack",
        r#"git config remote.origin.receivepack "$Q"; git config remote.origin.url "$AWAY/bare""#,
        "git push --quiet origin HEAD:refs/heads/x",
    ),
    trap(
        "url.insteadOf with ext::",
        r#"evil=$(echo "$EVIL" | sed 's/ /% /g'); git config --replace-all "url.ext::$evil .insteadOf" http
           git config --add "url.ext::$evil .insteadOf" /; git config protocol.ext.allow always"#,
        "git fetch --quiet http://nowhere/r.git",
    ),
    trap(
        "include.path",
        r#"printf '[core]\n\tfsmonitor = "%s"\n' "$Q" > "$G/more"; git config include.path more"#,
        "git status",
    ),
    trap(
        "includeIf",
        r#"printf '[core]\n\tfsmonitor = "%s"\n' "$Q" > "$G/more"; git config includeIf.gitdir:/.path more"#,
        "git status",
    ),
    trap(
        "diff driver command",
        r#"git config diff.evil.command "$Q"; mkdir -p "$G/info"; echo '* diff=evil' > "$G/info/attributes""#,
        "echo more >> README.md; git --no-pager diff",
    ),
    trap(
        "submodule update",
        r#"git config submodule.sub.update "!$Q""#,
        r#"git -c protocol.file.allow=always submodule --quiet add "$AWAY/bare" sub
           git config submodule.sub.update "!$Q"; git submodule --quiet update --force sub"#,
    ),
    trap("tar command", r#"git config tar.evil.command "$Q""#, "git archive --format=evil HEAD"),
    trap(
        "trailer command",
        r#"git config trailer.x.cmd "$Q""#,
        "echo x | git interpret-trailers --trailer x=1",
    ),
    trap(
        "gc.recentObjectsHook",
        r#"git config gc.recentObjectsHook "$Q""#,
        "echo lost | git hash-object -w --stdin; git prune --expire=now",
    ),
    trap(
        "remote.origin.vcs",
        r#"evil=$(echo "$EVIL" | sed 's/ /% /g'); git config remote.origin.vcs ext
           git config remote.origin.url "$evil"; git config protocol.ext.allow always"#,
        "git fetch --quiet origin",
    ),
    trap(
        "a worktree's configuration",
        r#"git config extensions.worktreeConfig true
           for dir in "$G" "$G"/worktrees/*/; do
               [ -d "$dir" ] && git config --file "$dir/config.worktree" core.fsmonitor "$Q"; done"#,
        "git status",
    ),
    trap("core.gitProxy", r#"git config core.gitProxy "$EVIL""#, "git fetch --quiet git://127.0.0.1:1/r.git"),
    blunt("uploadpack.packObjectsHook", r#"git config uploadpack.packObjectsHook "$Q""#),
    trap(
        "core.alternateRefsCommand and alternates",
        r#"git config core.alternateRefsCommand "$Q"; mkdir -p "$G/objects/info"
           echo "$AWAY/bare/objects" > "$G/objects/info/alternates""#,
        r#"git fetch --quiet "$AWAY/bare" main"#,
    ),
    trap(
        "a promised object and its remote",
        r#"git config remote.evil.url "$AWAY/bare"; git config remote.evil.promisor true
           git config remote.evil.uploadpack "$Q"; git config extensions.partialClone evil
           git config core.repositoryFormatVersion 1"#,
        "git cat-file -p 1234567890123456789012345678901234567890",
    ),
    trap(
        "the user's own configuration",
        r#"printf '[core]\n\tfsmonitor = "%s"\n\thooksPath = "%s"\n' "$Q" "$AWAY/hooks" > "$HOME/.gitconfig"
           hook reference-transaction "$AWAY/hooks""#,
        "git status",
    ),
    bent(
        "another commondir",
        r#"cp -r "$AWAY/bare" "$AWAY/common" 2>/dev/null; git -C "$AWAY/common" config core.fsmonitor "$Q"
           for dir in "$G"/worktrees/*/; do [ -d "$dir" ] && echo "$AWAY/common" > "$dir/commondir"; done; :"#,
        r#"cd "$W" && git status"#,
    ),
    bent(
        "a pointer to another git directory",
        r#"git clone --quiet "$AWAY/bare" "$AWAY/other" 2>/dev/null
           git -C "$AWAY/other" config core.fsmonitor "$Q"
           [ -z "$W" ] || echo "gitdir: $AWAY/other/.git" > "$W/.git""#,
        r#"cd "$W" && git status"#,
    ),
    bent(
        "a git directory in place of the pointer",
        r#"git clone --quiet "$AWAY/bare" "$AWAY/other" 2>/dev/null
           git -C "$AWAY/other" config filter.evil.clean "$Q"; echo '* filter=evil' > "$AWAY/other/.git/info/attributes"
           [ -z "$W" ] || { rm -rf "$W/.git"; cp -r "$AWAY/other/.git" "$W/.git"; }"#,
        r#"cd "$W" && echo more >> README.md && git status && git add --all"#,
    ),
    trap(
        "a repository in the tree, as a submodule",
        // The clean filter of the inner repository runs when the outer one asks whether it is dirty.
        r#"for tree in . ${W:+"$W"}; do
               if [ ! -d "$tree/sub/.git" ]; then
                   git init --quiet "$tree/sub"; echo x > "$tree/sub/file"; git -C "$tree/sub" add file
                   git -C "$tree/sub" commit --quiet -m x
               fi
               git -C "$tree/sub" config core.fsmonitor "$Q"; git -C "$tree/sub" config filter.evil.clean "$Q"
               echo '* filter=evil' > "$tree/sub/.gitattributes"; echo more >> "$tree/sub/file"
           done; rm -f "$CANARY""#,
        "git add sub; git status",
    ),
];
