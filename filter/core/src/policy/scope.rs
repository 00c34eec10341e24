//! How names resolve in one module: its package and its imports.

use std::collections::BTreeMap;

use regorus::unstable::Module;

use super::survey::Path;
use super::walk;

/// How names resolve in one module.
pub(super) struct Scope<'a> {
    pub(super) package: Path,
    /// Import alias → the path it stands for, `data` or `input` first.
    pub(super) imports: BTreeMap<&'a str, Path>,
    /// Whether `not` holds where what it negates is undefined.
    pub(super) negates_inside: bool,
    /// Whether it is Rego v1.
    pub(super) is_v1: bool,
}

impl<'a> Scope<'a> {
    pub(super) fn of(module: &'a Module) -> Self {
        let mut imports = BTreeMap::new();
        let mut negates_inside = false;
        for import in &module.imports {
            let Ok(reference) = walk::reference(&import.refr) else { continue };
            let path: Path =
                std::iter::once(reference.root).chain(reference.prefix()).map(str::to_owned).collect();
            negates_inside |= path == ["future", "keywords"] || path == ["future", "keywords", "not"];
            let last = match reference.segments.last() {
                Some(walk::Segment::Constant(last)) => *last,
                _ => reference.root,
            };
            imports.insert(import.r#as.as_ref().map_or(last, |alias| alias.text()), path);
        }
        Self { package: package_of(module), imports, negates_inside, is_v1: module.rego_v1 }
    }

    /// What a name was imported as: `data` or `input`, and the path below.
    pub(super) fn import(&self, name: &str) -> Option<(&str, &[String])> {
        self.imports.get(name)?.split_first().map(|(base, path)| (base.as_str(), path))
    }
}

/// The path of a module's package, without `data`.
pub(super) fn package_of(module: &Module) -> Path {
    walk::reference(&module.package.refr).map_or_else(
        |_| Path::new(),
        |package| std::iter::once(package.root).chain(package.prefix()).map(str::to_owned).collect(),
    )
}
