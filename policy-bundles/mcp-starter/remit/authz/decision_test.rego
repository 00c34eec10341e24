package remit.authz_test

agents := {"https://idp.example": {
	"agent-a": {"reads": ["read_note", "find_note"], "writes": ["write_note"]},
	"agent-b": {"reads": ["read_note"]},
}}

arguments := {
	"read_note": {"id": {"prefix": "n-"}},
	"find_note": {"text": {"max_length": 5}},
	"write_note": {"shelf": {"one_of": ["s-1", "s-2"]}},
}

calls(agent, tool, side_effect, given) := {"remit": {
	"delegation": {"actor": {"iss": "https://idp.example", "sub": agent}},
	"action": {
		"protocol": "mcp",
		"classified": true,
		"verb": "read",
		"tool": tool,
		"arguments": given,
		"effects": {"side_effect": side_effect},
	},
}}

listing(agent) := {"remit": {
	"delegation": {"actor": {"iss": "https://idp.example", "sub": agent}},
	"action": {"protocol": "mcp", "classified": true, "verb": "session"},
}}

reading := calls("agent-a", "read_note", false, {"id": "n-1"})

cases := {
	"a tool to read": {"asked": reading, "reasons": []},
	"housekeeping": {"asked": listing("agent-b"), "reasons": []},
	"a tool to write": {"asked": calls("agent-a", "write_note", true, {"shelf": "s-2"}), "reasons": []},
	"nobody": {"asked": json.remove(reading, ["remit/delegation"]), "reasons": ["agent_unknown"]},
	"somebody else": {"asked": calls("agent-z", "read_note", false, {"id": "n-1"}), "reasons": ["agent_unknown"]},
	"the same name of another issuer": {
		"asked": object.union(reading, {"remit": {"delegation": {"actor": {"iss": "https://other.example"}}}}),
		"reasons": ["agent_unknown"],
	},
	"the name without an issuer": {
		"asked": json.remove(reading, ["remit/delegation/actor/iss"]),
		"reasons": ["agent_unknown"],
	},
	"housekeeping of somebody else": {"asked": listing("agent-z"), "reasons": ["agent_unknown"]},
	"another agent's tool": {
		"asked": calls("agent-b", "write_note", true, {"shelf": "s-1"}),
		"reasons": ["tool_not_granted"],
	},
	"a tool that nobody has": {"asked": calls("agent-a", "burn", true, {}), "reasons": ["tool_not_granted"]},
	"a tool to read that changes something": {
		"asked": calls("agent-a", "read_note", true, {"id": "n-1"}),
		"reasons": ["read_only"],
	},
	"a tool to read that the catalog does not know": {
		"asked": object.union(reading, {"remit": {"action": {"classified": false}}}),
		"reasons": ["read_only"],
	},
	"over HTTP": {
		"asked": object.union(reading, {"remit": {"action": {"protocol": "http"}}}),
		"reasons": ["not_mcp"],
	},
	"an argument with another prefix": {
		"asked": calls("agent-a", "read_note", false, {"id": "../n-1"}),
		"reasons": ["argument_refused"],
	},
	"an argument that is too long": {
		"asked": calls("agent-a", "find_note", false, {"text": "sesame"}),
		"reasons": ["argument_refused"],
	},
	"an argument of five characters": {"asked": calls("agent-a", "find_note", false, {"text": "12345"}), "reasons": []},
	"an argument out of the list": {
		"asked": calls("agent-a", "write_note", true, {"shelf": "s-3"}),
		"reasons": ["argument_refused"],
	},
	"an argument that is missing": {"asked": calls("agent-a", "read_note", false, {}), "reasons": ["argument_refused"]},
	"an argument of another type": {
		"asked": calls("agent-a", "read_note", false, {"id": ["n-1"]}),
		"reasons": ["argument_refused"],
	},
	"nothing at all": {"asked": {}, "reasons": ["agent_unknown", "not_mcp"]},
}

test_decision[name] if {
	some name, case in cases
	decision := data.remit.authz.decision with input as case.asked
		with data.remit.starter as {"agents": agents, "arguments": arguments}
	decision == expected(case.reasons)
}

expected(reasons) := {"allowed": true, "outcome": "allow", "reasons": ["granted"]} if reasons == []

expected(reasons) := {"allowed": false, "outcome": "deny", "reasons": reasons} if reasons != []
