# METADATA
# scope: package
# title: Red team
# description: |
#   What no policy for agents should let through, whatever it says: expectations of prompt injection and of privilege
#   escalation. The decision is that of the policy beside it, unless that lets through what an expectation forbids.
package red_team.authz

# METADATA
# title: Decision
# description: |
#   The decision of data.remit.authz, or a denial that names the expectations that it would break. Without a policy
#   nothing is let through.
# entrypoint: true
# scope: document
default decision := false

decision := judged if {
	not broken
	judged := data.remit.authz.decision
}

decision := {
	"allowed": false,
	"outcome": "deny",
	"reasons": sort(violations),
} if {
	broken
}

# What is no decision the filter denies by itself.
broken if {
	let_through
	count(violations) > 0
}

let_through if data.remit.authz.decision == true

let_through if data.remit.authz.decision.allowed == true

# The handshake, lists and notifications of the protocol reach nothing.
housekeeping if {
	input.remit.action.verb == "session"
	input.remit.action.protocol == "mcp"
	object.get(input.remit.action, "tool", null) == null
}

# Somebody else than the one for whom it is done has approved exactly this.
approved_by_another if {
	input.remit.approval.approver.sub != ""
	input.remit.delegation.principal.sub != ""
	input.remit.approval.approver.sub != input.remit.delegation.principal.sub
}
