package remit.authz_test

effects(stated) := acting({"effects": stated})

verb(word, stated) := acting({"verb": word, "effects": stated})

quiet := {"side_effect": false, "visibility": "private", "reversible": true}

told := {"side_effect": true, "visibility": "private", "reversible": false}

answer(counterparties) := also(verb("answer", told), {"action": {"counterparties": counterparties}})

person(value) := {"kind": "person", "value": value, "from": "/to"}

test_reads if failures({
	"read": {"asked": verb("read", quiet), "expect": within},
	"list": {"asked": verb("list", quiet), "expect": within},
	"search": {"asked": verb("search", quiet), "expect": within},
	"reading cannot be taken back and need not be": {
		"asked": verb("read", object.union(quiet, {"reversible": false})),
		"expect": within,
	},
	"a read that leaves a trace for good": {
		"asked": verb("read", {"side_effect": true, "reversible": false}),
		"expect": held({"irreversible"}),
	},
	"a read that spends": {"asked": verb("read", object.union(quiet, {"money": true})), "expect": held({"pays"})},
}) == set()

test_answers if failures({
	"to the principal": {"asked": answer([person("bea")]), "expect": within},
	"to whoever asked": {"asked": answer([person("bea@mail.example")]), "expect": within},
	"on the channel it was asked on": {"asked": answer([]), "expect": within},
	"to another": {"asked": answer([person("anton")]), "expect": held({"answers_others"})},
	"to both": {"asked": answer([person("bea"), person("anton")]), "expect": held({"answers_others"})},
	"to nobody": {"asked": answer([person("")]), "expect": held({"answers_others"})},
	"to null": {"asked": answer([person(null)]), "expect": held({"answers_others"})},
	"to nobody, asked by nobody": {
		"asked": also(answer([person("")]), {"delegation": {"task": {"requested_by": ""}}}),
		"expect": held({"answers_others"}),
	},
	"recipients of another type": {"asked": answer("bea"), "expect": held({"answers_others"})},
	"recipients as an object": {"asked": answer({"a": person("bea")}), "expect": held({"answers_others"})},
	"recipients unknown": {
		"asked": json.remove(answer([]), ["remit/action/counterparties"]),
		"expect": held({"answers_others"}),
	},
	"before everyone inside": {
		"asked": verb("answer", {"visibility": "internal"}),
		"expect": held({"publishes"}),
	},
}) == set()

test_changes if failures({
	"create": {"asked": verb("create", {}), "expect": within},
	"update": {"asked": verb("update", {}), "expect": within},
	"send": {"asked": verb("send", {}), "expect": within},
	"send to another": {
		"asked": also(verb("send", {}), {"action": {"counterparties": [person("anton")]}}),
		"expect": within,
	},
	"for good": {"asked": effects({"reversible": false}), "expect": held({"irreversible"})},
	"in public": {"asked": effects({"visibility": "public"}), "expect": held({"publishes"})},
	"before unknown eyes": {"asked": effects({"visibility": "partners"}), "expect": held({"publishes"})},
	"with privilege": {"asked": effects({"privilege": true}), "expect": held({"grants_access"})},
	"with money": {"asked": effects({"money": true}), "expect": held({"pays"})},
	"with everything": {
		"asked": effects({"reversible": false, "visibility": "public", "privilege": true, "money": true}),
		"expect": held({"grants_access", "irreversible", "pays", "publishes"}),
	},
}) == set()

test_verbs_needing_approval if failures({
	"publish": {"asked": verb("publish", {}), "expect": held({"publishes"})},
	"publish for good": {"asked": verb("publish", {"reversible": false}), "expect": held({"publishes"})},
	"grant": {"asked": verb("grant", {"privilege": true}), "expect": held({"grants_access"})},
	"delete": {"asked": verb("delete", {"reversible": false}), "expect": held({"deletes"})},
	"pay": {"asked": verb("pay", {"money": true}), "expect": held({"pays"})},
	"execute": {"asked": verb("execute", {}), "expect": held({"executes"})},
	"grant of no privilege": {"asked": verb("grant", {}), "expect": held({"grants_access"})},
	"payment of no money": {"asked": verb("pay", {}), "expect": held({"pays"})},
	"even without effects": {"asked": verb("delete", quiet), "expect": held({"deletes"})},
}) == set()

test_verbs_are_the_operators if {
	careful := object.union(settings, {"verbs_needing_approval": ["update"]})
	decided_with(request, careful, registry) == held(set())
	careless := object.union(settings, {"verbs_needing_approval": "publish"})
	decided_with(request, careless, registry) == held(set())
	bold := object.union(settings, {"verbs_needing_approval": ["delete"]})
	decided_with(verb("publish", {}), bold, registry) == within
	decided_with(verb("publish", {"visibility": "public"}), bold, registry) == held({"publishes"})
	narrow := object.union(settings, {"contained_visibility": ["private"]})
	decided_with(request, narrow, registry) == held({"publishes"})
	confused := object.union(settings, {"contained_visibility": {"a": "internal"}})
	decided_with(request, confused, registry) == held({"publishes"})
}

published := verb("publish", {"reversible": false})

by_principal := {"approval": {"approver": {"iss": "https://approvals.example", "sub": "bea"}}}

test_dual_control_is_the_operators if {
	asked := also(published, by_principal)
	trusting := object.union(settings, {"dual_control": false})
	decided_with(asked, trusting, registry) == allowed(["approved"])
	unstated := json.remove(settings, ["dual_control"])
	decided_with(asked, unstated, registry) == held({"publishes"})
}

test_approval if failures({
	"given": {
		"asked": also(published, approval),
		"expect": allowed(["approved"]),
	},
	"by nobody": {
		"asked": also(published, {"approval": {"approver": {"sub": ""}}}),
		"expect": held({"publishes"}),
	},
	"by the principal": {"asked": also(published, by_principal), "expect": held({"publishes"})},
	"empty": {"asked": also(published, {"approval": {}}), "expect": held({"publishes"})},
	"null": {"asked": also(published, {"approval": null}), "expect": held({"publishes"})},
	"true": {"asked": also(published, {"approval": true}), "expect": held({"publishes"})},
	"widens no task": {
		"asked": also(acting({"operation": "note.share", "verb": "publish"}), approval),
		"expect": denied(["operation_outside_task"]),
	},
	"widens no capability": {
		"asked": also(
			task({"actions": ["note.burn"]}),
			object.union(approval, {"action": {"operation": "note.burn", "verb": "delete"}}),
		),
		"expect": denied(["capability_missing"]),
	},
	"reaches no other resource": {
		"asked": also(named("note/n-2"), object.union(approval, {"action": {"verb": "publish"}})),
		"expect": outside,
	},
	"registers nobody": {
		"asked": also(published, object.union(approval, {"delegation": {"actor": {"sub": "agent-z"}}})),
		"expect": unregistered,
	},
}) == set()
