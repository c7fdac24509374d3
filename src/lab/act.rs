//! `POST /_lab/act`: what somebody else does behind the client's back, so that tests can race them.

use serde::Deserialize;
use serde_json::{Value, json};

use super::answer::{Answer, Failure, ok};
use super::identity::Asker;
use super::labels::{self, Named};
use super::server::Lab;
use super::store::{Gone, Reference, State, Store};
use crate::clock::Timestamp;

/// One deed. `number` is the issue's, where there is one.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Deed {
    /// Who does it; the viewer where absent.
    by: Option<String>,
    /// When; now where absent.
    at: Option<Timestamp>,
    /// The slug of the App that does it for them.
    app: Option<String>,
    /// `owner/name`; the first where absent.
    repository: Option<String>,
    #[serde(default)]
    number: u64,
    #[serde(rename = "do")]
    what: What,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum What {
    Label(String),
    Unlabel(String),
    SetLabels(Vec<String>),
    EditTitle(String),
    EditBody(String),
    Comment(String),
    EditComment {
        id: u64,
        body: String,
    },
    DeleteComment {
        id: u64,
    },
    /// Changes a comment at a line.
    EditLine {
        id: u64,
        body: String,
    },
    /// Marks the thread of a comment at a line as dealt with.
    Resolve {
        id: u64,
    },
    /// Takes a review back.
    Dismiss {
        id: u64,
    },
    Assign(String),
    Close(Option<String>),
    Reopen,
    Lock(Option<String>),
    Unlock,
    Open {
        title: String,
        body: Option<String>,
        #[serde(default)]
        labels: Vec<String>,
    },
    BlockedBy(Vec<Value>),
    Transfer {
        to: String,
    },
    Delete,
    /// Of `by`.
    SetPermission {
        user: String,
        permission: String,
        role_name: Option<String>,
    },
    DeleteUser(String),
    ExpireToken(String),
}

/// Does one deed, or a list of them in order; answers with what each made: `number` and `id`.
pub(super) fn answer(lab: &Lab, body: &[u8]) -> Answer {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Some {
        Many(Vec<Value>),
        One(Value),
    }
    let (deeds, one) = match super::answer::parse(body)? {
        Some::Many(deeds) => (deeds, false),
        Some::One(deed) => (vec![deed], true),
    };
    let mut made = Vec::new();
    for deed in deeds {
        let deed: Deed = super::answer::parse(deed.to_string().as_bytes())?;
        let mut store = lab.store();
        let login = deed.by.clone().unwrap_or_else(|| store.viewer.clone());
        super::plant::know(&mut store, &login, "read");
        let asker = Asker { app: deed.app.clone(), ..Asker::person(&login) };
        made.push(asker.act(|| act(&mut store, deed, lab.now()))?);
    }
    ok(&if one { made.pop().unwrap_or_default() } else { Value::Array(made) })
}

