//! Instances: `claude-instance-N`, each with a lock that whoever works on it holds while it lives.
//!
//! A free lock means that nobody works on the instance, whatever a pid may say. The files stay for ever.

use std::path::PathBuf;
use std::time::Duration;

use super::{State, lock};
use crate::error::{Error, Kind, Result};

/// What every instance's name begins with.
const PREFIX: &str = "claude-instance-";

/// Longer than anybody looks at a lock, shorter than anybody works under it.
const GLANCE: Duration = Duration::from_millis(500);

/// The name of the N-th instance.
pub fn name(number: u32) -> String {
    format!("{PREFIX}{number}")
}

/// The number in an instance's name; none if it is not one (nothing else may become part of a path).
pub fn number(name: &str) -> Option<u32> {
    let digits = name.strip_prefix(PREFIX)?;
    let plain = !digits.is_empty() && !digits.starts_with('0') && digits.bytes().all(|b| b.is_ascii_digit());
    if plain { digits.parse().ok() } else { None }
}

impl State {
    fn instance_lock_path(&self, instance: &str) -> Result<PathBuf> {
        match number(instance) {
            Some(_) => Ok(self.path("instances").join(format!("{instance}.lock"))),
            None => Err(Error::new(Kind::BadInput, format!("'{instance}' is not an instance's name"))
                .hint("instances are called claude-instance-1, claude-instance-2, …")),
        }
    }

    /// Takes an instance's lock if nobody works on it.
    pub fn try_hold(&self, instance: &str) -> Result<Option<lock::Guard>> {
        self.create()?;
        let guard = lock::try_take(&self.instance_lock_path(instance)?)?;
        if let Some(guard) = &guard {
            guard.sign(&lock::Holder::here(self.command, self.clock.now()));
        }
        Ok(guard)
    }

    /// Takes an instance's lock, or says who works on it. Waits for a moment: looking whether a lock is free
    /// takes it for an instant.
    pub fn hold(&self, instance: &str) -> Result<lock::Guard> {
        self.create()?;
        let taken = lock::take(&self.instance_lock_path(instance)?, GLANCE, self.clock.now());
        if let Ok(guard) = &taken {
            guard.sign(&lock::Holder::here(self.command, self.clock.now()));
        }
        taken.map_err(|error| {
            if error.kind != Kind::TryAgain {
                return error;
            }
            let holder = self.holder(instance).map_or_else(
                || "another process".to_owned(),
                |holder| format!("{} (pid {})", holder.command, holder.owner.pid),
            );
            Error::new(Kind::TryAgain, format!("{instance} is being worked on by {holder}"))
        })
    }

    /// Takes over an instance's lock that came as stdin, or takes it afresh.
    pub fn hold_inherited(&self, instance: &str, stdin: std::fs::File) -> Result<lock::Guard> {
        match lock::Guard::inherited(stdin, &self.instance_lock_path(instance)?)? {
            Some(guard) => {
                guard.sign(&lock::Holder::here(self.command, self.clock.now()));
                Ok(guard)
            }
            None => self.hold(instance),
        }
    }

    /// Holds an instance along with the holder that passed its lock as stdin, and in its name.
    pub fn hold_along(&self, instance: &str, stdin: std::fs::File) -> Result<lock::Guard> {
        let path = self.instance_lock_path(instance)?;
        lock::Guard::inherited(stdin, &path)?
            .ok_or_else(|| Error::new(Kind::Usage, format!("stdin is not the lock of {instance}")))
    }

    /// Who works on an instance; none when its lock is free.
    pub fn holder(&self, instance: &str) -> Option<lock::Holder> {
        let path = self.instance_lock_path(instance).ok()?;
        if !path.exists() || matches!(lock::try_take(&path), Ok(Some(_))) {
            return None;
        }
        lock::holder(&path)
    }

    /// Whether somebody works on an instance.
    pub fn is_held(&self, instance: &str) -> Result<bool> {
        let path = self.instance_lock_path(instance)?;
        Ok(path.exists() && lock::try_take(&path)?.is_none())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_names_are_instances() {
        let cases = [
            ("claude-instance-1", Some(1)),
            ("claude-instance-42", Some(42)),
            ("claude-instance-0", None),
            ("claude-instance-01", None),
            ("claude-instance-", None),
            ("claude-instance-1/../x", None),
            ("claude-instance-+1", None),
            ("../claude-instance-1", None),
            ("claude-instance-99999999999", None),
        ];
        for (text, expected) in cases {
            assert_eq!(number(text), expected, "{text}");
        }
    }
}
