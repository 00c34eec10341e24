//! Flow collections, `[…]` and `{…}`, over as many lines as they take.

use std::collections::BTreeSet;

use super::{Reader, Result, YamlFault, is_void, scalar};

impl Reader<'_> {
    /// The collection that begins here in a line; nothing may follow it.
    pub(super) fn flow(&mut self, out: &mut String, content: &str, levels_left: usize) -> Result<()> {
        let mut rest = Rest::from(content);
        self.flow_node(out, &mut rest, levels_left)?;
        if !is_void(rest.text()) || rest.text().starts_with('#') {
            return Err(self.fault(YamlFault::Value));
        }
        self.at = self.at.saturating_add(1);
        Ok(())
    }

    fn flow_node(&mut self, out: &mut String, rest: &mut Rest, levels_left: usize) -> Result<()> {
        match rest.text().chars().next() {
            Some('[') => self.flow_collection(out, rest, ']', levels_left),
            Some('{') => self.flow_collection(out, rest, '}', levels_left),
            _ => self.flow_scalar(out, rest),
        }
    }

    fn flow_collection(
        &mut self,
        out: &mut String,
        rest: &mut Rest,
        end: char,
        levels_left: usize,
    ) -> Result<()> {
        let levels_left = levels_left.checked_sub(1).ok_or(self.fault(YamlFault::TooDeep))?;
        out.push(if end == ']' { '[' } else { '{' });
        rest.pass_mark();
        let mut keys = BTreeSet::new();
        let mut is_first = true;
        loop {
            self.skip(rest)?;
            if rest.text().starts_with(end) {
                break;
            }
            if !std::mem::take(&mut is_first) {
                out.push(',');
            }
            if end == '}' {
                let key = self.flow_key(rest)?;
                scalar::quote(&key, out);
                out.push(':');
                if !keys.insert(key) {
                    return Err(self.fault(YamlFault::KeyTwice));
                }
                self.skip(rest)?;
            }
            if end == '}' && rest.text().starts_with([',', '}']) {
                out.push_str("null");
            } else {
                self.flow_node(out, rest, levels_left)?;
            }
            self.skip(rest)?;
            if rest.text().starts_with(',') {
                rest.pass_mark();
            } else if !rest.text().starts_with(end) {
                return Err(self.fault(YamlFault::Value));
            }
        }
        rest.pass_mark();
        out.push(end);
        Ok(())
    }

    /// A key with its colon.
    fn flow_key(&mut self, rest: &mut Rest) -> Result<String> {
        let text = rest.text();
        let is_quoted = text.starts_with(['"', '\'']);
        let (key, after) = if is_quoted {
            scalar::quoted(text)
        } else {
            let (plain, after) = text.split_at_checked(plain_end(text)).unwrap_or((text, ""));
            if plain.starts_with(':') || plain.contains('?') {
                return Err(self.fault(YamlFault::Key));
            }
            scalar::plain_key(plain).map(|key| (key, after))
        }
        .map_err(|fault| self.fault(fault))?;
        let after = after.trim_start_matches(' ');
        let after = after.strip_prefix(':').ok_or(self.fault(YamlFault::Key))?;
        // Behind a quote the colon may stand alone, as in JSON.
        if !is_quoted && !after.is_empty() && !after.starts_with([' ', ',', '[', ']', '{', '}']) {
            return Err(self.fault(YamlFault::Key));
        }
        let left = after.len();
        rest.leave(left);
        Ok(key)
    }

    /// Writes a scalar as JSON.
    fn flow_scalar(&mut self, out: &mut String, rest: &mut Rest) -> Result<()> {
        let text = rest.text();
        let after = if text.starts_with(['"', '\'']) {
            scalar::value(text, out)
        } else {
            let (plain, after) = text.split_at_checked(plain_end(text)).unwrap_or((text, ""));
            // An entry has to be there to be null.
            match plain.trim_end_matches(' ') {
                "" => Err(YamlFault::Value),
                // Within brackets libyaml takes these for the beginning of a key or a value.
                plain if plain.starts_with(':') || plain.contains('?') => Err(YamlFault::Value),
                plain => scalar::plain_value(plain, out).map(|()| after),
            }
        };
        let left = after.map_err(|fault| self.fault(fault))?.len();
        rest.leave(left);
        Ok(())
    }

    /// Goes to what comes next, over ends of lines and comments.
    fn skip(&mut self, rest: &mut Rest) -> Result<()> {
        let mut began = false;
        loop {
            let text = rest.text();
            let content = text.trim_start_matches(' ');
            let is_apart = began || content.len() < text.len();
            if content.starts_with('\t') {
                return Err(self.fault(YamlFault::Tab));
            }
            let ends_line = content.is_empty() || (content.starts_with('#') && is_apart);
            if !ends_line {
                let left = content.len();
                rest.leave(left);
                return Ok(());
            }
            let next = self.at.saturating_add(1);
            let Some(line) = self.lines.get(next) else { return Err(self.fault(YamlFault::Unclosed)) };
            *rest = Rest::from(line);
            self.at = next;
            began = true;
        }
    }
}

/// What is left of a line. It is kept whole: to copy what is left at each step would take a long line's length squared.
struct Rest {
    line: String,
    at: usize,
}

impl Rest {
    fn from(line: &str) -> Self {
        Self { line: line.to_owned(), at: 0 }
    }

    fn text(&self) -> &str {
        self.line.get(self.at..).unwrap_or_default()
    }

    /// Goes on where this many bytes are left.
    fn leave(&mut self, left: usize) {
        self.at = self.line.len().saturating_sub(left);
    }

    /// Goes past a bracket, a brace or a comma.
    fn pass_mark(&mut self) {
        self.at = self.at.saturating_add(1);
    }
}

/// Where a plain scalar ends within brackets.
fn plain_end(text: &str) -> usize {
    let mut before = ' ';
    for (at, c) in text.char_indices() {
        let next = text.get(at.saturating_add(c.len_utf8())..).and_then(|rest| rest.chars().next());
        let ends = match c {
            ',' | '[' | ']' | '{' | '}' => true,
            ':' => next.is_none_or(|next| matches!(next, ' ' | ',' | '[' | ']' | '{' | '}')),
            '#' => before == ' ',
            _ => false,
        };
        if ends {
            return at;
        }
        before = c;
    }
    text.len()
}
