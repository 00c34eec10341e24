package red_team.authz_test

test_told_by_what_it_read[tc.note] if {
	some tc in [
		{
			"note": "a tool that no catalog knows",
			"asked": acting({"classified": false}),
			"reasons": ["meaning_unknown"],
		},
		{"note": "no verb", "asked": acting({"verb": "unknown"}), "reasons": ["for_good", "meaning_unknown"]},
		{"note": "an argument is missing", "asked": acting({"missing": ["/to"]}), "reasons": ["left_to_server"]},
		{
			"note": "another operation",
			"asked": also({"delegation": {"task": {"actions": ["mail.read"]}}}),
			"reasons": ["not_asked_for"],
		},
		{"note": "no task", "asked": without("remit/delegation/task"), "reasons": ["not_asked_for", "told_to_others"]},
		{"note": "another box", "asked": acting({"resource": {"name": "box/bea/m-1"}}), "reasons": ["elsewhere"]},
		{"note": "out of the box", "asked": acting({"resource": {"name": "box/kim/../bea"}}), "reasons": ["elsewhere"]},
		{
			"note": "to a stranger",
			"asked": acting({"counterparties": [{"value": "x@evil.example"}]}),
			"reasons": ["told_to_others"],
		},
		{
			"note": "to Kim and a stranger",
			"asked": acting({"counterparties": [{"value": "kim"}, {"value": "x@evil.example"}]}),
			"reasons": ["told_to_others"],
		},
		{"note": "published", "asked": acting({"verb": "publish"}), "reasons": ["for_good", "told_to_others"]},
		{"note": "for all to read", "asked": acting({"effects": {"visibility": "public"}}), "reasons": ["told_to_others"]},
		{"note": "deleted", "asked": acting({"verb": "delete", "effects": {"reversible": true}}), "reasons": ["for_good"]},
		{"note": "run", "asked": acting({"verb": "execute", "effects": {"reversible": true}}), "reasons": ["for_good"]},
		{"note": "sent, and cannot be taken back", "asked": acting({"verb": "send"}), "reasons": ["for_good"]},
	]
	beside(true, tc.asked) == denied(tc.reasons)
}

test_work_goes_on[tc.note] if {
	some tc in [
		{"note": "the place itself", "asked": acting({"resource": {"name": "box/team"}})},
		{"note": "a task for any place", "asked": without("remit/delegation/task/locations")},
		{"note": "read", "asked": acting({"verb": "read", "effects": {"side_effect": false}})},
		{"note": "changed, and can be taken back", "asked": acting({"verb": "update", "effects": {"reversible": true}})},
		{
			"note": "published, approved by another",
			"asked": also({
				"action": {"verb": "publish", "counterparties": [{"value": "all"}]},
				"approval": approval,
			}),
		},
	]
	beside(true, tc.asked) == true
}
