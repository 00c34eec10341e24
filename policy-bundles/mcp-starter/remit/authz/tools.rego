package remit.authz

# METADATA
# title: Agent unknown
# description: The data has no entry for whoever acts, of this issuer.
# custom:
#   reason_code: agent_unknown
denials contains "agent_unknown" if not agent

# METADATA
# title: Not MCP
# description: This bundle decides about MCP servers; everything else is for another one.
# custom:
#   reason_code: not_mcp
denials contains "not_mcp" if not over_mcp

# METADATA
# title: Tool not granted
# description: The agent's entry lists the tool neither under reads nor under writes.
# custom:
#   reason_code: tool_not_granted
denials contains "tool_not_granted" if {
	agent
	over_mcp
	not housekeeping
	not tool in listed
}

# METADATA
# title: Read-only
# description: The tool changes something, or may, and the agent has it for reading alone.
# custom:
#   reason_code: read_only
denials contains "read_only" if {
	tool in listed
	not tool in object.get(agent, "writes", [])
	not changes_nothing
}

# Each issuer names its own agents: what another one calls by the same name is another agent.
agent := data.remit.starter.agents[input.remit.delegation.actor.iss][input.remit.delegation.actor.sub]

tool := input.remit.action.tool

over_mcp if input.remit.action.protocol == "mcp"

# initialize, tools/list, notifications: they reach no tool, so whoever is known may send them.
housekeeping if {
	input.remit.action.verb == "session"
	object.get(input.remit.action, "tool", null) == null
}

listed contains name if some name in agent.reads

listed contains name if some name in agent.writes

# The catalog says so; what it does not know may do anything.
changes_nothing if {
	input.remit.action.classified == true
	input.remit.action.effects.side_effect == false
}
