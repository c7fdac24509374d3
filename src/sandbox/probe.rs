//! Which sandbox there is: bubblewrap is tried, not believed.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::layout::arguments;
use super::system;
use crate::config::{Network, Sandbox};
use crate::environment::{self, Environment};
use crate::error::{Error, Kind, Result};
use crate::process::{self, Program};

/// Starting a program in a sandbox takes some milliseconds.
const PATIENCE: Duration = Duration::from_secs(20);

const FIX: &str = "install bubblewrap, and let users make user namespaces (sysctl user.max_user_namespaces, \
     kernel.unprivileged_userns_clone, kernel.apparmor_restrict_unprivileged_userns); in a container, allow them there";

/// The sandbox in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tier {
    /// bubblewrap, by this program.
    Bubblewrap(PathBuf),
    /// None: nobody wants one.
    None,
    /// None: it would be used if it worked.
    Broken {
        /// Why it does not work.
        why: String,
    },
}

impl Tier {
    /// As the record says it: `bubblewrap` or `none`.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Bubblewrap(_) => "bubblewrap",
            Self::None | Self::Broken { .. } => "none",
        }
    }

    /// What to do about a sandbox that does not work.
    pub fn fix() -> &'static str {
        FIX
    }
}

/// The sandbox for what is wanted; an error where one is required and does not work.
pub fn choose(wanted: Sandbox, network: Network, environment: &Environment) -> Result<Tier> {
    if wanted == Sandbox::None {
        return Ok(Tier::None);
    }
    match try_out(network, environment) {
        Ok(program) => Ok(Tier::Bubblewrap(program)),
        Err(error) if wanted == Sandbox::Auto => Ok(Tier::Broken { why: error.to_string() }),
        Err(error) => {
            let message = format!("'sandbox' asks for a sandbox, but {error}");
            Err(Error::new(Kind::Config, message).hint(format!("{FIX}; or set sandbox to auto or none")))
        }
    }
}

/// Starts a program that does nothing, in the namespaces that an agent gets.
fn try_out(network: Network, environment: &Environment) -> Result<PathBuf> {
    let here = Path::new("/");
    let bubblewrap = process::find("bwrap", here, environment)?;
    let nothing = process::find("true", here, environment)?;
    let path = environment.get(&environment::PATH).unwrap_or_default();
    let tried = Program::new(&bubblewrap, here)
        .args(arguments(&system::layout(), network, here))
        .args([nothing])
        .env("PATH", path)
        .run(PATIENCE)?;
    if tried.success() {
        return Ok(bubblewrap);
    }
    let said = tried.complaint();
    let said = said.strip_prefix("bwrap: ").unwrap_or(&said);
    Err(Error::new(Kind::Config, format!("bubblewrap does not work here: {said}")))
}
