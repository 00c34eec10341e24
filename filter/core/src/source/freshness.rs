//! How long an answer says that it is good for (RFC 9111).

/// Seconds from `cache-control`'s `max-age` less `age` (sections 4.2.1 and 5.1); 0 for `no-store`, `no-cache` and what
/// cannot be read. `None` when the answer does not say.
#[must_use]
pub fn freshness(cache_control: Option<&str>, age: Option<&str>) -> Option<u64> {
    let mut max_age = None;
    for directive in cache_control?.split(',') {
        let (name, value) = directive.split_once('=').unwrap_or((directive, ""));
        let name = name.trim();
        if name.eq_ignore_ascii_case("no-store") || name.eq_ignore_ascii_case("no-cache") {
            return Some(0);
        }
        if name.eq_ignore_ascii_case("max-age") && max_age.is_none() {
            max_age = Some(value.trim().trim_matches('"').parse().unwrap_or(0));
        }
    }
    let age = age.and_then(|age| age.trim().parse().ok()).unwrap_or(0);
    max_age.map(|max_age: u64| max_age.saturating_sub(age))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_answer_says_of_itself() {
        for (cache_control, age, expected) in [
            (None, None, None),
            (None, Some("5"), None),
            (Some("public"), None, None),
            (Some("max-age=300"), None, Some(300)),
            (Some("public, Max-Age=300, must-revalidate"), Some("100"), Some(200)),
            (Some("max-age=300"), Some("400"), Some(0)),
            (Some("max-age=300"), Some("-1"), Some(300)),
            (Some("max-age=\"60\""), None, Some(60)),
            (Some("max-age=60, max-age=1"), None, Some(60)),
            (Some("max-age=soon"), None, Some(0)),
            (Some("max-age"), None, Some(0)),
            (Some("max-age=99999999999999999999999"), None, Some(0)),
            (Some("max-age=300, no-cache"), None, Some(0)),
            (Some("no-store"), None, Some(0)),
            (Some("No-Cache=\"set-cookie\", max-age=9"), None, Some(0)),
        ] {
            assert_eq!(freshness(cache_control, age), expected, "{cache_control:?} {age:?}");
        }
    }
}
