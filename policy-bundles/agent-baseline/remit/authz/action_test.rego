package remit.authz_test

unclassified := denied(["action_unclassified"])

incomplete := denied(["action_incomplete"])

# What the core says of a protocol method that reaches no tool.
session := replaced("remit/action", {"remit": {"action": {
	"protocol": "mcp",
	"classified": true,
	"operation": "mcp.initialize",
	"verb": "session",
	"method": "initialize",
	"missing": [],
}}})

housekeeping := allowed(["protocol_session"])

test_classification if failures({
	"not in the catalog": {"asked": acting({"classified": false}), "expect": unclassified},
	"unknown verb": {"asked": acting({"verb": "unknown"}), "expect": unclassified},
	"invented verb": {"asked": acting({"verb": "improve"}), "expect": unclassified},
	"no verb": {"asked": without("remit/action/verb"), "expect": unclassified},
	"no resource either": {
		"asked": json.remove(acting({"classified": false}), ["remit/action/resource"]),
		"expect": unclassified,
	},
	"no operation": {"asked": without("remit/action/operation"), "expect": unclassified},
	"approved all the same": {
		"asked": also(acting({"classified": false}), approval),
		"expect": unclassified,
	},
}) == set()

test_completeness if failures({
	"a value is missing": {"asked": acting({"missing": ["/to"]}), "expect": incomplete},
	"nothing said about it": {"asked": without("remit/action/missing"), "expect": incomplete},
	"no effects": {"asked": without("remit/action/effects"), "expect": incomplete},
	"an effect not stated": {"asked": without("remit/action/effects/money"), "expect": incomplete},
	"an effect as text": {"asked": acting({"effects": {"privilege": "false"}}), "expect": incomplete},
}) == set()

test_session if failures({
	"handshake": {"asked": session, "expect": housekeeping},
	"null tool": {"asked": also(session, {"action": {"tool": null}}), "expect": housekeeping},
	"approved all the same": {"asked": also(session, approval), "expect": housekeeping},
	"with effects": {
		"asked": also(session, {"action": {"effects": object.union(quiet, {"privilege": false, "money": false})}}),
		"expect": housekeeping,
	},
	"another method, such as reading a resource": {
		"asked": json.remove(acting({"operation": "mcp.resources.read", "verb": "read"}), ["remit/action/tool"]),
		"expect": denied(["capability_missing", "operation_outside_task"]),
	},
	"without a task": {"asked": json.remove(session, ["remit/delegation/task"]), "expect": housekeeping},
	"unregistered": {
		"asked": also(session, {"delegation": {"actor": {"sub": "agent-z"}}}),
		"expect": unregistered,
	},
	"no human": {
		"asked": also(session, {"delegation": {"principal": {"kind": "agent"}}}),
		"expect": not_human,
	},
	"unknown method": {
		"asked": also(session, {"action": {"classified": false}}),
		"expect": unclassified,
	},
	"a tool that a catalog calls a session": {
		"asked": acting({"verb": "session", "operation": "note.burn"}),
		"expect": denied(["capability_missing", "operation_outside_task"]),
	},
	"a route that a catalog calls a session": {
		"asked": also(session, {"action": {"protocol": "http"}}),
		"expect": denied([
			"action_incomplete",
			"capability_missing",
			"operation_outside_task",
			"resource_outside_task",
		]),
	},
}) == set()
