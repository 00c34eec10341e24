//! The `# METADATA` blocks of Rego files: what authors say of their rules.

/// One block, as far as Remit and its reports read it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Annotation {
    /// File of the block, as the bundle names it.
    pub file: String,
    /// 1-based line of `# METADATA`.
    pub line: u32,
    /// 1-based line of what it is about; 0 where nothing follows.
    pub about: u32,
    /// `scope`, where it is given.
    pub scope: Option<String>,
    /// `title`.
    pub title: Option<String>,
    /// `description`.
    pub description: Option<String>,
    /// `custom.reason_code`.
    pub reason_code: Option<String>,
    /// `entrypoint: true`.
    pub is_entrypoint: bool,
}

/// The blocks of a file, in order.
#[must_use]
pub fn annotations(file: &str, text: &str) -> Vec<Annotation> {
    let mut found = Vec::new();
    let mut lines = (1_u32..).zip(text.lines()).peekable();
    while let Some((line, text)) = lines.next() {
        if comment(text).is_none_or(|text| text.trim() != "METADATA") {
            continue;
        }
        let mut block: Vec<&str> = Vec::new();
        while let Some(text) = lines.peek().and_then(|(_, text)| comment(text)) {
            block.push(text);
            lines.next();
        }
        while lines.peek().is_some_and(|(_, text)| text.trim().is_empty()) {
            lines.next();
        }
        let about = lines.peek().map_or(0, |(line, _)| *line);
        found.push(read(&block, Annotation { file: file.to_owned(), line, about, ..Annotation::default() }));
    }
    found
}

/// What follows `#` on a line that is a comment.
fn comment(line: &str) -> Option<&str> {
    line.trim_start().strip_prefix('#')
}

/// The members that are read, of YAML as people write it here: `name: text`, with further lines indented.
fn read(block: &[&str], mut into: Annotation) -> Annotation {
    let mut lines = block.iter().peekable();
    while let Some(line) = lines.next() {
        let indent = indent(line);
        let Some((name, value)) = line.trim().split_once(':') else { continue };
        let mut value = scalar(value);
        if !matches!(name, "title" | "description" | "reason_code" | "scope" | "entrypoint") {
            continue;
        }
        if matches!(value.as_str(), "|" | ">" | "|-" | ">-") {
            value.clear();
        }
        while let Some(more) =
            lines.peek().filter(|more| self::indent(more) > indent && !more.trim().is_empty())
        {
            value.push_str(if value.is_empty() { "" } else { " " });
            value.push_str(more.trim());
            lines.next();
        }
        match name {
            "title" => into.title = Some(value),
            "description" => into.description = Some(value),
            "reason_code" => into.reason_code = Some(value),
            "scope" => into.scope = Some(value),
            _ => into.is_entrypoint = value == "true",
        }
    }
    into
}

fn indent(line: &str) -> usize {
    line.len().saturating_sub(line.trim_start().len())
}

fn scalar(value: &str) -> String {
    let value = value.split(" #").next().unwrap_or_default().trim();
    let unquoted = ['"', '\''].into_iter().find_map(|quote| value.strip_prefix(quote)?.strip_suffix(quote));
    unquoted.unwrap_or(value).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_read() {
        let text = "# METADATA\n# scope: package\n# title: \"All: of it\"\npackage a\n\n# METADATA\n# description: one\n#   two\n# entrypoint: true\n\
                    # custom:\n#   reason_code: no_way # why\n\nallow if true\n# METADATA\n# title: at the end\n# not METADATA\n";
        let found = annotations("a.rego", text);
        let expected = [
            Annotation {
                line: 1,
                about: 4,
                scope: Some("package".into()),
                title: Some("All: of it".into()),
                ..Annotation::default()
            },
            Annotation {
                line: 6,
                about: 13,
                description: Some("one two".into()),
                is_entrypoint: true,
                reason_code: Some("no_way".into()),
                ..Annotation::default()
            },
            Annotation { line: 14, title: Some("at the end".into()), ..Annotation::default() },
        ];
        for (found, expected) in found.iter().zip(&expected) {
            assert_eq!(found, &Annotation { file: "a.rego".into(), ..expected.clone() });
        }
        assert_eq!(found.len(), expected.len());
    }

    #[test]
    fn folded_text_is_one_line() {
        let text = "# METADATA\n# description: |\n#   one\n#   two\n# title: t\nallow := 1\n";
        let found = annotations("a.rego", text);
        assert_eq!(found[0].description.as_deref(), Some("one two"));
        assert_eq!(found[0].title.as_deref(), Some("t"));
    }
}
