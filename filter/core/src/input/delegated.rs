//! `input.remit.delegation`: a token's delegation in the evaluator's own form, without a detour through JSON.

use super::party_document;
use crate::delegation::{Delegation, Party, PrincipalKind, PromptDigest, Task};
use crate::policy::{Document, Fields, Footprint};
use crate::token::Attenuation;

/// As [`Delegation`] serialises, without what is not read.
pub(super) fn document(delegation: &Delegation, reads: &Footprint) -> Document {
    let mut fields = Fields::of(reads);
    fields.put("principal", |of_principal| {
        let Party { iss, sub } = &delegation.principal.party;
        texts([("iss", iss), ("sub", sub), ("kind", kind(delegation.principal.kind))], of_principal)
    });
    fields.put("chain", |_| Document::array(delegation.chain.iter().map(party_document)));
    fields.put("depth", |_| Document::number_u64(u64::try_from(delegation.depth).unwrap_or(u64::MAX)));
    fields.put("chain_complete", |_| Document::boolean(delegation.chain_complete));
    fields.text("evidence", evidence(delegation.evidence));
    fields.put("traceable", |_| Document::boolean(delegation.traceable));
    if let Some(Party { iss, sub }) = &delegation.actor {
        fields.put("actor", |of_actor| texts([("iss", iss), ("sub", sub)], of_actor));
    }
    if let Some(actor_kind) = delegation.actor_kind {
        fields.text("actor_kind", kind(actor_kind));
    }
    if let Some(task) = &delegation.task {
        fields.put("task", |of_task| task_document(task, of_task));
    }
    if let Some(PromptDigest { alg, salt, digest }) = &delegation.prompt_digest {
        fields.put("prompt_digest", |of_prompt| {
            texts([("alg", *alg), ("salt", salt), ("digest", digest)], of_prompt)
        });
    }
    fields.document()
}

fn texts<const N: usize>(members: [(&str, &str); N], reads: &Footprint) -> Document {
    let mut fields = Fields::of(reads);
    members.into_iter().for_each(|(name, text)| fields.text(name, text));
    fields.document()
}

fn task_document(task: &Task, reads: &Footprint) -> Document {
    let list = |items: &[String]| Document::array(items.iter().map(|item| Document::text(item)));
    let mut fields = Fields::of(reads);
    fields.text("task_id", &task.task_id);
    if let Some(requested_by) = &task.requested_by {
        fields.text("requested_by", requested_by);
    }
    for (name, items) in [("actions", &task.actions), ("locations", &task.locations)] {
        if let Some(items) = items {
            fields.put(name, |_| list(items));
        }
    }
    if let Some(identifiers) = &task.identifiers {
        fields.put("identifiers", |of_identifiers| {
            let kinds = identifiers.iter().map(|(kind, values)| (kind.as_str(), list(values)));
            Document::map(kinds).trimmed(of_identifiers)
        });
    }
    for (name, number) in [("max_calls", task.max_calls), ("expires", task.expires.map(|time| time.0))] {
        if let Some(number) = number {
            fields.put(name, |_| Document::number_u64(number));
        }
    }
    fields.document()
}

fn kind(kind: PrincipalKind) -> &'static str {
    match kind {
        PrincipalKind::Human => "human",
        PrincipalKind::Service => "service",
        PrincipalKind::Agent => "agent",
        PrincipalKind::Unknown => "unknown",
    }
}

fn evidence(attenuation: Attenuation) -> &'static str {
    match attenuation {
        Attenuation::Asserted => "asserted",
        Attenuation::Receipts => "receipts",
        Attenuation::HopList => "hop_list",
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::delegation::Principal;
    use crate::ids::UnixSeconds;

    #[test]
    fn documents_are_what_a_delegation_serialises_as() {
        let party = |sub: &str| Party { iss: "https://idp".to_owned(), sub: sub.to_owned() };
        let kinds =
            [PrincipalKind::Human, PrincipalKind::Service, PrincipalKind::Agent, PrincipalKind::Unknown];
        let proofs = [Attenuation::Asserted, Attenuation::Receipts, Attenuation::HopList];
        let empty = Task {
            task_id: "t".to_owned(),
            requested_by: None,
            actions: None,
            locations: None,
            identifiers: None,
            max_calls: None,
            expires: None,
        };
        let full = Task {
            requested_by: Some("bea".to_owned()),
            actions: Some(vec!["a".to_owned(), "b".to_owned()]),
            locations: Some(Vec::new()),
            identifiers: Some(BTreeMap::from([("thread".to_owned(), vec!["t-1".to_owned()])])),
            max_calls: Some(3),
            expires: Some(UnixSeconds(9)),
            ..empty.clone()
        };
        let digest = PromptDigest { alg: "sha-256", salt: "s".to_owned(), digest: "d".to_owned() };
        for (at, kind) in kinds.into_iter().enumerate() {
            for evidence in proofs {
                for task in [None, Some(empty.clone()), Some(full.clone())] {
                    let delegation = Delegation {
                        principal: Principal { party: party("bea"), kind },
                        actor: (at > 0).then(|| party("agent")),
                        actor_kind: (at > 1).then_some(kind),
                        chain: vec![party("agent"), party("planner")],
                        depth: 2,
                        chain_complete: at > 2,
                        evidence,
                        traceable: at == 0,
                        task,
                        prompt_digest: (at > 0).then(|| digest.clone()),
                    };
                    let serialised = serde_json::to_value(&delegation).unwrap();
                    assert_eq!(document(&delegation, Footprint::whole()).to_json(), Some(serialised));
                }
            }
        }
    }
}
