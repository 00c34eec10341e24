package remit.authz_test

nothing_said := denied([
	"action_unclassified",
	"agent_unregistered",
	"delegation_missing",
	"principal_not_human",
	"task_missing",
	"token_lifetime_over_cap",
])

test_decision if failures({
	"within the remit": {"asked": request, "expect": allowed(["within_remit"])},
	"approval that was not needed": {"asked": changed(approval), "expect": allowed(["within_remit"])},
	"empty input": {"asked": {}, "expect": nothing_said},
	"null input": {"asked": null, "expect": nothing_said},
	"array input": {"asked": [request], "expect": nothing_said},
	"text input": {"asked": "remit", "expect": nothing_said},
	"null remit": {"asked": {"remit": null}, "expect": nothing_said},
	"remit is an array": {"asked": {"remit": [request.remit]}, "expect": nothing_said},
	"approval alone": {"asked": {"remit": approval}, "expect": nothing_said},
	"several reasons": {
		"asked": changed({
			"token": {"lifetime_seconds": 901},
			"delegation": {"principal": {"kind": "service"}},
			"action": {"operation": "note.burn", "verb": "delete", "resource": {"name": "note/n-2"}},
		}),
		"expect": denied([
			"capability_missing",
			"operation_outside_task",
			"principal_not_human",
			"resource_outside_task",
			"token_lifetime_over_cap",
		]),
	},
}) == set()

fields := [
	["token"],
	["token", "lifetime_seconds"],
	["delegation"],
	["delegation", "principal"],
	["delegation", "principal", "kind"],
	["delegation", "principal", "sub"],
	["delegation", "actor"],
	["delegation", "actor", "iss"],
	["delegation", "actor", "sub"],
	["delegation", "task"],
	["delegation", "task", "actions"],
	["action"],
	["action", "classified"],
	["action", "operation"],
	["action", "verb"],
	["action", "resource"],
	["action", "resource", "name"],
	["action", "effects"],
	["action", "effects", "side_effect"],
	["action", "effects", "visibility"],
	["action", "effects", "reversible"],
	["action", "effects", "privilege"],
	["action", "effects", "money"],
	["action", "missing"],
]

nested(keys, value) := {keys[0]: value} if count(keys) == 1

nested(keys, value) := {keys[0]: {keys[1]: value}} if count(keys) == 2

nested(keys, value) := {keys[0]: {keys[1]: {keys[2]: value}}} if count(keys) == 3

hostile_values := [null, "", "x", ["x"], [[]], {}, {"x": 1}]

test_no_field_may_be_missing if {
	refused := [field | some field in fields; decided(without(path_of(field))).outcome == "deny"]
	refused == fields
}

# Any text will do for these two; an unknown visibility is held for approval.
fitting := {
	[["delegation", "principal", "sub"], "x"],
	[["action", "effects", "visibility"], "x"],
}

test_no_field_may_be_of_another_type if {
	hostile := {[field, value] | some field in fields; some value in hostile_values} - fitting
	refused := {[field, value] |
		some [field, value] in hostile
		decided(replaced(path_of(field), {"remit": nested(field, value)})).outcome == "deny"
	}
	refused == hostile
}

path_of(field) := concat("/", array.concat(["remit"], field))

test_settings_and_registry_may_not_be_missing if {
	decided_with(request, {}, registry) == denied(["token_lifetime_over_cap"])
	decided_with(request, null, registry) == denied(["token_lifetime_over_cap"])
	decided_with(request, settings, {}) == denied(["agent_unregistered"])
	decided_with(request, settings, null) == denied(["agent_unregistered"])
	decided_with(request, {"max_lifetime_seconds": 900}, registry) == held({"publishes"})
	decided_with(request, json.remove(settings, ["verbs_needing_approval"]), registry) == held(set())
	decided_with(request, json.remove(settings, ["contained_visibility"]), registry) == held({"publishes"})
}

test_shipped_settings if data.remit.settings == settings

test_reasons_are_sorted if {
	decision := decided({})
	decision.reasons == sort(decision.reasons)
}