fn act(store: &mut Store, deed: Deed, now: Timestamp) -> Result<Value, Failure> {
    let (at, mut number) = (deed.at.unwrap_or(now), deed.number);
    let first = store.repositories.first().map(super::store::Repository::full_name);
    let full = deed.repository.or(first).ok_or_else(Failure::not_found)?;
    let (owner, name) = full.split_once('/').ok_or_else(Failure::not_found)?;
    let mut id = Value::Null;
    match deed.what {
        What::Label(label) => store.add_label(owner, name, number, at, &label)?,
        What::Unlabel(label) => _ = store.remove_label(owner, name, number, at, &label)?,
        What::SetLabels(wanted) => {
            let wanted: Vec<Named> = wanted.into_iter().map(Named::Name).collect();
            labels::set(store, owner, name, number, at, &wanted)?;
        }
        What::EditTitle(title) => store.rename(owner, name, number, at, &title)?,
        What::EditBody(body) => store.rewrite(owner, name, number, at, Some(body))?,
        What::Comment(body) => id = json!(store.comment(owner, name, number, at, body)?),
        What::EditComment { id, body } => number = store.edit_comment(owner, name, id, at, body)?,
        What::DeleteComment { id } => {
            for issue in store.repository_mut(owner, name)?.issues.values_mut() {
                issue.comments.retain(|comment| comment.id != id);
            }
        }
        What::EditLine { id, body } => {
            let edit = store.edit(at);
            let thread = store.repository_mut(owner, name)?.thread_of(id)?;
            for comment in thread.comments.iter_mut().filter(|comment| comment.id == id) {
                body.clone_into(&mut comment.body);
                comment.edits.push(edit.clone());
            }
        }
        What::Resolve { id } => store.repository_mut(owner, name)?.thread_of(id)?.resolved = true,
        What::Dismiss { id } => {
            for issue in store.repository_mut(owner, name)?.issues.values_mut() {
                let reviews = issue.pull.iter_mut().flat_map(|pull| &mut pull.reviews);
                reviews
                    .filter(|review| review.id == id)
                    .for_each(|one| "DISMISSED".clone_into(&mut one.state));
            }
        }
        What::Assign(login) => {
            store.repository_mut(owner, name)?.issue_mut(number)?.assignees.push(login.clone());
            store.happened(owner, name, number, at, "assigned", Some(&login))?;
        }
        What::Close(reason) => store.set_state(owner, name, number, at, State::Closed, reason.as_deref())?,
        What::Reopen => store.set_state(owner, name, number, at, State::Open, None)?,
        What::Lock(reason) => store.lock(owner, name, number, at, reason.as_deref())?,
        What::Unlock => store.unlock(owner, name, number, at)?,
        What::Open { title, body, labels } => {
            number = store.open(owner, name, at, title, body)?;
            for label in labels {
                store.add_label(owner, name, number, at, &label)?;
            }
        }
        What::BlockedBy(list) => {
            let one = |value: &Value| {
                let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                Reference::parse(&text, owner, name)
            };
            store.somebody_waits = true;
            store.repository_mut(owner, name)?.issue_mut(number)?.blocked_by =
                list.iter().filter_map(one).collect();
        }
        What::Transfer { to } => number = transfer(store, (owner, name, number), &to, at)?,
        What::Delete => {
            let repository = store.repository_mut(owner, name)?;
            repository.issues.remove(&number).ok_or_else(Failure::not_found)?;
            repository.gone.insert(number, Gone::Deleted);
        }
        What::SetPermission { user, permission, role_name } => {
            super::plant::know(store, &user, "read");
            if let Some(user) = store.users.get_mut(&user.to_lowercase()) {
                (user.permission, user.role_name) = (permission, role_name);
            }
        }
        What::DeleteUser(login) => {
            if let Some(user) = store.users.get_mut(&login.to_lowercase()) {
                user.deleted = true;
            }
        }
        What::ExpireToken(value) => store.tokens.retain(|token| token.value != value),
    }
    Ok(json!({"number": number, "id": id}))
}

/// Moves an issue to another repository, where it gets a new number and keeps its history.
fn transfer(
    store: &mut Store,
    (owner, name, number): (&str, &str, u64),
    to: &str,
    at: Timestamp,
) -> Result<u64, Failure> {
    let (new_owner, new_name) = to.split_once('/').ok_or_else(Failure::not_found)?;
    let new = store.repository(new_owner, new_name)?.next_number();
    let from = store.repository_mut(owner, name)?;
    let mut issue = from.issues.remove(&number).ok_or_else(Failure::not_found)?;
    let there = Reference { owner: new_owner.to_owned(), name: new_name.to_owned(), number: new };
    from.gone.insert(number, Gone::To(there));
    let previous = from.full_name();
    issue.number = new;
    let id = store.next_id();
    let there = store.repository_mut(new_owner, new_name)?;
    for label in &issue.labels {
        there.label_named(label, id);
    }
    there.issues.insert(new, issue);
    store.happened(new_owner, new_name, new, at, "transferred", None)?;
    let issue = store.repository_mut(new_owner, new_name)?.issue_mut(new)?;
    if let Some(event) = issue.events.last_mut() {
        event.previous = Some(previous);
    }
    Ok(new)
}
