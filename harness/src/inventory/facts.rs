//! What the operator has written down, in the data of a bundle: catalog and registry.

use anyhow::{Context, Result};
use remit_core::action::Catalog;
use remit_core::bundle::Bundle;
use remit_core::config::Limits;
use remit_core::delegation::Party;
use remit_core::engine::bundle_limits;
use remit_core::ids::Now;
use remit_core::registry::{Registration, Registry};
use serde_json::{Map, Value};

/// Catalog and registry.
#[derive(Debug, Default)]
pub struct Facts {
    /// What requests mean.
    pub catalog: Catalog,
    /// Who answers for which agent; `None` where there is no bundle to say so.
    pub registry: Option<Registry>,
}

impl Facts {
    /// Reads them out of the archive of a bundle. Its policy is not looked at.
    ///
    /// # Errors
    ///
    /// When the bundle, its catalog or its registry does not load.
    pub fn of_bundle(archive: &[u8]) -> Result<Self> {
        let limits = Limits::default();
        let bundle = Bundle::from_targz(archive, &bundle_limits(&limits)).context("bundle")?;
        let part = |name: &str| bundle.data().get("remit").and_then(|remit| remit.get(name));
        let catalog = Catalog::parse(part("catalog").cloned())?;
        let registry = Some(Registry::parse(part("registry"), limits.registry_agents)?);
        Ok(Self { catalog, registry })
    }

    /// Whether an agent was registered at a time.
    pub(super) fn registration(&self, party: &Party, at: Now) -> Option<Registration> {
        self.registry.as_ref().map(|registry| registry.state(party, at.seconds()))
    }

    /// Who answers for an agent.
    pub(super) fn owner(&self, party: &Party) -> Option<&str> {
        self.registry.as_ref()?.agents().get(&party.iss)?.get(&party.sub)?.get("owner")?.as_str()
    }

    /// Every registered agent with its capabilities.
    pub(super) fn capabilities(&self) -> impl Iterator<Item = (Party, Vec<&str>)> {
        let agents: Option<&Map<String, Value>> = self.registry.as_ref().map(Registry::agents);
        agents.into_iter().flatten().flat_map(|(iss, agents)| {
            agents.as_object().into_iter().flatten().map(move |(sub, agent)| {
                let capabilities = agent.get("capabilities").and_then(Value::as_array);
                let capabilities = capabilities.into_iter().flatten().filter_map(Value::as_str).collect();
                (Party { iss: iss.clone(), sub: sub.clone() }, capabilities)
            })
        })
    }
}
