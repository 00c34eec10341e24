package remit.authz_test

actor(claims) := changed({"delegation": {"actor": claims}})

unregistered := denied(["agent_unregistered"])

test_agent if failures({
	"unknown": {"asked": actor({"sub": "agent-z"}), "expect": unregistered},
	"same name, other issuer": {"asked": actor({"iss": "https://rogue.example"}), "expect": unregistered},
	"registration ended": {
		"asked": changed({"now": 1001, "delegation": {"task": {"expires": 2000}}}),
		"expect": unregistered,
	},
	"no time known": {
		"asked": without("remit/now"),
		"expect": denied(["agent_unregistered", "task_expired"]),
	},
	"null time, which Rego orders before numbers": {
		"asked": changed({"now": null}),
		"expect": denied(["agent_unregistered", "task_expired"]),
	},
	"beyond its capabilities": {
		"asked": changed({
			"delegation": {"task": {"actions": ["note.burn"]}},
			"action": {"operation": "note.burn"},
		}),
		"expect": denied(["capability_missing"]),
	},
}) == set()

registered_as(entry) := decided_with(request, settings, {"agents": {"agent-a": entry}})

test_registration if {
	plain := {"iss": "https://idp.example", "capabilities": ["note.write"]}
	registered_as(plain) == allowed(["within_remit"])
	registered_as(object.union(plain, {"expires": null})) == allowed(["within_remit"])
	registered_as(object.union(plain, {"expires": 1000})) == unregistered
	registered_as(object.union(plain, {"expires": "never"})) == unregistered
	registered_as(object.union(plain, {"expires": true})) == unregistered
	registered_as({"capabilities": ["note.write"]}) == unregistered
	nameless := {"agents": {"agent-a": {"iss": null, "capabilities": ["note.write"]}}}
	decided_with(actor({"iss": null}), settings, nameless) == no_delegation
	registered_as("agent-a") == unregistered
	registered_as(null) == unregistered
}

test_capabilities if {
	incapable := denied(["capability_missing"])
	registered_as({"iss": "https://idp.example"}) == incapable
	registered_as({"iss": "https://idp.example", "capabilities": []}) == incapable
	registered_as({"iss": "https://idp.example", "capabilities": null}) == incapable
	registered_as({"iss": "https://idp.example", "capabilities": "note.write"}) == incapable
	registered_as({"iss": "https://idp.example", "capabilities": {"a": "note.write"}}) == incapable
}
