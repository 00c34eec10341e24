# METADATA
# scope: package
# title: Agent baseline
# description: |
#   Is this action within the remit that a human gave this agent for this task? Denied unless every
#   rule is met; an action that others cannot take back, or that reaches beyond a contained
#   audience, waits for a human.
package remit.authz

# METADATA
# title: Decision
# description: The answer to one action; reasons are sorted, so that equal decisions are equal text.
# entrypoint: true
decision := {
	"allowed": outcome == "allow",
	"outcome": outcome,
	"reasons": sort(reasons),
}

# A denial goes before an approval: nobody is asked to approve what would be denied all the same.
default outcome := "deny"

outcome := "allow" if {
	count(denials) == 0
	count(permits) > 0
}

outcome := "require_approval" if {
	count(denials) == 0
	count(permits) == 0
}

reasons := denials if outcome == "deny"

reasons := permits if outcome == "allow"

# METADATA
# title: Approval required
# description: The task covers the action, and a human decides whether it happens; the cautions say why.
# scope: rule
# custom:
#   reason_code: approval_required
reasons := {"approval_required"} | cautions if outcome == "require_approval"

# METADATA
# title: Protocol session
# description: Handshake, listing and notifications of the protocol itself; they reach no resource.
# custom:
#   reason_code: protocol_session
permits contains "protocol_session" if session_housekeeping

# METADATA
# title: Within the remit
# description: The task covers the action and nothing about it calls for a human.
# custom:
#   reason_code: within_remit
permits contains "within_remit" if {
	not session_housekeeping
	free_of_approval
}

# METADATA
# title: Approved
# description: A human approved exactly this action; the filter verified the proof and spent it.
# custom:
#   reason_code: approved
permits contains "approved" if {
	not session_housekeeping
	not free_of_approval
	approval_given
}
