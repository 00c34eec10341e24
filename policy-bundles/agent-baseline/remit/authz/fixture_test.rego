package remit.authz_test

# A request that is allowed in every respect; each case changes one thing about it.
request := {"remit": {
	"v": 1,
	"now": 1000,
	"mode": "enforce",
	"token": {"iss": "https://idp.example", "sub": "bea", "lifetime_seconds": 600},
	"delegation": {
		"principal": {"iss": "https://idp.example", "sub": "bea", "kind": "human"},
		"actor": {"iss": "https://idp.example", "sub": "agent-a"},
		"chain": [{"iss": "https://idp.example", "sub": "agent-a"}],
		"depth": 1,
		"task": {
			"task_id": "task-1",
			"requested_by": "bea@mail.example",
			"actions": ["note.write"],
			"locations": ["note/n-1", "shelf/s-1/*"],
			"expires": 1001,
		},
	},
	"registration": "registered",
	"action": {
		"protocol": "mcp",
		"classified": true,
		"operation": "note.write",
		"verb": "update",
		"tool": "write_note",
		"resource": {"type": "note", "id": "n-1", "name": "note/n-1"},
		"effects": {
			"side_effect": true,
			"visibility": "internal",
			"reversible": true,
			"privilege": false,
			"money": false,
			"open_world": false,
		},
		"counterparties": [],
		"missing": [],
	},
}}

settings := {
	"max_lifetime_seconds": 900,
	"verbs_needing_approval": ["publish", "grant", "delete", "pay", "execute"],
	"contained_visibility": ["private", "internal"],
	"dual_control": true,
}

registry := {"agents": {"https://idp.example": {"agent-a": {
	"owner": "platform team",
	"capabilities": ["note.write", "note.share"],
	"expires": "2030-01-01",
}}}}

approval := {"approval": {"approver": {"iss": "https://approvals.example", "sub": "mara"}}}

decided(asked) := decision if {
	decision := data.remit.authz.decision with input as asked
		with data.remit.settings as settings
		with data.remit.registry as registry
}

decided_with(asked, set_to, known) := decision if {
	decision := data.remit.authz.decision with input as asked
		with data.remit.settings as set_to
		with data.remit.registry as known
}

changed(remit) := object.union(request, {"remit": remit})

acting(action) := changed({"action": action})

# Without the value at path ("remit/task"), then with the change: union alone would merge objects.
replaced(path, change) := object.union(json.remove(request, [path]), change)

without(path) := json.remove(request, [path])

denied(reasons) := {"allowed": false, "outcome": "deny", "reasons": reasons}

allowed(reasons) := {"allowed": true, "outcome": "allow", "reasons": reasons}

held(cautions) := {
	"allowed": false,
	"outcome": "require_approval",
	"reasons": sort({"approval_required"} | cautions),
}

also(asked, remit) := object.union(asked, {"remit": remit})

# The cases whose decision is not the expected one, an undefined decision included.
failures(cases) := object.keys(cases) - {name |
	some name, case in cases
	decided(case.asked) == case.expect
}
