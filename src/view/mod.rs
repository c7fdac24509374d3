//! Views: what people look at. Nothing here changes anything.

pub mod logs;
pub mod status;
