package remit.authz

# METADATA
# title: Agent not registered
# description: The current actor is not in the registry, has another issuer there, or has expired.
# custom:
#   reason_code: agent_unregistered
denials contains "agent_unregistered" if not registered_agent

# METADATA
# title: Capability missing
# description: The operation is not among the capabilities that the agent is registered with.
# custom:
#   reason_code: capability_missing
denials contains "capability_missing" if {
	operation_governed
	registered_agent
	not capability_held
}

# Identity is (iss, sub): the same sub from another issuer is another agent.
registered_agent := agent if {
	delegation_present
	agent := data.remit.registry.agents[input.remit.delegation.actor.sub]
	agent.iss == input.remit.delegation.actor.iss
	registration_current(agent)
}

registration_current(agent) if unset(agent, "expires")

registration_current(agent) if later_than_now(agent.expires)

capability_held if {
	is_array(registered_agent.capabilities)
	input.remit.action.operation in registered_agent.capabilities
}

later_than_now(time) if {
	is_number(time)
	is_number(input.remit.now)
	time > input.remit.now
}
