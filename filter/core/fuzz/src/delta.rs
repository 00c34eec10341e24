//! Delta bundles: all or nothing, and never beyond the bundle's roots.

use std::io::Write;

use remit_core::bundle::{Bundle, BundleLimits, Update, Verification};

const MANIFEST: &str = r#"{"roots":["a/b","c"],"revision":"2"}"#;
const BASE: &str = r#"{"a":{"b":{"l":[1,[2,{"x":3}]],"n":null,"s":"t"}},"c":{"k":{"d":{}}}}"#;

pub fn seeds() -> Vec<Vec<u8>> {
    let patches = [
        r#"{"data":[{"op":"upsert","path":"/a/b/new/x","value":{"y":[1]}},{"op":"remove","path":"c/k"}]}"#,
        r#"{"data":[{"op":"upsert","path":"/a/b/l/-","value":4},{"op":"replace","path":"/a/b/l/1/0","value":5}]}"#,
        r#"{"data":[{"op":"upsert","path":"/c/x~1y~0%41","value":1},{"op":"upsert","path":"/c","value":{}}]}"#,
        r#"{"data":[{"op":"remove","path":"/a"},{"op":"upsert","path":"/a/../c","value":1}]}"#,
    ];
    patches.iter().map(|patch| patch.as_bytes().to_vec()).collect()
}

/// Whether the core took it.
pub fn check(data: &[u8]) -> bool {
    let limits = BundleLimits { json_depth: 16, ..BundleLimits::default() };
    let base = Bundle::from_files(
        [(".manifest", MANIFEST.as_bytes().to_vec()), ("data.json", BASE.as_bytes().to_vec())],
        &limits,
    )
    .expect("a bundle");
    let archive = archive(&[(".manifest", MANIFEST.as_bytes()), ("patch.json", data)]);
    let Ok(update) = Update::from_targz(&archive, &limits, &Verification::default()) else { return false };
    assert!(matches!(update, Update::Delta(_)), "a snapshot of a patch");
    let before = base.data().clone();
    let patched = update.onto(Some(&base), &limits);
    assert_eq!(base.data(), &before, "the bundle in force was touched");
    let Ok(patched) = patched else { return false };
    assert_eq!((patched.roots(), patched.revision()), (base.roots(), "2"));
    let data = patched.data();
    assert!(data.keys().all(|key| key == "a" || key == "c"), "beyond the roots");
    let inside = data.get("a").and_then(|a| a.as_object()).expect("the way to a root");
    assert!(inside.keys().all(|key| key == "b"), "beyond the roots");
    true
}

/// A `.tar.gz` of plain files (POSIX ustar).
fn archive(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut tar = Vec::new();
    for (name, content) in files {
        let mut header = [0_u8; 512];
        header[..name.len()].copy_from_slice(name.as_bytes());
        header[100..108].copy_from_slice(b"0000644\0");
        header[124..136].copy_from_slice(format!("{:011o}\0", content.len()).as_bytes());
        header[136..148].copy_from_slice(b"00000000000\0");
        header[148..156].fill(b' ');
        header[156] = b'0';
        header[257..265].copy_from_slice(b"ustar\x0000");
        let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
        header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        tar.extend_from_slice(&header);
        tar.extend_from_slice(content);
        tar.resize(tar.len().next_multiple_of(512), 0);
    }
    tar.resize(tar.len() + 1024, 0);
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(&tar).and_then(|()| encoder.finish()).expect("memory")
}
