# METADATA
# title: Twenty rules
# description: What the benchmark evaluates; as large as a team's first policy. Nothing that ships.
package remit.authz

# METADATA
# title: Decision
# entrypoint: true
decision := {"allowed": count(denials) == 0, "reasons": sort(reasons)}

reasons := denials if count(denials) > 0

reasons := {"within_remit"} if count(denials) == 0

denials contains "principal_not_human" if input.remit.delegation.principal.kind != "human"

denials contains "token_lifetime_over_cap" if not lifetime_within_cap

denials contains "agent_unregistered" if not agent

denials contains "capability_missing" if not capability_held

denials contains "operation_outside_task" if not operation_in_task

denials contains "resource_outside_task" if not resource_in_task

denials contains "resource_frozen" if data.remit.settings.frozen[input.remit.action.resource.name]

denials contains "action_unclassified" if not classified

denials contains "publishes" if verb_held

denials contains "visible_outside" if not contained

denials contains "grants_access" if input.remit.action.effects.privilege

denials contains "pays" if input.remit.action.effects.money

lifetime_within_cap if input.remit.token.lifetime_seconds <= data.remit.settings.max_lifetime_seconds

agent := entry if {
	actor := input.remit.delegation.actor
	entry := data.remit.registry.agents[actor.iss][actor.sub]
}

capability_held if input.remit.action.operation in agent.capabilities

operation_in_task if input.remit.action.operation in input.remit.delegation.task.actions

resource_in_task if input.remit.action.resource.name in input.remit.delegation.task.locations

classified if input.remit.action.classified == true

contained if input.remit.action.effects.visibility in data.remit.settings.contained_visibility

verb_held if input.remit.action.verb in data.remit.settings.verbs_needing_approval
