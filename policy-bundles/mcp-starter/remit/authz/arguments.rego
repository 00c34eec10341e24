package remit.authz

# METADATA
# title: Argument refused
# description: An argument that the data restricts is missing, or is not as it has to be.
# custom:
#   reason_code: argument_refused
denials contains "argument_refused" if {
	some name, rule in restricted
	not fits(object.get(input.remit.action.arguments, name, null), rule)
}

restricted := data.remit.starter.arguments[input.remit.action.tool]

fits(value, rule) if {
	is_string(value)
	one_of(value, rule)
	starts(value, rule)
	short(value, rule)
}

one_of(_, rule) if not rule.one_of

one_of(value, rule) if value in rule.one_of

starts(_, rule) if not rule.prefix

starts(value, rule) if startswith(value, rule.prefix)

short(_, rule) if not rule.max_length

short(value, rule) if count(value) <= rule.max_length
