//! Reports as one HTML file: no script, nothing fetched, whatever was recorded escaped.

mod compared;
mod replayed;
#[cfg(test)]
mod tests;

use std::fmt::Write as _;

use super::Audit;

/// Its colours follow the reader's; a printed page is plain.
const STYLE: &str = include_str!("html/style.css");

/// The text in a page or in a quoted attribute. Characters that reorder or hide what surrounds them are shown as such.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            '\n' => out.push('\n'),
            c => out.push_str(&crate::text::printable(c.encode_utf8(&mut [0; 4]))),
        }
    }
    out
}

/// A whole page; `body` is markup.
fn page(title: &str, body: &str) -> String {
    let title = escaped(title);
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>{title}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n<main>\n{body}</main>\n</body>\n</html>\n"
    )
}

/// The class that colours an outcome.
fn class_of(outcome: &str) -> &'static str {
    match outcome {
        "allow" | "modify" => "good",
        "require_approval" => "held",
        "deny" | "quarantine" => "bad",
        _ => "none",
    }
}

fn pill(outcome: &str) -> String {
    format!("<span class=\"pill {}\">{}</span>", class_of(outcome), escaped(outcome))
}

/// Numbers with what they count, and a bar of their shares; `class` colours both.
fn tiles(counts: &[(&str, &str, usize)]) -> String {
    let all = counts.iter().map(|(_, _, count)| *count).fold(0, usize::saturating_add).max(1);
    let mut out = String::from("<div class=\"tiles\">\n");
    for (class, what, count) in counts {
        let _ =
            writeln!(out, "<div class=\"tile {class}\"><b>{count}</b><span>{}</span></div>", escaped(what));
    }
    out.push_str("</div>\n<div class=\"bar\" aria-hidden=\"true\">");
    for (class, _, count) in counts {
        // Shares of a hundred, with two digits: what the page shows, not what is reckoned with.
        let share = *count as f64 * 100.0 / all as f64;
        let _ = write!(out, "<i class=\"{class}\" style=\"width:{share:.2}%\"></i>");
    }
    out.push_str("</div>\n");
    out
}

/// A record as the log has it, indented, folded away.
fn record(title: &str, audit: Option<&Audit>) -> String {
    let text = audit.map_or_else(|| "none".to_owned(), |audit| format!("{:#}", audit.value()));
    format!(
        "<details class=\"record\"><summary>{}</summary><pre>{}</pre></details>\n",
        escaped(title),
        escaped(&text)
    )
}
