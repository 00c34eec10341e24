//! Settings of an issuer of tokens that do not go together.

use super::{Checks, Issuer, KeySource};
use crate::keys::Algorithm;
use crate::token::{
    Attenuation, Authentication, Carrier, Profile, SenderConstraint, StatusRule, Subjects, is_type,
};

/// What is never an access token, whatever an issuer says.
const NEVER_ACCESS: [&str; 8] = [
    "txntoken+jwt",
    "oauth-id-jag+jwt",
    "dpop+jwt",
    "agent-approval+jwt",
    "actor-receipt+jwt",
    "aat+jwt",
    "aat-pop+jwt",
    "txn-authz-challenge+jwt",
];

impl Issuer {
    /// The values of `typ` that its tokens may have.
    #[must_use]
    pub fn types(&self) -> Vec<String> {
        match (&self.types, self.carrier) {
            (Some(types), _) => types.clone(),
            (None, Carrier::Authorization) => vec!["at+jwt".to_owned()],
            (None, Carrier::TxnToken) => vec!["txntoken+jwt".to_owned()],
        }
    }

    pub(super) fn check<'i>(
        &self,
        at: &str,
        mut earlier: impl Iterator<Item = &'i Self> + Clone,
        checks: &mut Checks,
    ) {
        let twice = earlier.clone().any(|other| other.issuer == self.issuer && other.carrier == self.carrier);
        checks.that(!twice, at, "this issuer is configured twice");
        let mut that = |holds: bool, member: &str, problem: &'static str| {
            checks.that(holds, &format!("{at}/{member}"), problem);
        };
        let types = self.types();
        that(!types.is_empty(), "types", "at least one `typ`, such as `at+jwt`");
        if self.carrier == Carrier::TxnToken {
            that(self.types.is_none(), "types", "a transaction token is `txntoken+jwt`: leave it out");
            let second = self.without_iss && earlier.any(|other| other.without_iss);
            that(!second, "without_iss", "one issuer at most has the tokens without `iss`");
            let named = self.subject_issuer.as_ref().is_none_or(|iss| !iss.is_empty());
            that(named, "subject_issuer", "the exact `iss` that the subjects belong to");
            let own = matches!(self.profile, Profile::Rfc8693);
            that(own, "profile", "transaction tokens have the profile rfc8693");
            let proves = self.sender_constraint != SenderConstraint::AsBound;
            that(!proves, "sender_constraint", "transaction tokens are not bound to a key");
            let listed = self.status != StatusRule::AsPresent || !self.status_lists.is_empty();
            that(!listed, "status_lists", "transaction tokens live too short for status lists");
            let signed_in = self.authentication != Authentication::default();
            that(!signed_in, "authentication", "goes with access tokens");
            let asserted = self.attenuation == Attenuation::Asserted;
            that(asserted, "attenuation", "transaction tokens carry no evidence of attenuation");
        } else {
            let never = types.iter().any(|typ| NEVER_ACCESS.iter().any(|never| is_type(typ, never)));
            that(!never, "types", "this is another kind of token, and never an access token");
            that(!self.without_iss, "without_iss", "goes with `carrier`: `txn_token`");
            that(self.subject_issuer.is_none(), "subject_issuer", "goes with `carrier`: `txn_token`");
            that(!self.alone, "alone", "goes with `carrier`: `txn_token`");
        }
        let nested = matches!(self.profile, Profile::Rfc8693 | Profile::Keycloak);
        that(nested || self.principal.is_none(), "principal", "goes with the profiles rfc8693 and keycloak");
        let by_claim = self.profile != Profile::Entra || self.subjects != Subjects::Human;
        that(by_claim, "subjects", "the profile entra has `idtyp` for that: `claim` or `unattended`");
        let fits = match self.attenuation {
            Attenuation::Asserted => true,
            Attenuation::Receipts => matches!(self.profile, Profile::Rfc8693 | Profile::Auth0),
            Attenuation::HopList => self.profile == Profile::Rfc8693,
        } && (self.attenuation == Attenuation::Asserted || self.principal.is_none());
        that(
            fits,
            "attenuation",
            "receipts: profile rfc8693 or auth0; hop_list: rfc8693; both without `principal`",
        );
        let symmetric =
            matches!(self.keys, KeySource::Secret(_)) || self.algorithms.contains(&Algorithm::Hs256);
        let signed = self.attenuation == Attenuation::Asserted || !symmetric;
        that(signed, "attenuation", "evidence is signed with a private key: no secret, no HS256");
        let named = |texts: &[String]| texts.iter().all(|text| !text.is_empty());
        that(named(&self.clients), "clients", "exact values of `client_id`");
        let own = ["agent_task", "attenuating_agent_token"];
        let foreign =
            named(&self.detail_types) && !self.detail_types.iter().any(|t| own.contains(&t.as_str()));
        that(foreign, "detail_types", "types of `authorization_details` other than Remit's own");
    }
}
