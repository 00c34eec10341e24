//! The YAML that data files are written in: block and flow collections, quoted, plain and block scalars.
//!
//! What is read means what OPA reads in it. What YAML readers take for different values, or what data does without, is
//! refused: anchors, tags, several documents, values over several lines without `|` or `>`, numbers such as 0777.

mod flow;
mod scalar;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::collections::BTreeSet;

/// What is not read, and where.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{fault}")]
pub struct YamlError {
    /// 1-based line.
    pub line: usize,
    /// What is wrong there.
    pub fault: YamlFault,
}

/// What is not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum YamlFault {
    /// More or fewer blanks than what comes before allows.
    #[error(
        "indented differently than what it belongs to, or a value on several lines (quote it, or use | or >)"
    )]
    Indentation,
    /// A tab where it could be taken for blanks.
    #[error("a tab outside of quotes: use blanks")]
    Tab,
    /// A character that YAML does not allow, or that readers take for the end of a line.
    #[error("a control character or a line separator: write it as an escape in double quotes")]
    Character,
    /// `&` or `*`.
    #[error("anchors and aliases are not served")]
    Anchor,
    /// `!`.
    #[error("tags are not served")]
    Tag,
    /// `%`, `@` or a backtick first.
    #[error("directives and reserved characters are not served: quote the value")]
    Reserved,
    /// A second document.
    #[error("more than one document")]
    SeveralDocuments,
    /// `<<`.
    #[error("merge keys are not served")]
    Merge,
    /// A key that is no plain text.
    #[error("this key would be read as something else than text, or as more than one line: quote it")]
    Key,
    /// A key for the second time.
    #[error("the same key twice")]
    KeyTwice,
    /// A number that readers read differently.
    #[error("a number that YAML readers read differently: write it as in JSON, or quote it")]
    Number,
    /// A quote or a bracket is not closed where it has to be.
    #[error("a quote or a bracket is not closed")]
    Unclosed,
    /// An unknown escape.
    #[error("an escape that YAML does not know")]
    Escape,
    /// No value where there has to be one, or something behind it.
    #[error("not a value of the YAML that is served here")]
    Value,
    /// Nested deeper than allowed.
    #[error("nested too deep")]
    TooDeep,
}

type Result<T> = std::result::Result<T, YamlError>;

/// The JSON text of the one document, which the JSON reader then holds against its limits.
pub(super) fn to_json(text: &str, max_depth: usize) -> Result<String> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut reader = Reader { lines: document(text)?, at: 0 };
    let mut out = String::with_capacity(text.len());
    reader.block_node(&mut out, 0, max_depth)?;
    match reader.peek()? {
        None => Ok(out),
        Some(_) => Err(reader.fault(YamlFault::Indentation)),
    }
}

/// The lines of the one document. The marks around it stay as comments, so that the numbers are right.
fn document(text: &str) -> Result<Vec<Cow<'_, str>>> {
    let mut lines = Vec::new();
    let (mut begun, mut ended) = (false, false);
    for (number, line) in (1_usize..).zip(text.split('\n')) {
        let at = |fault| YamlError { line: number, fault };
        let line = line.strip_suffix('\r').unwrap_or(line);
        let is_bad =
            |c: char| (c.is_control() && c != '\t') || matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}');
        if line.chars().any(is_bad) {
            return Err(at(YamlFault::Character));
        }
        let marker = line.get(..3).filter(|marker| matches!(*marker, "---" | "..."));
        let marker =
            marker.filter(|_| line.get(3..).is_some_and(|rest| rest.is_empty() || rest.starts_with(' ')));
        if let Some(marker) = marker {
            if !is_void(line.get(3..).unwrap_or_default()) {
                return Err(at(YamlFault::Value));
            }
            if marker == "---" && (begun || ended) {
                return Err(at(YamlFault::SeveralDocuments));
            }
            (begun, ended) = (true, ended || marker == "...");
            // Nothing to read, and no empty line of a text either.
            lines.push(Cow::Borrowed("#"));
            continue;
        }
        if !is_void(line) {
            if ended {
                return Err(at(YamlFault::SeveralDocuments));
            }
            if !begun && line.starts_with('%') {
                return Err(at(YamlFault::Reserved));
            }
            begun = true;
        }
        lines.push(Cow::Borrowed(line));
    }
    Ok(lines)
}

