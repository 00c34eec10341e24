//! OPA's own conformance cases, read from Go's module cache and played on Remit. None of them is kept here.

mod builtins;
mod module;
mod oracle;
mod outcome;
mod play;
mod read;

pub use builtins::{Builtin, Passed, builtins, count, file, table, version};
pub use module::in_module;
pub use oracle::{Opa, opa};
pub use outcome::{Outcome, Want};
pub use play::{Loaded, Out, Played, load, native, outcome_of};
pub use read::{Case, cases, folder};
