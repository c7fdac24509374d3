//! The issue that every case starts from.

use chrono::TimeDelta;

use super::*;

/// The issue of every case: opened by eve, a stranger, at 0; labelled `claude-ready` by mia, who may write, at 100.
/// A case says what is different, and what the decision names then.
pub(super) struct Case {
    pub(super) name: &'static str,
    pub(super) change: fn(&mut Setting),
    /// Part of the one reason; none where the issue is trusted.
    pub(super) refused: Option<&'static str>,
}

pub(super) struct Setting {
    pub(super) evidence: Evidence,
    pub(super) permissions: Permissions,
    pub(super) policy: Policy,
}

pub(super) fn at(second: i64) -> Timestamp {
    Timestamp::UNIX_EPOCH + TimeDelta::seconds(second)
}

#[expect(clippy::unnecessary_wraps, reason = "every place for an actor may be empty")]
pub(super) fn actor(login: &str, kind: ActorKind) -> Option<Actor> {
    Some(Actor { login: login.into(), kind })
}

pub(super) fn user(login: &str) -> Option<Actor> {
    actor(login, ActorKind::User)
}

pub(super) fn bot(login: &str) -> Option<Actor> {
    actor(login, ActorKind::Bot)
}

pub(super) fn edit(second: i64, editor: Option<Actor>) -> Edit {
    Edit { at: at(second), editor }
}

pub(super) fn event(label: &str, second: i64, actor: Option<Actor>) -> LabelEvent {
    let order = second.unsigned_abs();
    LabelEvent { label: label.into(), added: true, actor, app: None, at: at(second), order }
}

pub(super) fn comment(second: i64, author: Option<Actor>, last_edit: Option<Edit>) -> Comment {
    let body = format!("comment of {second}");
    Comment { id: second.unsigned_abs(), author, created_at: at(second), last_edit, body, minimized: false }
}

impl Setting {
    pub(super) fn new() -> Self {
        let evidence = Evidence {
            author: user("eve"),
            created_at: at(0),
            title: "Title".into(),
            body: "Body".into(),
            labels: vec!["bug".into(), "claude-ready".into()],
            locked: false,
            lock_reason: None,
            transferred: Vec::new(),
            label_events: vec![event("bug", 50, user("eve")), event("claude-ready", 100, user("mia"))],
            titles: Vec::new(),
            edits: Vec::new(),
            last_edit: None,
            comments: Vec::new(),
            complete: true,
        };
        let roles = [
            ("mia", "write"),
            ("Max", "maintain"),
            ("ada", "admin"),
            ("tri", "triage"),
            ("eve", "read"),
            ("gone", "none"),
            ("lead", "security-lead"),
        ];
        let policy = Policy { labels: vec!["claude-ready".into(), "agent-ok".into()], ..Policy::default() };
        Self { evidence, permissions: roles.into_iter().collect(), policy }
    }

    pub(super) fn judge(&self) -> Trust {
        judge(&self.evidence, &self.permissions, &self.policy)
    }

    /// The label's event is by somebody else.
    pub(super) fn by(&mut self, actor: Option<Actor>) {
        self.evidence.label_events[1].actor = actor;
    }

    pub(super) fn label(&mut self, event: LabelEvent) {
        self.evidence.labels.push(event.label.clone());
        self.evidence.label_events.push(event);
    }

    pub(super) fn unlabel(&mut self, second: i64, actor: Option<Actor>) {
        self.evidence.label_events.push(LabelEvent { added: false, ..event("claude-ready", second, actor) });
    }

    /// The body was edited, and GitHub tells all of it.
    pub(super) fn edited(&mut self, second: i64, editor: Option<Actor>) {
        self.evidence.edits.push(edit(second, editor.clone()));
        self.evidence.last_edit = Some(edit(second, editor));
    }

    pub(super) fn comment(&mut self, comment: Comment) {
        self.evidence.comments.push(comment);
    }

    /// Any issue is taken.
    pub(super) fn any(&mut self, author: Option<Actor>) {
        self.policy.labels.clear();
        self.evidence.author = author;
    }

    pub(super) fn moved(&mut self, second: i64) {
        self.evidence.transferred.push(Transfer { at: at(second), actor: user("mia") });
    }
}

macro_rules! cases {
    ($($name:literal, $change:expr => $refused:expr;)*) => {
        [$(Case { name: $name, change: $change, refused: $refused }),*]
    };
}
pub(super) use cases;

pub(super) fn check(cases: &[Case]) {
    for Case { name, change, refused } in cases {
        let mut setting = Setting::new();
        change(&mut setting);
        let trust = setting.judge();
        assert_eq!(trust.source, Source::GitHub);
        match refused {
            None => {
                assert_eq!(trust.verdict, Verdict::Trusted, "{name}: {:?}", trust.reasons);
                assert!(trust.approved_by.is_some() && trust.approved_at.is_some(), "{name}");
                assert!(trust.content_sha256.is_some() && trust.reasons.len() == 1, "{name}");
            }
            Some(reason) => {
                assert_eq!(trust.verdict, Verdict::Untrusted, "{name}");
                assert_eq!(
                    (trust.approved_by, trust.approved_at, trust.content_sha256),
                    (None, None, None),
                    "{name}"
                );
                assert_eq!(trust.reasons.len(), 1, "{name}: {:?}", trust.reasons);
                assert!(trust.reasons[0].contains(reason), "{name}: {:?}", trust.reasons);
            }
        }
    }
}