/// Nothing but blanks and a comment.
fn is_void(text: &str) -> bool {
    let text = text.trim_start_matches([' ', '\t']);
    text.is_empty() || text.starts_with('#')
}

struct Reader<'t> {
    lines: Vec<Cow<'t, str>>,
    /// Index of the next line.
    at: usize,
}

impl<'t> Reader<'t> {
    fn fault(&self, fault: YamlFault) -> YamlError {
        YamlError { line: self.at.saturating_add(1), fault }
    }

    fn line(&self) -> Cow<'t, str> {
        self.lines.get(self.at).cloned().unwrap_or_default()
    }

    /// Blanks before the next line with content; that line is then [`Reader::line`].
    fn peek(&mut self) -> Result<Option<usize>> {
        while let Some(line) = self.lines.get(self.at) {
            if is_void(line) {
                self.at = self.at.saturating_add(1);
                continue;
            }
            let content = line.trim_start_matches(' ');
            if content.starts_with('\t') {
                return Err(self.fault(YamlFault::Tab));
            }
            return Ok(Some(line.len().saturating_sub(content.len())));
        }
        Ok(None)
    }

    /// A node of at least `min` blanks; null where there is none.
    fn block_node(&mut self, out: &mut String, min: usize, levels_left: usize) -> Result<()> {
        let Some(indent) = self.peek()?.filter(|indent| *indent >= min) else {
            out.push_str("null");
            return Ok(());
        };
        let line = self.line();
        let content = line.get(indent..).unwrap_or_default();
        if is_item(content) {
            self.sequence(out, indent, levels_left)
        } else if scalar::key(content).map_err(|fault| self.fault(fault))?.is_some() {
            self.mapping(out, indent, levels_left)
        } else {
            self.inline(out, content, min, levels_left)
        }
    }

    fn sequence(&mut self, out: &mut String, indent: usize, levels_left: usize) -> Result<()> {
        let levels_left = levels_left.checked_sub(1).ok_or(self.fault(YamlFault::TooDeep))?;
        out.push('[');
        let mut is_first = true;
        while self.peek()? == Some(indent) {
            let line = self.line();
            let Some(rest) = line.get(indent..).filter(|content| is_item(content)).and_then(|c| c.get(1..))
            else {
                break;
            };
            if !std::mem::take(&mut is_first) {
                out.push(',');
            }
            if is_void(rest) {
                self.at = self.at.saturating_add(1);
            } else if let Some(place) = self.lines.get_mut(self.at) {
                // What follows the dash is a node of its own, as deep as it stands.
                *place = Cow::Owned(format!("{}{rest}", " ".repeat(indent.saturating_add(1))));
            }
            self.block_node(out, indent.saturating_add(1), levels_left)?;
        }
        self.end_of_block(indent)?;
        out.push(']');
        Ok(())
    }

    fn mapping(&mut self, out: &mut String, indent: usize, levels_left: usize) -> Result<()> {
        let levels_left = levels_left.checked_sub(1).ok_or(self.fault(YamlFault::TooDeep))?;
        let mut keys = BTreeSet::new();
        out.push('{');
        while self.peek()? == Some(indent) {
            let line = self.line();
            let content = line.get(indent..).unwrap_or_default();
            if is_item(content) {
                break;
            }
            let found = scalar::key(content).map_err(|fault| self.fault(fault))?;
            let (key, rest) = found.ok_or(self.fault(YamlFault::Value))?;
            if !keys.is_empty() {
                out.push(',');
            }
            scalar::quote(&key, out);
            out.push(':');
            if !keys.insert(key) {
                return Err(self.fault(YamlFault::KeyTwice));
            }
            if !is_void(rest) {
                self.inline(out, rest.trim_start_matches(' '), indent.saturating_add(1), levels_left)?;
                continue;
            }
            self.at = self.at.saturating_add(1);
            // The items of a sequence may stand as far left as the key that it belongs to.
            let items =
                self.peek()? == Some(indent) && is_item(self.line().get(indent..).unwrap_or_default());
            if items {
                self.sequence(out, indent, levels_left)?;
            } else {
                self.block_node(out, indent.saturating_add(1), levels_left)?;
            }
        }
        self.end_of_block(indent)?;
        out.push('}');
        Ok(())
    }

    /// What is deeper belongs to nothing; what is not, to a collection further out.
    fn end_of_block(&mut self, indent: usize) -> Result<()> {
        match self.peek()? {
            Some(next) if next > indent => Err(self.fault(YamlFault::Indentation)),
            _ => Ok(()),
        }
    }

    /// The value that begins here in a line and takes the rest of it.
    fn inline(&mut self, out: &mut String, content: &str, min: usize, levels_left: usize) -> Result<()> {
        if content.starts_with(['|', '>']) {
            return self.block_scalar(out, content, min);
        }
        if content.starts_with(['[', '{']) {
            return self.flow(out, content, levels_left);
        }
        let rest = scalar::value(content, out).map_err(|fault| self.fault(fault))?;
        if !is_void(rest) {
            return Err(self.fault(YamlFault::Value));
        }
        self.at = self.at.saturating_add(1);
        Ok(())
    }

    /// `|` and `>` (YAML 1.2 section 8.1), with the lines that follow.
    fn block_scalar(&mut self, out: &mut String, header: &str, min: usize) -> Result<()> {
        let is_folded = header.starts_with('>');
        let (mut keep, mut strip, mut given) = (false, false, None);
        let mut rest = header.get(1..).unwrap_or_default();
        while let Some(c) = rest.chars().next().filter(|c| *c != ' ') {
            match c {
                '+' if !keep && !strip => keep = true,
                '-' if !keep && !strip => strip = true,
                '1'..='9' if given.is_none() => given = c.to_digit(10).and_then(|n| usize::try_from(n).ok()),
                _ => return Err(self.fault(YamlFault::Value)),
            }
            rest = rest.get(1..).unwrap_or_default();
        }
        if !is_void(rest) {
            return Err(self.fault(YamlFault::Value));
        }
        self.at = self.at.saturating_add(1);
        let mut indent = given.map(|given| min.saturating_sub(1).saturating_add(given));
        let mut text = String::new();
        // As in libyaml: the break after the last line, the empty lines after it, whether it began with a blank.
        let (mut pending, mut empty, mut was_indented) = ("", 0_usize, false);
        while let Some(line) = self.lines.get(self.at) {
            let blanks = line.len().saturating_sub(line.trim_start_matches(' ').len());
            let is_blank = blanks == line.len();
            if line.get(blanks..).is_some_and(|content| content.starts_with('\t'))
                && indent.is_none_or(|i| blanks < i)
            {
                return Err(self.fault(YamlFault::Tab));
            }
            if !is_blank && indent.is_none() {
                // Blank lines before may not be deeper: they would be content.
                indent = Some(blanks.max(min).max(1));
            }
            let depth = indent.unwrap_or(usize::MAX);
            if is_blank && blanks <= depth {
                if indent.is_none() && blanks > 0 && blanks >= min.max(1) {
                    return Err(self.fault(YamlFault::Indentation));
                }
                empty = empty.saturating_add(1);
                self.at = self.at.saturating_add(1);
                continue;
            }
            if blanks < depth {
                break;
            }
            let content = line.get(depth..).unwrap_or_default();
            let is_indented = content.starts_with([' ', '\t']);
            if is_folded && !pending.is_empty() && !was_indented && !is_indented {
                if empty == 0 {
                    text.push(' ');
                }
            } else {
                text.push_str(pending);
            }
            text.push_str(&"\n".repeat(empty));
            text.push_str(content);
            (pending, empty, was_indented) = ("\n", 0, is_indented);
            self.at = self.at.saturating_add(1);
        }
        // The last of the lines is what follows the last line break: nothing, of a file that ends with one.
        if self.at >= self.lines.len() {
            match empty.checked_sub(1) {
                Some(fewer) => empty = fewer,
                None => pending = "",
            }
        }
        if !strip {
            text.push_str(pending);
            if keep {
                text.push_str(&"\n".repeat(empty));
            }
        }
        scalar::quote(&text, out);
        Ok(())
    }
}

/// Whether a line begins with the dash of a sequence.
fn is_item(content: &str) -> bool {
    content.strip_prefix('-').is_some_and(|rest| rest.is_empty() || rest.starts_with(' '))
}
