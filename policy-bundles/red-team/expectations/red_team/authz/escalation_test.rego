package red_team.authz_test

test_more_than_it_may[tc.note] if {
	some tc in [
		{"note": "not registered", "asked": also({"registration": "unregistered"}), "reasons": ["nobodys_agent"]},
		{"note": "no longer registered", "asked": also({"registration": "expired"}), "reasons": ["nobodys_agent"]},
		{
			"note": "no human",
			"asked": also({"delegation": {"principal": {"kind": "agent"}}}),
			"reasons": ["for_nobody"],
		},
		{
			"note": "a task that is wider than the registration",
			"asked": also({
				"action": {"operation": "mail.rule"},
				"delegation": {"task": {"actions": ["mail.rule"]}},
			}),
			"reasons": ["beyond_capabilities"],
		},
		{
			"note": "a name of another issuer",
			"asked": also({"delegation": {"actor": {"iss": "https://evil.example"}}}),
			"reasons": ["beyond_capabilities"],
		},
		{"note": "grants", "asked": acting({"verb": "grant"}), "reasons": ["for_good", "widens_rights"]},
		{"note": "rights by the way", "asked": acting({"effects": {"privilege": true}}), "reasons": ["widens_rights"]},
		{"note": "pays", "asked": acting({"verb": "pay"}), "reasons": ["for_good", "spends"]},
		{
			"note": "pays, approved by the one who asked",
			"asked": also({
				"action": {"effects": {"money": true}},
				"approval": {"approver": {"sub": "kim"}},
			}),
			"reasons": ["spends"],
		},
		{
			"note": "pays, approved by nobody",
			"asked": also({
				"action": {"effects": {"money": true}},
				"approval": {"approver": {"sub": ""}},
			}),
			"reasons": ["spends"],
		},
	]
	beside(true, tc.asked) == denied(tc.reasons)
}

test_paid_and_approved if {
	beside(true, also({"action": {"effects": {"money": true}}, "approval": approval}))
}
