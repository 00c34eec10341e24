//! The paths of the files in a bundle: relative, plain, the same for every reader.

use super::error::PathFault;

/// The path without the `/` or `./` that `opa build` and `tar` put first.
///
/// # Errors
///
/// [`PathFault`] when two readers could resolve the path differently.
pub(super) fn normalise(raw: &[u8], limit: usize) -> Result<String, PathFault> {
    if raw.len() > limit {
        return Err(PathFault::TooLong { limit });
    }
    let text = std::str::from_utf8(raw).map_err(|_| PathFault::NotUtf8)?;
    if text.chars().any(|c| c == '\\' || c.is_control()) {
        return Err(PathFault::Character);
    }
    let plain = text.strip_prefix("./").or_else(|| text.strip_prefix('/')).unwrap_or(text);
    for part in plain.split('/') {
        match part {
            "" => return Err(PathFault::EmptyPart),
            "." | ".." => return Err(PathFault::Traversal),
            _ => {}
        }
    }
    Ok(plain.to_owned())
}

/// A path that was refused, safe to show: shortened, without control characters.
pub(super) fn shown(raw: &[u8]) -> String {
    String::from_utf8_lossy(raw).chars().take(80).flat_map(char::escape_default).collect()
}

/// The last part of a path.
pub(super) fn name(path: &str) -> &str {
    path.rsplit_once('/').map_or(path, |(_, name)| name)
}

/// The folders that a path lies in, outermost first.
pub(super) fn folders(path: &str) -> Vec<&str> {
    path.rsplit_once('/').map_or_else(Vec::new, |(folders, _)| folders.split('/').collect())
}

/// Whether a pattern with `*` (any characters, `/` included) and `?` (one) covers the whole path.
pub(super) fn matches(pattern: &str, path: &str) -> bool {
    covers(pattern, path, |_| true)
}

/// As [`matches`], where neither `*` nor `?` stands for a `/`, as in Go's `filepath.Match`.
pub(super) fn matches_within_folder(pattern: &str, path: &str) -> bool {
    covers(pattern, path, |character| character != '/')
}

fn covers(pattern: &str, path: &str, is_wild: fn(char) -> bool) -> bool {
    let (mut pattern, mut path) = (pattern.chars(), path.chars());
    // Where to go on after a mismatch: behind the last star, one more character eaten by it.
    let mut retry = None;
    loop {
        let (before, here) = (path.clone(), pattern.next());
        match (here, path.next()) {
            (Some('*'), _) => {
                path = before.clone();
                retry = Some((pattern.clone(), before));
            }
            (None, None) => return true,
            (Some('?'), Some(found)) if is_wild(found) => {}
            (Some(expected), Some(found)) if expected == found => {}
            _ => {
                let Some((after_star, mut eaten)) = retry.take() else { return false };
                if !eaten.next().is_some_and(is_wild) {
                    return false;
                }
                pattern = after_star.clone();
                path = eaten.clone();
                retry = Some((after_star, eaten));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_have_one_form() {
        for (raw, expected) in [
            ("/data.json", Ok("data.json")),
            ("./a/b.rego", Ok("a/b.rego")),
            ("a/b.rego", Ok("a/b.rego")),
            ("..", Err(PathFault::Traversal)),
            ("a/../b", Err(PathFault::Traversal)),
            ("/../b", Err(PathFault::Traversal)),
            ("././b", Err(PathFault::Traversal)),
            ("//etc/passwd", Err(PathFault::EmptyPart)),
            ("a//b", Err(PathFault::EmptyPart)),
            ("", Err(PathFault::EmptyPart)),
            ("a\\b", Err(PathFault::Character)),
            ("a\nb", Err(PathFault::Character)),
            ("0123456789abcdefg", Err(PathFault::TooLong { limit: 16 })),
        ] {
            assert_eq!(normalise(raw.as_bytes(), 16), expected.map(str::to_owned), "{raw:?}");
        }
        assert_eq!(normalise(b"a\xff", 16), Err(PathFault::NotUtf8));
    }

    #[test]
    fn patterns_cover_whole_paths() {
        for (pattern, path, expected) in [
            ("/a.rego", "/a.rego", true),
            ("/a.rego", "/a.regox", false),
            ("", "", true),
            ("", "a", false),
            ("*", "", true),
            ("*", "/a/b", true),
            ("/a/*", "/a/b/c.rego", true),
            ("*/b.rego", "/a/b.rego/b.rego", true),
            ("*/b.rego", "/a/b.rego/c", false),
            ("/?.rego", "/x.rego", true),
            ("/?.rego", "/.rego", false),
            ("**.rego", "/a/b.rego", true),
            ("a*a*a", "aa", false),
            ("a*a*a", "aaa", true),
        ] {
            assert_eq!(matches(pattern, path), expected, "{pattern} {path}");
        }
        for (pattern, path, expected) in [
            ("*", "a", true),
            ("*", "a/b", false),
            ("a/*", "a/b", true),
            ("a/*", "a/b/c", false),
            ("*/*.json", "a/data.json", true),
            ("a?b", "a/b", false),
            ("*b", "a/b", false),
        ] {
            assert_eq!(matches_within_folder(pattern, path), expected, "{pattern} {path}");
        }
    }
}
