//! JSON pointers (RFC 6901) of the members that errors are about.

use serde_path_to_error::{Path, Segment};

/// The pointer of where deserialisation stopped.
pub(crate) fn pointer_of(path: &Path) -> String {
    let mut pointer = String::new();
    for segment in path {
        match segment {
            Segment::Seq { index } => pointer.push_str(&format!("/{index}")),
            Segment::Map { key } => {
                pointer.push('/');
                pointer.push_str(&key.replace('~', "~0").replace('/', "~1"));
            }
            Segment::Enum { variant } => {
                pointer.push('/');
                pointer.push_str(variant);
            }
            Segment::Unknown => {}
        }
    }
    if pointer.is_empty() { "the top level".to_owned() } else { pointer }
}
