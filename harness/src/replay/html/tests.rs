//! Tests of the pages.

use std::time::Duration;

use remit_core::ids::Now;

use super::*;
use crate::replay::changes::{Comparison, Reasons, Side};
use crate::replay::{Mismatch, Observed, Played, Replay};

const HOSTILE: &str = "<script>alert('1')</script>\"&";

fn replay(outcome: &str) -> Replay {
    let record = serde_json::json!({
        "outcome": outcome, "reasons": [HOSTILE], "agent": {"sub": HOSTILE}, "detail": HOSTILE,
        "request": {"method": HOSTILE, "path": HOSTILE},
    });
    let line = format!(r#"{{"audit":"remit.audit/1",{}"#, &record.to_string()[1..]);
    let observed =
        Observed { audit: Audit::of(&line), added: Duration::from_millis(1), ..Observed::default() };
    let mismatch = Mismatch { what: "outcome", expected: HOSTILE.into(), got: HOSTILE.into() };
    let exchanges = vec![Played {
        id: HOSTILE.into(),
        title: Some(HOSTILE.into()),
        time: Now(0),
        observed,
        is_checked: true,
        mismatches: vec![mismatch],
    }];
    Replay { name: HOSTILE.into(), subject: HOSTILE.into(), exchanges }
}

fn side(outcome: &str) -> Side {
    Side { replay: replay(outcome), bundle: HOSTILE.into(), reasons: Reasons::default() }
}

#[test]
fn what_was_recorded_is_text() {
    for page in [replay("deny").html(), Comparison::of(side("deny"), side("allow")).html()] {
        assert!(!page.contains("<script") && !page.contains("alert('1')"), "{page}");
        assert!(page.contains("&lt;script&gt;alert(&#39;1&#39;)&lt;/script&gt;&quot;&amp;"), "{page}");
        assert!(!page.contains("http://") && !page.contains("https://") && !page.contains("url("), "{page}");
    }
    assert_eq!(escaped("a\u{202e}b\u{1b}"), "a\u{fffd}b\u{fffd}");
}

#[test]
fn pages_say_how_many() {
    assert!(replay("deny").html().contains("<h1>1 of 1 requests not as expected</h1>"));
    let page = Comparison::of(side("deny"), side("allow")).html();
    assert!(
        page.contains("<h1>1 of 1 requests changes</h1>") && page.contains("newly allowed (1)"),
        "{page}"
    );
    let page = Comparison::of(side("deny"), side("deny")).html();
    assert!(page.contains("<h1>No request of 1 changes</h1>") && page.contains("Unchanged (1)"), "{page}");
}

#[test]
fn a_page_can_be_opened_however_much_changes() {
    let many = |outcome: &str| {
        let mut side = side(outcome);
        let one = side.replay.exchanges[0].clone();
        side.replay.exchanges = vec![one; compared::CARDS + 1];
        side
    };
    let page = Comparison::of(many("deny"), many("allow")).html();
    assert_eq!(page.matches("<article").count(), compared::CARDS);
    assert!(page.contains("The first 500 of 501; 1 more"));
}
