//! Answers as people read them. Pure: text from values, with the time and the colours handed in.

pub(crate) mod description;
pub(crate) mod diag;
pub(crate) mod diff;
pub(crate) mod fabric;
pub(crate) mod figures;
pub(crate) mod lines;
pub(crate) mod records;
pub(crate) mod results;
pub(crate) mod status;
pub(crate) mod table;
