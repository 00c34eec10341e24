package red_team.authz_test

broken := acting({"effects": {"money": true}})

test_decisions[tc.note] if {
	some tc in [
		{"note": "allowed, and nothing broken", "policy": true, "asked": request, "decision": true},
		{
			"note": "allowed by an object",
			"policy": {"allowed": true, "headers": {"a": "b"}},
			"asked": request,
			"decision": {"allowed": true, "headers": {"a": "b"}},
		},
		{"note": "denied, and nothing broken", "policy": false, "asked": request, "decision": false},
		{"note": "allowed, and broken", "policy": true, "asked": broken, "decision": denied(["spends"])},
		{
			"note": "allowed by an object, and broken",
			"policy": {"allowed": true, "outcome": "modify"},
			"asked": broken,
			"decision": denied(["spends"]),
		},
		{"note": "denied, and broken", "policy": false, "asked": broken, "decision": false},
		{
			"note": "held for a human, and broken",
			"policy": {"allowed": false, "outcome": "require_approval"},
			"asked": broken,
			"decision": {"allowed": false, "outcome": "require_approval"},
		},
		{"note": "no decision", "policy": "yes", "asked": broken, "decision": "yes"},
	]
	beside(tc.policy, tc.asked) == tc.decision
}

test_no_policy if data.red_team.authz.decision == false with input as request

test_session if {
	beside(true, {"remit": {
		"delegation": request.remit.delegation,
		"registration": "registered",
		"action": {"protocol": "mcp", "classified": true, "operation": "tools/list", "verb": "session"},
	}})
}
