//! The reason codes that `# METADATA` blocks announce. regorus keeps no comments, so the blocks are read here.

use std::collections::BTreeSet;

use super::error::PolicyError;
use super::place::Place;
use super::problems::Problems;
use crate::bundle::Module;
use crate::ids::ReasonCode;

/// All `reason_code` entries of a module's annotations; [`PolicyError::ReasonCode`] for those that have not the form of
/// a reason code.
pub(super) fn reason_codes(module: &Module, codes: &mut BTreeSet<ReasonCode>, problems: &mut Problems) {
    let mut in_block = false;
    for (line, text) in (1_u32..).zip(module.text.lines()) {
        let Some(comment) = text.trim_start().strip_prefix('#') else {
            in_block = false;
            continue;
        };
        in_block |= comment.trim() == "METADATA";
        let Some(value) = comment.trim().strip_prefix("reason_code:").filter(|_| in_block) else { continue };
        let value = value.split(" #").next().unwrap_or_default().trim().trim_matches(['"', '\'']);
        match ReasonCode::parse(value) {
            Some(code) => drop(codes.insert(code)),
            None => problems.add(PolicyError::ReasonCode {
                at: Place { file: module.path.clone(), line, column: 0 },
                code: value.to_owned(),
            }),
        }
    }
}
