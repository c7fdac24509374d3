//! Who may approve.

use std::collections::BTreeMap;
use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Actor, ActorKind};

/// What somebody may do in the repository, less before more.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Nothing. A configuration cannot name it: nobody is to be let in by it.
    #[serde(skip)]
    None,
    /// Read; on a public repository that is everybody.
    Read,
    /// Handle issues and pull requests without writing code.
    Triage,
    /// Push.
    #[default]
    Write,
    /// Manage the repository, less what is dangerous.
    Maintain,
    /// Everything.
    Admin,
}

impl Role {
    /// The role that GitHub's `role_name` names, letter for letter; none for a role of the organisation's own.
    ///
    /// The older field `permission` is no substitute: it says `write` for maintain and `read` for triage.
    fn built_in(role_name: &str) -> Option<Self> {
        Some(match role_name {
            "none" => Self::None,
            "read" => Self::Read,
            "triage" => Self::Triage,
            "write" => Self::Write,
            "maintain" => Self::Maintain,
            "admin" => Self::Admin,
            _ => return None,
        })
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "no",
            Self::Read => "read",
            Self::Triage => "triage",
            Self::Write => "write",
            Self::Maintain => "maintain",
            Self::Admin => "admin",
        })
    }
}

/// GitHub's `role_name` of every login that was asked for. A login that is not here could not be read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Permissions {
    /// By login in small letters: GitHub compares logins, which are ASCII, without case.
    role_names: BTreeMap<String, String>,
}

impl Permissions {
    /// Notes what GitHub answered for a login: `none` for somebody who is no collaborator.
    pub fn insert(&mut self, login: &str, role_name: impl Into<String>) {
        self.role_names.insert(login.to_ascii_lowercase(), role_name.into());
    }

    /// GitHub's `role_name`; none where it could not be read.
    pub fn role_name(&self, login: &str) -> Option<&str> {
        self.role_names.get(&login.to_ascii_lowercase()).map(String::as_str)
    }
}

impl<L: AsRef<str>, N: Into<String>> FromIterator<(L, N)> for Permissions {
    fn from_iter<I: IntoIterator<Item = (L, N)>>(answers: I) -> Self {
        let mut permissions = Self::default();
        for (login, role_name) in answers {
            permissions.insert(login.as_ref(), role_name);
        }
        permissions
    }
}

/// Who may approve, and how.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Policy {
    /// The least role of a person who approves.
    pub minimum: Role,
    /// The labels that are an approval, compared without case; where there are none, any issue is taken, and its
    /// author has to be somebody who may approve.
    pub labels: Vec<String>,
    /// Bots, with or without `[bot]`, whose acts count like those of a person who may approve.
    pub trusted_bots: Vec<String>,
    /// An organisation's own role → the role it is based on. One that is not here counts as none.
    pub custom_roles: BTreeMap<String, Role>,
}

impl Policy {
    /// The role that GitHub's `role_name` stands for.
    pub fn role(&self, role_name: &str) -> Role {
        Role::built_in(role_name).or_else(|| self.custom_roles.get(role_name).copied()).unwrap_or(Role::None)
    }

    /// The name of somebody whose act counts as an approval, or who it was and why it does not.
    ///
    /// What a person does through an app is the app's act as well: whoever gave the app its words is unknown. It
    /// counts where both may approve.
    pub(in crate::record) fn standing(
        &self,
        actor: Option<&Actor>,
        app: Option<&str>,
        permissions: &Permissions,
    ) -> Result<String, String> {
        let Some(Actor { login, kind }) = actor else {
            return Err("a deleted or unknown account".to_owned());
        };
        if let Some(app) = app
            && !self.trusts_bot(app)
        {
            return Err(format!("{login} through the app {app}, which trust.trustedBots does not name"));
        }
        match kind {
            ActorKind::User => self.person(login, permissions),
            ActorKind::Bot if self.trusts_bot(login) => Ok(login.clone()),
            ActorKind::Bot => Err(format!("the bot {login}, which trust.trustedBots does not name")),
            ActorKind::Mannequin => Err(format!("{login}, who stands for somebody of another platform")),
            ActorKind::Organization => Err(format!("the organisation {login}, which is no person")),
            ActorKind::EnterpriseUserAccount | ActorKind::Unknown => {
                Err(format!("{login}, an account of a kind that cannot approve"))
            }
        }
    }

    fn person(&self, login: &str, permissions: &Permissions) -> Result<String, String> {
        let Some(role_name) = permissions.role_name(login) else {
            return Err(format!("{login}, whose permission could not be read"));
        };
        let role = self.role(role_name);
        if role > Role::None && role >= self.minimum {
            return Ok(login.to_owned());
        }
        if Role::built_in(role_name).is_none() && !self.custom_roles.contains_key(role_name) {
            return Err(format!("{login}, whose role '{role_name}' trust.customRoles does not name"));
        }
        Err(format!("{login}, who has {role} permission where {} is needed", self.minimum))
    }

    /// An empty name is nobody's.
    fn trusts_bot(&self, login: &str) -> bool {
        let bare = |name: &str| {
            let name = name.to_ascii_lowercase();
            name.strip_suffix("[bot]").unwrap_or(&name).to_owned()
        };
        !login.is_empty() && self.trusted_bots.iter().any(|name| bare(name) == bare(login))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_role_is_what_its_exact_name_says() {
        let custom_roles = [("security-lead", Role::Maintain), ("admin", Role::Read)]
            .map(|(name, role)| (name.into(), role));
        let policy = Policy { custom_roles: custom_roles.into(), ..Policy::default() };
        let cases = [
            ("none", Role::None),
            ("read", Role::Read),
            ("triage", Role::Triage),
            ("write", Role::Write),
            ("maintain", Role::Maintain),
            ("admin", Role::Admin),
            ("Admin", Role::None),
            ("security-lead", Role::Maintain),
            ("Security-Lead", Role::None),
            ("somebody", Role::None),
            ("", Role::None),
        ];
        for (name, role) in cases {
            assert_eq!(policy.role(name), role, "{name}");
        }
        assert!(cases[..6].is_sorted_by_key(|(_, role)| role));
    }

    #[test]
    fn a_configuration_can_only_ask_for_something() {
        let read = |text: &str| serde_json::from_str::<Role>(text).ok();
        assert_eq!(read("\"triage\""), Some(Role::Triage));
        assert_eq!((read("\"none\""), read("\"None\""), read("\"owner\"")), (None, None, None));
        assert_eq!(Role::default(), Role::Write);
        // Nor does a policy that asks for nothing let anybody in who has nothing.
        let policy = Policy { minimum: Role::None, ..Policy::default() };
        let eve = Actor { login: "eve".into(), kind: ActorKind::User };
        let permissions = Permissions::from_iter([("eve", "none")]);
        assert!(policy.standing(Some(&eve), None, &permissions).is_err());
    }
}
