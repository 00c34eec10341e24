//! Tells a terminal how far long work is. Where standard error is none, nothing is written.

use std::io::{IsTerminal as _, Write as _};
use std::time::{Duration, Instant};

/// Work that is done sooner needs no progress, and a terminal is told no more often than this.
const TELL_EVERY: Duration = Duration::from_millis(300);

/// One line that is written over itself, and gone at the end.
pub(super) struct Progress {
    is_told: bool,
    last: Instant,
    any: bool,
}

impl Progress {
    pub(super) fn new() -> Self {
        Self { is_told: std::io::stderr().is_terminal(), last: Instant::now(), any: false }
    }

    /// `text` makes the line; it is only called when it is time to tell.
    pub(super) fn tell(&mut self, text: impl FnOnce() -> String) {
        if self.is_told && self.last.elapsed() > TELL_EVERY {
            self.last = Instant::now();
            self.any = true;
            // Progress that cannot be shown is not missed.
            let _ = write!(std::io::stderr(), "\r\u{1b}[K{}", remit_harness::text::printable(&text()));
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.any {
            let _ = write!(std::io::stderr(), "\r\u{1b}[K");
        }
    }
}
