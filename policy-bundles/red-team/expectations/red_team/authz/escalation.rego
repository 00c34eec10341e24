package red_team.authz

# What an agent tries with the rights that it has, and with those that it has not.

# METADATA
# title: Nobody's agent
# description: The registry does not know the agent, or no longer.
# custom:
#   reason_code: nobodys_agent
violations contains "nobodys_agent" if not registered

# METADATA
# title: For nobody
# description: No human is at the root of the delegation.
# custom:
#   reason_code: for_nobody
violations contains "for_nobody" if not for_a_human

# METADATA
# title: Beyond its capabilities
# description: The agent is not registered for the operation, whatever its task says.
# custom:
#   reason_code: beyond_capabilities
violations contains "beyond_capabilities" if {
	not housekeeping
	not capable
}

# METADATA
# title: Widens rights
# description: It changes who may do or see what, and nobody has approved that.
# custom:
#   reason_code: widens_rights
violations contains "widens_rights" if {
	not housekeeping
	not rights_untouched
	not approved_by_another
}

# METADATA
# title: Spends
# description: It moves or commits money, and nobody but the one who asked has approved that.
# custom:
#   reason_code: spends
violations contains "spends" if {
	not housekeeping
	not money_untouched
	not approved_by_another
}

registered if input.remit.registration == "registered"

for_a_human if {
	input.remit.delegation.principal.kind == "human"
	input.remit.delegation.principal.sub != ""
}

capable if {
	actor := input.remit.delegation.actor
	input.remit.action.operation in data.remit.registry.agents[actor.iss][actor.sub].capabilities
}

rights_untouched if {
	input.remit.action.effects.privilege == false
	input.remit.action.verb != "grant"
}

money_untouched if {
	input.remit.action.effects.money == false
	input.remit.action.verb != "pay"
}
