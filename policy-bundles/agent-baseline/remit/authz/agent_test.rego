package remit.authz_test

actor(claims) := changed({"delegation": {"actor": claims}})

registration(state) := changed({"registration": state})

unregistered := denied(["agent_unregistered"])

test_agent if failures({
	"unknown": {"asked": actor({"sub": "agent-z"}), "expect": unregistered},
	"same name, other issuer": {"asked": actor({"iss": "https://rogue.example"}), "expect": unregistered},
	"the filter does not know it": {"asked": registration("unregistered"), "expect": unregistered},
	"the filter says nothing": {"asked": without("remit/registration"), "expect": unregistered},
	"the filter says something else": {"asked": registration("maybe"), "expect": unregistered},
	"registration ended": {
		"asked": registration("expired"),
		"expect": denied(["agent_registration_expired"]),
	},
	"registration ended, of nobody": {
		"asked": object.union(registration("expired"), {"remit": {"delegation": {"actor": {"iss": null}}}}),
		"expect": no_delegation,
	},
	"no time known, and none needed": {"asked": without("remit/now"), "expect": allowed(["within_remit"])},
	"beyond its capabilities": {
		"asked": changed({
			"delegation": {"task": {"actions": ["note.burn"]}},
			"action": {"operation": "note.burn"},
		}),
		"expect": denied(["capability_missing"]),
	},
}) == set()

known_as(entry) := {"agents": {"https://idp.example": {"agent-a": entry}}}

registered_as(entry) := decided_with(request, settings, known_as(entry))

plain := {"owner": "platform team", "capabilities": ["note.write"]}

test_registration if {
	registered_as(plain) == allowed(["within_remit"])
	registered_as("agent-a") == unregistered
	registered_as(null) == unregistered
	nameless := {"agents": {"": {"agent-a": plain}}}
	decided_with(actor({"iss": ""}), settings, nameless) == no_delegation
	flat := {"agents": {"agent-a": object.union(plain, {"iss": "https://idp.example"})}}
	decided_with(request, settings, flat) == unregistered
}

test_capabilities if {
	incapable := denied(["capability_missing"])
	registered_as({}) == incapable
	registered_as({"capabilities": []}) == incapable
	registered_as({"capabilities": null}) == incapable
	registered_as({"capabilities": "note.write"}) == incapable
	registered_as({"capabilities": {"a": "note.write"}}) == incapable
}

scoped(scope) := registered_as(object.union(plain, {"scope": scope}))

test_scope if {
	within := allowed(["within_remit"])
	scoped(null) == within
	scoped({}) == within
	scoped({"verbs": null, "visibility": null, "locations": null}) == within
	scoped({"verbs": ["read", "update"], "visibility": ["internal"], "locations": ["note/*"]}) == within
	outside := denied(["outside_agent_scope"])
	scoped({"verbs": ["read"]}) == outside
	scoped({"verbs": []}) == outside
	scoped({"verbs": "update"}) == outside
	scoped({"visibility": ["private"]}) == outside
	scoped({"locations": ["shelf/*"]}) == outside
	scoped({"locations": []}) == outside
	scoped({"locations": "note/*"}) == outside
	scoped("everything") == outside
	scoped([]) == outside
}

test_scope_governs_actions_and_not_the_session if {
	narrow := known_as(object.union(plain, {"scope": {"verbs": []}}))
	asked := replaced("remit/action", {"remit": {"action": {
		"protocol": "mcp",
		"classified": true,
		"operation": "mcp.ping",
		"verb": "session",
	}}})
	decided_with(asked, settings, narrow) == allowed(["protocol_session"])
}
