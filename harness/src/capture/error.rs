//! What is wrong with a capture, and where.

use remit_core::json::JsonError;
use remit_core::shape::Misfit;

use crate::time::TimeError;

/// What is wrong with a capture, and where.
#[derive(Debug, thiserror::Error)]
#[error("{file}{}{}: {fault}", line_of(*line), entry.as_ref().map(|id| format!(" ({id})")).unwrap_or_default())]
pub struct CaptureError {
    /// The file.
    pub file: String,
    /// 1-based line; 0 for the file as a whole.
    pub line: usize,
    /// Id of the exchange, where it could be read.
    pub entry: Option<String>,
    /// What is wrong.
    pub fault: CaptureFault,
}

fn line_of(line: usize) -> String {
    if line == 0 { String::new() } else { format!(":{line}") }
}

/// What is wrong with a line of a capture.
#[derive(Debug, thiserror::Error)]
pub enum CaptureFault {
    /// The file cannot be read.
    #[error("{0}")]
    Read(std::io::Error),
    /// There is no line at all.
    #[error("no header: the first line is {{\"remit_capture\": 1, …}}")]
    Empty,
    /// The first line is something else.
    #[error("not a capture: the first line is {{\"remit_capture\": 1, …}}")]
    NotACapture,
    /// A version that this build does not read.
    #[error("/remit_capture: version {found} is not known; this build reads version 1")]
    Version {
        /// What it says.
        found: String,
    },
    /// Not JSON, or JSON that readers could read differently.
    #[error("{0}")]
    Json(JsonError),
    /// A member is unknown, missing or of the wrong shape.
    #[error(transparent)]
    Shape(Misfit),
    /// The start is not a time.
    #[error("/start: {0}")]
    Start(TimeError),
    /// A member has the right shape and a value that cannot work.
    #[error("{pointer}: {problem}")]
    Value {
        /// JSON pointer (RFC 6901) of the member.
        pointer: String,
        /// What is wrong.
        problem: &'static str,
    },
    /// A name that nothing has.
    #[error("{pointer}: {name:?} is not {what}")]
    Unknown {
        /// JSON pointer (RFC 6901) of the member.
        pointer: String,
        /// The name.
        name: String,
        /// What it should name.
        what: &'static str,
    },
    /// Longer than allowed.
    #[error("longer than the limit of {limit} bytes")]
    TooLong {
        /// The limit in force.
        limit: usize,
    },
    /// More exchanges than allowed.
    #[error("more than the limit of {limit} exchanges")]
    TooMany {
        /// The limit in force.
        limit: usize,
    },
}
