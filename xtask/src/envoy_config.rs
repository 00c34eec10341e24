//! The shipped `envoy/envoy.yaml` with the marked values replaced.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result, bail};

use crate::workspace;

/// What stands behind a value that may be replaced.
const MARK: &str = " # set: ";

/// Values for the marks of `envoy/envoy.yaml`; what is not set keeps the file's own value.
#[derive(Debug, Default)]
pub struct Settings {
    values: BTreeMap<&'static str, String>,
}

impl Settings {
    /// Listens here for agents.
    #[must_use]
    pub fn listener_port(self, port: u16) -> Self {
        self.with("listener-port", port.to_string())
    }

    /// Serves the admin pages here.
    #[must_use]
    pub fn admin_port(self, port: u16) -> Self {
        self.with("admin-port", port.to_string())
    }

    /// Where the tools answer.
    #[must_use]
    pub fn upstream_port(self, port: u16) -> Self {
        self.with("upstream-port", port.to_string())
    }

    /// Where the cluster `bundles` answers.
    #[must_use]
    pub fn bundles_port(self, port: u16) -> Self {
        self.with("bundles-port", port.to_string())
    }

    /// Where the cluster `keys` answers.
    #[must_use]
    pub fn keys_port(self, port: u16) -> Self {
        self.with("keys-port", port.to_string())
    }

    /// The filter's `.wasm`.
    #[must_use]
    pub fn module(self, path: &Path) -> Self {
        self.with("module", quoted(&path.to_string_lossy()))
    }

    /// Remit's own configuration, a JSON document.
    #[must_use]
    pub fn configuration(self, json: &str) -> Self {
        // A quoted scalar folds line breaks; in JSON a line break is never inside a string, so nothing is lost.
        self.with("configuration", quoted(&json.replace('\n', " ")))
    }

    fn with(mut self, mark: &'static str, value: String) -> Self {
        self.values.insert(mark, value);
        self
    }

    /// The shipped file with these values.
    ///
    /// # Errors
    /// When the file cannot be read or lacks a mark that is to be set.
    pub fn render(&self) -> Result<String> {
        let path = workspace::root().join("envoy/envoy.yaml");
        let text =
            std::fs::read_to_string(&path).with_context(|| format!("failed to read {}", path.display()))?;
        self.replace_in(&text)
    }

    fn replace_in(&self, text: &str) -> Result<String> {
        let mut replaced = String::new();
        let mut unused = self.values.clone();
        let mut lines = text.lines().peekable();
        while let Some(line) = lines.next() {
            let set =
                line.split_once(MARK).and_then(|(code, mark)| Some((code, unused.remove(mark.trim_end())?)));
            let Some((code, value)) = set else {
                replaced.push_str(line);
                replaced.push('\n');
                continue;
            };
            // The last `key: value` of the line; a closing brace of a flow mapping stays.
            let (before, old) = code.rsplit_once(": ").context("a marked line has no `key: value`")?;
            let brace = if old.trim_end().ends_with('}') { " }" } else { "" };
            replaced.push_str(&format!("{before}: {value}{brace}\n"));
            if old.trim() == "|" {
                let own = indent(line);
                while lines.next_if(|next| next.trim().is_empty() || indent(next) > own).is_some() {}
            }
        }
        if let Some(mark) = unused.into_keys().next() {
            bail!("the Envoy configuration has no value marked `#{}{mark}`", MARK.trim_start_matches(" #"));
        }
        Ok(replaced)
    }
}

/// A single-quoted YAML scalar: the only character with a meaning in it is the quote.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

fn indent(line: &str) -> usize {
    line.len().saturating_sub(line.trim_start().len())
}

#[cfg(test)]
mod tests {
    use super::Settings;
    use std::path::Path;

    #[test]
    fn marked_values_are_replaced_and_nothing_else() {
        let text = "\
a: { address: 127.0.0.1, port_value: 1 } # set: admin-port
b: { filename: /x.wasm } # set: module
# prose # set: <name>
  value: | # set: configuration
    {
      \"a\": 1
    }

c: 3
d: { port_value: 4 } # set: keys-port
";
        let settings = Settings::default()
            .admin_port(9)
            .module(Path::new("/it's.wasm"))
            .configuration("{\n\"b\": \"it's\"\n}");
        let expected = "\
a: { address: 127.0.0.1, port_value: 9 }
b: { filename: '/it''s.wasm' }
# prose # set: <name>
  value: '{ \"b\": \"it''s\" }'
c: 3
d: { port_value: 4 } # set: keys-port
";
        assert_eq!(settings.replace_in(text).unwrap(), expected);
    }

    #[test]
    fn a_missing_mark_is_an_error() {
        let error = Settings::default().keys_port(1).replace_in("a: 1\n").unwrap_err();
        assert_eq!(error.to_string(), "the Envoy configuration has no value marked `# set: keys-port`");
    }

    #[test]
    fn the_shipped_file_has_every_mark() {
        Settings::default()
            .listener_port(1)
            .admin_port(2)
            .upstream_port(3)
            .bundles_port(4)
            .keys_port(5)
            .module(Path::new("/m.wasm"))
            .configuration("{}")
            .render()
            .unwrap();
    }
}
