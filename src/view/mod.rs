//! Views: what people look at. Nothing here changes anything.

pub mod conflicts;
pub mod logs;
pub mod report;
pub mod status;
