//! What end-to-end tests share: a [`house::House`] (a clone of its own, a GitHub of its own, a home of its own),
//! the [`lab::Lab`] behind it, the [`model::Model`] behind a real agent, the [`ran::Ran`] that a command leaves, and
//! tests that are [skipped](skip) aloud.
#![allow(dead_code, reason = "each test program uses a part of it")]

pub(crate) mod house;
pub(crate) mod lab;
pub(crate) mod model;
pub(crate) mod ran;
pub(crate) mod skip;
pub(crate) mod wait;
