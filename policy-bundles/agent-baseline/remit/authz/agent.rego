package remit.authz

# METADATA
# title: Agent not registered
# description: The registry does not know the current actor under its issuer.
# custom:
#   reason_code: agent_unregistered
denials contains "agent_unregistered" if {
	not registered_agent
	not registration_expired
}

# METADATA
# title: Registration expired
# description: The current actor was registered, and nobody has renewed it.
# custom:
#   reason_code: agent_registration_expired
denials contains "agent_registration_expired" if registration_expired

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

# METADATA
# title: Outside the agent's scope
# description: The verb, the audience or the resource is not among those that the agent is registered for.
# custom:
#   reason_code: outside_agent_scope
denials contains "outside_agent_scope" if {
	operation_governed
	registered_agent
	not within_agent_scope
}

# The filter says whether the registration holds now; identity is issuer and name.
registered_agent := agent if {
	delegation_present
	input.remit.registration == "registered"
	agent := data.remit.registry.agents[input.remit.delegation.actor.iss][input.remit.delegation.actor.sub]
	is_object(agent)
}

registration_expired if {
	delegation_present
	input.remit.registration == "expired"
}

capability_held if {
	is_array(registered_agent.capabilities)
	input.remit.action.operation in registered_agent.capabilities
}

# What the registry does not restrict is restricted by task and capabilities alone.
within_agent_scope if object.get(registered_agent, "scope", null) == null

within_agent_scope if {
	in_agent_scope("verbs", input.remit.action.verb)
	in_agent_scope("visibility", input.remit.action.effects.visibility)
	resource_in_agent_scope
}

in_agent_scope(list, _) if unset(registered_agent.scope, list)

in_agent_scope(list, value) if {
	is_array(registered_agent.scope[list])
	value in registered_agent.scope[list]
}

resource_in_agent_scope if unset(registered_agent.scope, "locations")

resource_in_agent_scope if {
	is_array(registered_agent.scope.locations)
	some location in registered_agent.scope.locations
	location_covers(location, input.remit.action.resource.name)
}
