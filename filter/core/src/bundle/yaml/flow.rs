//! Flow collections, `[…]` and `{…}`, over as many lines as they take.

use std::collections::BTreeSet;

use super::{Reader, Result, YamlFault, is_void, scalar};

impl Reader<'_> {
    /// The collection that begins here in a line; nothing may follow it.
    pub(super) fn flow(&mut self, out: &mut String, content: &str, levels_left: usize) -> Result<()> {
        let mut rest = content.to_owned();
        self.flow_node(out, &mut rest, levels_left)?;
        if !is_void(&rest) || rest.starts_with('#') {
            return Err(self.fault(YamlFault::Value));
        }
        self.at = self.at.saturating_add(1);
        Ok(())
    }

    fn flow_node(&mut self, out: &mut String, rest: &mut String, levels_left: usize) -> Result<()> {
        match rest.chars().next() {
            Some('[') => self.flow_collection(out, rest, ']', levels_left),
            Some('{') => self.flow_collection(out, rest, '}', levels_left),
            _ => self.flow_scalar(rest).map(|scalar| out.push_str(&scalar)),
        }
    }

    fn flow_collection(
        &mut self,
        out: &mut String,
        rest: &mut String,
        end: char,
        levels_left: usize,
    ) -> Result<()> {
        let levels_left = levels_left.checked_sub(1).ok_or(self.fault(YamlFault::TooDeep))?;
        out.push(if end == ']' { '[' } else { '{' });
        rest.remove(0);
        let mut keys = BTreeSet::new();
        let mut is_first = true;
        loop {
            self.skip(rest)?;
            if rest.starts_with(end) {
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
            if end == '}' && rest.starts_with([',', '}']) {
                out.push_str("null");
            } else {
                self.flow_node(out, rest, levels_left)?;
            }
            self.skip(rest)?;
            if rest.starts_with(',') {
                rest.remove(0);
            } else if !rest.starts_with(end) {
                return Err(self.fault(YamlFault::Value));
            }
        }
        rest.remove(0);
        out.push(end);
        Ok(())
    }

    /// A key with its colon.
    fn flow_key(&mut self, rest: &mut String) -> Result<String> {
        let is_quoted = rest.starts_with(['"', '\'']);
        let (key, after) = if is_quoted {
            scalar::quoted(rest).map(|(key, after)| (key, after.to_owned()))
        } else {
            let (plain, after) = rest.split_at_checked(plain_end(rest)).unwrap_or((rest, ""));
            if plain.starts_with(':') || plain.contains('?') {
                return Err(self.fault(YamlFault::Key));
            }
            scalar::plain_key(plain).map(|key| (key, after.to_owned()))
        }
        .map_err(|fault| self.fault(fault))?;
        let after = after.trim_start_matches(' ');
        let after = after.strip_prefix(':').ok_or(self.fault(YamlFault::Key))?;
        // Behind a quote the colon may stand alone, as in JSON.
        if !is_quoted && !after.is_empty() && !after.starts_with([' ', ',', '[', ']', '{', '}']) {
            return Err(self.fault(YamlFault::Key));
        }
        *rest = after.to_owned();
        Ok(key)
    }

    /// A scalar as JSON.
    fn flow_scalar(&mut self, rest: &mut String) -> Result<String> {
        let mut json = String::new();
        let after = if rest.starts_with(['"', '\'']) {
            scalar::value(rest, &mut json).map(str::to_owned)
        } else {
            let (plain, after) = rest.split_at_checked(plain_end(rest)).unwrap_or((rest, ""));
            // An entry has to be there to be null.
            match plain.trim_end_matches(' ') {
                "" => Err(YamlFault::Value),
                // Within brackets libyaml takes these for the beginning of a key or a value.
                plain if plain.starts_with(':') || plain.contains('?') => Err(YamlFault::Value),
                plain => scalar::plain_value(plain, &mut json).map(|()| after.to_owned()),
            }
        };
        *rest = after.map_err(|fault| self.fault(fault))?;
        Ok(json)
    }

    /// Goes to what comes next, over ends of lines and comments.
    fn skip(&mut self, rest: &mut String) -> Result<()> {
        let mut began = false;
        loop {
            let content = rest.trim_start_matches(' ');
            let is_apart = began || content.len() < rest.len();
            if content.starts_with('\t') {
                return Err(self.fault(YamlFault::Tab));
            }
            let ends_line = content.is_empty() || (content.starts_with('#') && is_apart);
            if !ends_line {
                *rest = content.to_owned();
                return Ok(());
            }
            let next = self.at.saturating_add(1);
            let Some(line) = self.lines.get(next) else { return Err(self.fault(YamlFault::Unclosed)) };
            *rest = line.clone().into_owned();
            self.at = next;
            began = true;
        }
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
