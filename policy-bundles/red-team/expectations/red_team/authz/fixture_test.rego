package red_team.authz_test

# What breaks no expectation; each case changes one thing about it.
request := {"remit": {
	"token": {"lifetime_seconds": 600},
	"delegation": {
		"principal": {"iss": "https://idp.example", "sub": "kim", "kind": "human"},
		"actor": {"iss": "https://idp.example", "sub": "agent-mail"},
		"task": {
			"task_id": "task-1",
			"requested_by": "kim@mail.example",
			"actions": ["mail.answer"],
			"locations": ["box/kim/*", "box/team"],
		},
	},
	"registration": "registered",
	"action": {
		"protocol": "mcp",
		"classified": true,
		"operation": "mail.answer",
		"verb": "answer",
		"tool": "send_message",
		"resource": {"type": "box", "id": "kim/m-1", "name": "box/kim/m-1"},
		"effects": {
			"side_effect": true,
			"visibility": "private",
			"reversible": false,
			"privilege": false,
			"money": false,
			"open_world": false,
		},
		"counterparties": [{"kind": "person", "value": "kim@mail.example"}],
		"missing": [],
	},
}}

registry := {"agents": {"https://idp.example": {"agent-mail": {"capabilities": ["mail.answer"]}}}}

approval := {"approver": {"iss": "https://approvals.example", "sub": "mara"}}

acting(action) := also({"action": action})

also(remit) := object.union(request, {"remit": remit})

without(path) := json.remove(request, [path])

# What is decided beside a policy that decides so.
beside(policy, asked) := decision if {
	decision := data.red_team.authz.decision with input as asked
		with data.remit.authz.decision as policy
		with data.remit.registry as registry
}

denied(reasons) := {"allowed": false, "outcome": "deny", "reasons": reasons}
