//! cq turns a GitHub issue queue into reviewed pull requests: many coding agents at once, each in its own git
//! worktree, driven by small commands that read and write [records](record) and share one [state] directory.
//!
//! The rooms, in the order the data visits them; a room uses only what stands below it:
//!
//! 1. [`cli`]: every command's arguments, and the manual made from them.
//! 2. [`pipeline`]: fetch, claim, spawn, prepare, supervise, gate, pull request, cleanup: one file each, one story each.
//!    [`upkeep`]: init, monitor, stop, the umbrella. [`view`]: status, conflicts, logs, report. [`lab`]: the rehearsal.
//! 3. [`session`]: what a running command has at hand. [`input`]: records on their way in.
//! 4. [`agent`]: how agents are started, understood and judged. [`github`]: the one HTTP client.
//!    [`claims`]: one winner per issue. [`git`]: the only place that starts git. [`limits`]: what an agent may use.
//!    [`sandbox`]: what it sees.
//! 5. [`state`]: the only place for locks and durable writes. [`config`]. [`schema`]: what the files look like.
//! 6. [`record`]: the record and its lifecycle, pure.
//! 7. The edges of the process, each the only place of its kind: [`process`] (programs), [`output`] (stdout and
//!    stderr), [`environment`], [`clock`]. [`digest`]: what tells whether something is as it was. [`redact`], [`secrets`] and [`sanitize`] guard what goes out, [`visible`]
//!    what comes in. [`error`]: kinds and exit statuses.

pub mod agent;
pub mod claims;
pub mod cli;
pub mod clock;
pub mod config;
pub mod digest;
pub mod environment;
pub mod error;
pub mod git;
pub mod github;
pub mod input;
pub mod lab;
pub mod limits;
pub mod output;
pub mod pipeline;
pub mod process;
pub mod record;
pub mod redact;
pub mod sandbox;
pub mod sanitize;
pub mod schema;
pub mod secrets;
pub mod session;
pub mod state;
pub mod upkeep;
pub mod view;
pub mod visible;
