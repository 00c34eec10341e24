//! JUnit's XML, as CI systems read it.

use std::fmt::Write as _;
use std::time::Duration;

/// One test.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Case {
    /// Its group, such as a package.
    pub class: String,
    /// Its name.
    pub name: String,
    /// File and line, where there are any.
    pub place: Option<(String, u32)>,
    /// How long it took.
    pub duration: Duration,
    /// How it went.
    pub verdict: Verdict,
    /// What it printed.
    pub output: String,
}

/// How a test went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// As it should.
    Passed,
    /// Not as expected, in a few words and in full.
    Failed(String, String),
    /// It could not be run to its end.
    Broken(String),
    /// It was not run.
    Skipped(String),
}

/// The document for one suite; `properties` are names and values that belong to all of it.
#[must_use]
pub fn document(suite: &str, properties: &[(String, String)], cases: &[Case]) -> String {
    let count = |wanted: fn(&Verdict) -> bool| cases.iter().filter(|case| wanted(&case.verdict)).count();
    let counts = format!(
        r#"tests="{}" failures="{}" errors="{}" skipped="{}" time="{}""#,
        cases.len(),
        count(|verdict| matches!(verdict, Verdict::Failed(..))),
        count(|verdict| matches!(verdict, Verdict::Broken(_))),
        count(|verdict| matches!(verdict, Verdict::Skipped(_))),
        seconds(cases.iter().map(|case| case.duration).sum()),
    );
    let mut out = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    let _ = writeln!(out, "<testsuites {counts}>\n  <testsuite name=\"{}\" {counts}>", escaped(suite));
    if !properties.is_empty() {
        out.push_str("    <properties>\n");
        for (name, value) in properties {
            let (name, value) = (escaped(name), escaped(value));
            let _ = writeln!(out, "      <property name=\"{name}\" value=\"{value}\"/>");
        }
        out.push_str("    </properties>\n");
    }
    for case in cases {
        write_case(&mut out, case);
    }
    out.push_str("  </testsuite>\n</testsuites>\n");
    out
}

fn write_case(out: &mut String, case: &Case) {
    let place = case
        .place
        .as_ref()
        .map(|(file, line)| format!(r#" file="{}" line="{line}""#, escaped(file)))
        .unwrap_or_default();
    let _ = write!(
        out,
        r#"    <testcase classname="{}" name="{}"{place} time="{}""#,
        escaped(&case.class),
        escaped(&case.name),
        seconds(case.duration)
    );
    let inside = match &case.verdict {
        Verdict::Passed => String::new(),
        Verdict::Failed(short, whole) => {
            format!("<failure message=\"{}\">{}</failure>", escaped(short), escaped(whole))
        }
        Verdict::Broken(what) => format!("<error message=\"{}\"/>", escaped(what)),
        Verdict::Skipped(why) => format!("<skipped message=\"{}\"/>", escaped(why)),
    };
    let printed = match case.output.as_str() {
        "" => String::new(),
        output => format!("<system-out>{}</system-out>", escaped(output)),
    };
    if inside.is_empty() && printed.is_empty() {
        out.push_str("/>\n");
    } else {
        let _ = writeln!(out, ">{inside}{printed}</testcase>");
    }
}

fn seconds(duration: Duration) -> String {
    format!("{:.6}", duration.as_secs_f64())
}

/// The text as character data and attribute value; what XML 1.0 cannot hold becomes U+FFFD.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&apos;"),
            '\n' => out.push_str("&#10;"),
            '\t' => out.push_str("&#9;"),
            '\u{fffe}' | '\u{ffff}' => out.push('\u{fffd}'),
            c if c.is_control() => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_names_stay_text() {
        let case = |verdict, output: &str| Case {
            class: "a\"b".into(),
            name: "<x>&\u{1b}".into(),
            place: Some(("f'.rego".into(), 3)),
            duration: Duration::from_millis(2),
            verdict,
            output: output.into(),
        };
        let text = document(
            "s",
            &[("<of>".into(), "1\"2".into())],
            &[
                case(Verdict::Passed, ""),
                case(Verdict::Failed("short".into(), "a\nb]]>".into()), "said"),
                case(Verdict::Broken("b".into()), ""),
                case(Verdict::Skipped("later".into()), ""),
            ],
        );
        for part in [
            r#"<testsuites tests="4" failures="1" errors="1" skipped="1" time="0.008000">"#,
            r#"<testcase classname="a&quot;b" name="&lt;x&gt;&amp;�" file="f&apos;.rego" line="3" time="0.002000"/>"#,
            "<failure message=\"short\">a&#10;b]]&gt;</failure><system-out>said</system-out></testcase>",
            "    <properties>\n      <property name=\"&lt;of&gt;\" value=\"1&quot;2\"/>\n    </properties>\n",
            "<error message=\"b\"/></testcase>",
            "<skipped message=\"later\"/></testcase>",
        ] {
            assert!(text.contains(part), "{part}\n{text}");
        }
    }
}
