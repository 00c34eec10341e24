//! Lines of the access log that `envoy/envoy.yaml` describes, with the audit records in them, for people.

use serde_json::Value;

/// One line: time, status, decision with its reasons, action, who acts for whom, request. What is no such line is
/// returned as it is, without control characters.
#[must_use]
pub fn readable(line: &str) -> String {
    match serde_json::from_str::<Value>(line) {
        Ok(entry) if entry.is_object() => printable(&described(&entry)),
        _ => printable(line),
    }
}

fn described(entry: &Value) -> String {
    let text = |pointer: &str| show(entry.pointer(pointer));
    let audit = entry.get("audit").and_then(Value::as_str).and_then(|audit| serde_json::from_str(audit).ok());
    let decided = audit.as_ref().map_or_else(|| "not decided by Remit".to_owned(), decision);
    let time = text("/time");
    let clock = time.split_once('T').map_or(time.as_str(), |(_, clock)| clock.trim_end_matches('Z'));
    let flags = match text("/flags") {
        flags if flags == "-" => String::new(),
        flags => format!(" {flags} {}", text("/details")),
    };
    let request = format!("{} {}{}", text("/method"), text("/authority"), text("/path"));
    format!("{clock}  {}{flags}  {decided}  {request}  {} ms", text("/status"), text("/milliseconds"))
}

fn decision(audit: &Value) -> String {
    let text = |pointer: &str| show(audit.pointer(pointer));
    let reasons: Vec<_> = audit
        .get("reasons")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    let mut parts = vec![format!("{} [{}]", text("/outcome"), reasons.join(" "))];
    if audit.get("action").is_some() {
        parts.push(format!("{} {}", text("/action/operation"), text("/action/resource/name")));
    }
    if audit.get("agent").is_some() {
        parts.push(format!("{} for {}", text("/agent/sub"), text("/principal/sub")));
    }
    if audit.get("approval").is_some() {
        parts.push(format!("approved by {}", text("/approval/approver/sub")));
    }
    parts.join("  ")
}

fn show(value: Option<&Value>) -> String {
    match value {
        None | Some(Value::Null) => "-".to_owned(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    }
}

/// What an agent sent is shown and never obeyed by the terminal.
fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::readable;

    #[test]
    fn entries_are_told_in_one_line() {
        let audit = r#"{\"outcome\":\"allow\",\"reasons\":[\"within_remit\"],\"agent\":{\"sub\":\"a\"},\"principal\":{\"sub\":\"bea\"},\"action\":{\"operation\":\"forum.read\",\"resource\":{\"name\":\"thread/t\"}}}"#;
        let entry = |audit: &str, flags: &str| {
            format!(
                r#"{{"time":"2026-03-18T14:02:00.100Z","method":"POST","authority":"f.example","path":"/mcp","status":200,"flags":"{flags}","details":"d","milliseconds":3,"audit":{audit}}}"#
            )
        };
        for (line, expected) in [
            (
                entry(&format!("\"{audit}\""), "-"),
                "14:02:00.100  200  allow [within_remit]  forum.read thread/t  a for bea  POST f.example/mcp  3 ms",
            ),
            (entry("null", "UC"), "14:02:00.100  200 UC d  not decided by Remit  POST f.example/mcp  3 ms"),
            ("plain \u{1b}[31m".to_owned(), "plain \u{fffd}[31m"),
        ] {
            assert_eq!(readable(&line), expected);
        }
    }
}
