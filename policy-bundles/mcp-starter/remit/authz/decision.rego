# METADATA
# scope: package
# title: MCP starter
# description: |
#   A first policy for MCP servers. Who may call which tool, read-only unless it says otherwise,
#   with what arguments.
package remit.authz

# METADATA
# title: Decision
# description: The answer to one request. Whatever is not granted is denied, with every reason that applies.
# entrypoint: true
decision := {
	"allowed": count(denials) == 0,
	"outcome": outcome,
	"reasons": sort(reasons),
}

default outcome := "deny"

outcome := "allow" if count(denials) == 0

# METADATA
# title: Granted
# description: The agent has the tool, or this is MCP's own housekeeping.
# scope: rule
# custom:
#   reason_code: granted
reasons := {"granted"} if count(denials) == 0

reasons := denials if count(denials) > 0
