package remit.authz

# METADATA
# title: Action not classified
# description: The catalog does not say what the request means.
# custom:
#   reason_code: action_unclassified
denials contains "action_unclassified" if not action_classified

# METADATA
# title: Action incomplete
# description: A value that the catalog asks for is missing from the request, or an effect is not stated.
# custom:
#   reason_code: action_incomplete
denials contains "action_incomplete" if {
	operation_governed
	not action_complete
}

action_classified if {
	input.remit.action.classified == true
	is_string(input.remit.action.operation)
	input.remit.action.operation != ""
	input.remit.action.verb in {
		"answer", "create", "delete", "execute", "grant", "list", "pay",
		"publish", "read", "search", "send", "session", "update",
	}
}

# What an unclassified action would do is unknown, so only that is said about it; the rules on task,
# capability and resource look at the others.
operation_governed if {
	action_classified
	not session_housekeeping
}

# A tool or a route that a catalog calls a session is not one.
session_housekeeping if {
	input.remit.action.verb == "session"
	input.remit.action.protocol == "mcp"
	object.get(input.remit.action, "tool", null) == null
}

action_complete if {
	input.remit.action.missing == []
	is_boolean(input.remit.action.effects.side_effect)
	is_boolean(input.remit.action.effects.reversible)
	is_boolean(input.remit.action.effects.privilege)
	is_boolean(input.remit.action.effects.money)
	is_string(input.remit.action.effects.visibility)
	input.remit.action.effects.visibility != ""
}
