//! Writes a capture, in the form that the reader takes.

use std::io::{self, Write};

use serde_json::{Value, json};

use super::{Capture, VERSION};
use crate::time;

impl Capture {
    /// Writes the header line, then one exchange a line.
    ///
    /// # Errors
    ///
    /// Those of the writer.
    pub fn write(&self, mut to: impl Write) -> io::Result<()> {
        let mut header = json!({
            "remit_capture": VERSION,
            "name": self.name,
            "start": time::rfc3339(self.start),
            "issuers": self.issuers,
            "tokens": self.tokens,
        });
        if !self.fetched.is_empty()
            && let Some(header) = header.as_object_mut()
        {
            header.insert("fetched".to_owned(), json!(self.fetched));
        }
        line(&mut to, &header)?;
        for exchange in &self.exchanges {
            line(&mut to, &serde_json::to_value(exchange)?)?;
        }
        Ok(())
    }
}

fn line(to: &mut impl Write, value: &Value) -> io::Result<()> {
    serde_json::to_writer(&mut *to, value)?;
    to.write_all(b"\n")
}
